"""The state of networks in the report: means, every group's numbers, and what tells the final score."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.report.__main__ import report
from bench.report.analysis.state import BY_GROUP, DROP, NUMBERS
from bench.report.frame import frame
from bench.report.read.arguments import Request
from tests.bench.report.synthetic import STEPLESS, old, options, put, record

METHODS = ("net2net", "s2d", "static")


def observed(method: str, seed: int, step: float = 0.01) -> dict[str, Any]:
    """A run with numbers of its own in all diagnostics."""
    one, draw = record(options(method, seed, step)), random.Random(f"{method} {seed} {step}")
    for stage in one["stages"]:
        state: dict[str, Any] = {name: {group: draw.random() for group in stage["widths"]} for name in BY_GROUP}
        if stage["stage"] == 0 or method in STEPLESS:
            state["gradient"] = {}
        elif stage["stage"] == 1:
            del state["gradient"]["3"]  # it did not grow
        stage["diagnostics"] = {**state, "train_accuracy": draw.random()}
        if stage["growth"] and method not in STEPLESS:
            stage["growth"] |= {"measured_drop": draw.random(), "births": 2}
    return one


def made(tmp_path: Path, *records: dict[str, Any]) -> dict[str, pd.DataFrame]:
    put(tmp_path / "runs", *records)
    report(Request(runs_dir=str(tmp_path / "runs"), out=tmp_path / "out"))
    return {path.stem: pd.read_csv(path) for path in (tmp_path / "out" / "data").glob("*.csv")}


def all_runs() -> list[dict[str, Any]]:
    return [observed(method, seed, step) for method in METHODS for seed in range(3) for step in (0.01, 0.1)]


def test_means_over_groups_and_seeds(tmp_path: Path) -> None:
    tables = made(tmp_path, *(observed(method, seed) for method in METHODS for seed in range(3)))
    stages, found = tables["stages"], tables["state"].set_index(["method", "rung"])
    for name in BY_GROUP:
        by_group = tables["group_state"].groupby(["method", "seed", "rung"])[name].mean()
        pd.testing.assert_series_equal(
            stages.set_index(["method", "seed", "rung"])[name].sort_index(), by_group.sort_index(), check_dtype=False
        )
    for name in NUMBERS:
        expected = stages.groupby(["method", "rung"])[name].mean()
        pd.testing.assert_series_equal(found[name].sort_index(), expected.sort_index(), check_dtype=False)
    first = tables["group_state"].query("group == 1").set_index(["method", "seed", "rung"])["norm"].sort_index()
    assert stages.set_index(["method", "seed", "rung"])["first_norm"].sort_index().tolist() == first.tolist()


def test_correlations_are_those_of_pandas_over_the_grown_runs(tmp_path: Path) -> None:
    records = all_runs()
    tables = made(tmp_path, *records)
    grown = tables["stages"].query("method != 'static' and rung > 0")
    runs = grown.groupby("id")
    final = runs["test_accuracy"].last()
    found = tables["tellers"].set_index("number")
    assert list(found.index) == [*NUMBERS, DROP]
    for name in (*NUMBERS, DROP):
        assert found.loc[name, "runs"] == 12
        assert found.loc[name, "last"] == pytest.approx(runs[name].last().corr(final, method="spearman"))
        assert found.loc[name, "mean"] == pytest.approx(runs[name].mean().corr(final, method="spearman"))
    text = (tmp_path / "out" / "report.md").read_text()
    for words in ("What tells the final test accuracy", "Rank per width", "Immediate fall of the loss"):
        assert words in text
    assert (tmp_path / "out" / "figures" / "digits-mlp-state.svg").exists()


def test_frames_have_each_groups_numbers(tmp_path: Path) -> None:
    one = observed("s2d", 0)
    put(tmp_path, one, old(options("static", 0)))
    table = frame(tmp_path).set_index(["method", "rung"])
    for stage in one["stages"]:
        row = table.loc[("s2d", stage["stage"])]
        for name in BY_GROUP:
            for group in stage["widths"]:
                value = stage["diagnostics"][name].get(group)
                assert pd.isna(row[f"{name}.{group}"]) if value is None else row[f"{name}.{group}"] == value
        assert row["train_accuracy"] == stage["diagnostics"]["train_accuracy"]
    assert table.loc["static", list(NUMBERS)].isna().all(axis=None)


def test_records_without_diagnostics_have_no_such_tables(tmp_path: Path) -> None:
    tables = made(tmp_path, *(record(options(method, seed)) for method in METHODS for seed in range(3)))
    assert not {"state", "group_state"} & set(tables)
    assert tables["tellers"]["number"].tolist() == [DROP]  # which all records have


def test_neurons_born_stand_beside_neurons_split(tmp_path: Path) -> None:
    tables = made(tmp_path, *(observed("s2d", seed) for seed in range(2)))
    (row,) = tables["growing"].to_dict("records")
    assert (row["splits"], row["births"]) == (9, 6)  # three events of three splits and two births
    assert "Neurons born" in (tmp_path / "out" / "report.md").read_text()
