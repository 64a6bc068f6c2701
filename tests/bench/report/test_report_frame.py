"""Runs as a pandas table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.report.frame import frame
from tests.bench.report.synthetic import begin, old, options, put, record
from tests.runs import prepared


def test_one_row_per_rung(tmp_path: Path) -> None:
    records = [prepared(tmp_path, f"method={method}").execute() for method in ("s2d", "static")]
    table = frame(tmp_path)
    assert len(table) == sum(len(record.stages) for record in records)
    last = table[(table["method"] == "s2d") & (table["rung"] == 2)].iloc[0]
    stage = records[0].stages[2]
    assert last["test_accuracy"] == pytest.approx(stage.test_accuracy)
    assert last["params"] == stage.params
    assert last["cost.macs"] == last["macs"] == stage.macs
    assert [last[name] for name in ("train_loss", "val_loss")] == [stage.train_loss, stage.val_loss]
    assert last["test_loss"] == stage.test_loss
    assert last["train_seconds"] == stage.seconds.train
    assert stage.growth
    assert last["splits"] == stage.growth.splits
    assert last["predicted_drop"] == stage.growth.predicted_drop
    assert last["growth.ratio"] == records[0].config["growth"]["ratio"]


def test_options_costs_and_losses_are_columns(tmp_path: Path) -> None:
    put(tmp_path, record(options("s2d", 0, 0.1)), record(options("s2d", 1, train={"lr": 0.5})))
    put(tmp_path, old(options("static", 0)))
    begin(tmp_path, options("s2d", 7))
    table = frame(str(tmp_path)).set_index(["method", "seed", "rung"]).sort_index()
    assert len(table) == 12
    assert table.loc[("s2d", 0, 1), "growth.epsilon"] == 0.1
    assert table.loc[("s2d", 1, 1), "train.lr"] == 0.5
    assert table.loc[("static", 0, 2), "data.name"] == "digits"
    assert table.loc[("static", 0, 2), "cost.energy"] == 700.0 * table.loc[("static", 0, 2), "cost.params"]
    assert not table["test_loss"].isna().any()
    assert table.loc[("s2d", 0, slice(None)), "added_neurons"].isna().tolist() == [True, False, False, False]


def test_a_folder_without_finished_runs_is_an_empty_table_and_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path, options("s2d", 7))
    assert frame(tmp_path).empty
    assert capsys.readouterr().err == f"runs_dir={tmp_path}: no finished run, so the table is empty\n"
    put(tmp_path, record(options("s2d", 0)))
    assert not frame(tmp_path).empty
    assert capsys.readouterr().err == ""


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, record(options("s2d", 0)))
    with pytest.raises(bench.BenchError, match=r"^runs_dir=\S*nothing: expected a folder with runs$"):
        frame(tmp_path, tmp_path / "nothing")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(bench.BenchError, match=r"^runs_dir=results/runs: expected a folder with runs$"):
        frame()


def test_the_readme_s_name_for_it_needs_one_import() -> None:
    code = (
        "import sys, bench; assert 'pandas' not in sys.modules; bench.report; assert 'pandas' not in sys.modules; "
        "assert callable(bench.report.frame.frame); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bench.report.nothing  # type: ignore[attr-defined]
