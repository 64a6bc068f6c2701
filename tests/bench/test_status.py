"""Where a sweep stands, in one folder of runs or several."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import status
from bench.core.errors import BenchError
from bench.grid import cells, runs_dirs
from tests.bench.report.synthetic import signed
from tests.runs import SHORT, of_options, options

SWEEP = [*SHORT, "growth.stages=1", "method=s2d,net2net", "seed=0,1"]


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Folders of two machines: one run in both, one more in each."""
    monkeypatch.chdir(tmp_path)
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, seeds in ((one, (0, 1)), (two, (0, 2))):
        for seed in seeds:
            method, number = ("net2net", 0) if seed == 2 else ("s2d", seed)
            of_options(options(folder, "growth.stages=1", f"method={method}", f"seed={number}")).execute()
    return one, two


def shown(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    """The lines that the command prints."""
    monkeypatch.setattr(sys, "argv", ["bench.status", *SWEEP, *arguments])
    status.main()
    return [line.strip() for line in capfd.readouterr().out.splitlines() if line.strip()]


def other_numbers(runs_dir: Path) -> Path:
    """Change what a run of S2D with seed 0 has measured; its folder."""
    (path,) = runs_dir.glob("*-s2d-seed0-*/run.json")
    record: dict[str, Any] = json.loads(path.read_text())
    record["stages"][-1]["test_accuracy"] = 0.125
    path.write_text(signed(record))
    return path.parent


@pytest.mark.usefixtures("machines")
def test_folders_are_taken_together_and_each_run_counts_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "all 4       2        2" in shown(capfd, monkeypatch, "runs_dir=one")
    for typed in ("runs_dir=one,two", "runs_dir=[one,two]"):
        lines = shown(capfd, monkeypatch, typed)
        assert "all 4       3        1" in lines
        assert not any(line.startswith("twice") for line in lines)


def test_runs_that_differ_are_said_to(
    machines: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    changed = other_numbers(machines[1])
    said = [line for line in shown(capfd, monkeypatch, "runs_dir=one,two") if line.startswith("twice: ")]
    old = f"one/{changed.name} has other numbers"
    assert said == [f"twice: two/{changed.name}, the newer, counts; {old}"]


@pytest.mark.usefixtures("machines")
def test_columns_are_the_states_that_there_are(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = shown(capfd, monkeypatch, "runs_dir=one")
    assert lines[0].split() == ["method", "done", "missing"]
    assert max(map(len, lines)) <= 60
    assert lines[-1].endswith(" left for one worker")


def test_the_first_folder_is_where_the_rest_goes() -> None:
    assert runs_dirs(["seed=0", "runs_dir=a,'b c'"]) == (["a", "b c"], ["seed=0", "runs_dir=a"])
    assert runs_dirs(["seed=0"]) == ([], ["seed=0"])
    for typed in ("runs_dir=", "runs_dir=[]", "runs_dir=['']"):
        with pytest.raises(BenchError, match="expected a folder, or several as in runs_dir=a,b"):
            runs_dirs([typed])


@pytest.mark.parametrize(
    ("launcher", "own"), [("submitit_local", "timeout_min=5"), ("ray", "ray.remote.num_gpus=0"), ("joblib", "")]
)
def test_what_a_sweep_is_given_by_backbone_is_no_matter(
    launcher: str,
    own: str,
    machines: tuple[Path, Path],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = shown(capfd, monkeypatch, f"runs_dir={machines[0]}")
    more = [f"hydra.launcher.by_backbone.mlp.{own}"] if own else []
    assert shown(capfd, monkeypatch, f"runs_dir={machines[0]}", f"hydra/launcher={launcher}", *more) == plain
    found = cells([*SWEEP, f"hydra/launcher={launcher}", *more])
    assert not [one for cell in found for one in cell.overrides if "hydra" in one]


def test_where_nothing_is_left_but_what_failed_no_time_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    diverging = ("growth.stages=1", "train.lr=1e12")
    for method in ("s2d", "net2net"):
        for seed in (0, 1):
            with pytest.raises(BenchError, match="training loss became"):
                of_options(options(Path("runs"), *diverging, f"method={method}", f"seed={seed}")).execute()
    lines = shown(capfd, monkeypatch, "runs_dir=runs", "train.lr=1e12")
    assert lines[-1] == "nothing is left to do; rerun=failed tries again what failed, rerun=all makes all anew"
    assert shown(capfd, monkeypatch, "runs_dir=runs", "train.lr=1e12", "rerun=failed")[-1] != lines[-1]
