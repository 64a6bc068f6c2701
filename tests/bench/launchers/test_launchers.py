"""The same small sweep by every launcher: the same runs, the same numbers, one thread each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.bench.launchers.plugins import PLUGINS, installed
from tests.bench.launchers.sweeps import RECIPE, records, sweep
from tests.chaos import measured

GRID = ["method=s2d,static", "seed=0,1"]
SETTINGS = {
    "joblib": ["hydra.launcher.n_jobs=2"],
    "ray": ["+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.init.include_dashboard=false"],
}


def typed(launcher: str) -> list[str]:
    """The small sweep by a launcher."""
    return [*GRID, *RECIPE, f"hydra/launcher={launcher}", *SETTINGS.get(launcher, [])]


def agree(folder: Path, serial: dict[str, Any], cells: int) -> None:
    """One thread each, the numbers of the serial sweep, and nothing outside the folder."""
    found = {name: record for name, record in records(folder).items() if record["status"] == "done"}
    assert [record["environment"]["threads"] for record in found.values()] == [1] * cells
    assert {name: measured(record) for name, record in found.items()}.items() <= serial.items()
    assert {path.name for path in folder.parent.iterdir()} == {folder.name}


@pytest.mark.parametrize("launcher", ["submitit_local", "ray"])
def test_every_launcher_gives_the_runs_of_the_serial_sweep(
    launcher: str, serial: dict[str, Any], tmp_path: Path
) -> None:
    if not installed(launcher):
        pytest.skip(f"{PLUGINS[launcher]} is not installed")
    ended = sweep(tmp_path / "runs", *typed(launcher), "seed=1")
    assert ended.returncode == 0, ended.stderr
    agree(tmp_path / "runs", serial, cells=2)


@pytest.mark.skipif(not installed("joblib"), reason="hydra_joblib_launcher is not installed")
def test_joblib_workers_are_used_again_and_a_failing_job_stops_no_other(serial: dict[str, Any], tmp_path: Path) -> None:
    usual = next(iter(serial.values()))["config"]["train"]["lr"]
    ended = sweep(tmp_path / "runs", *typed("joblib"), f"train.lr=1e12,{usual}")
    assert ended.returncode == 1
    assert sorted(record["status"] for record in records(tmp_path / "runs").values()) == ["done"] * 4 + ["failed"] * 4
    agree(tmp_path / "runs", serial, cells=4)
    *named, last = ended.stderr.splitlines()
    assert last.startswith("error: 4 of 8 runs failed")
    assert len(named) == 4  # each once, with its reason and what to type
    for line, (method, seed) in zip(named, [("s2d", 0), ("s2d", 1), ("static", 0), ("static", 1)], strict=True):
        assert re.match(rf"failed: python -m bench method={method} seed={seed} .*: .*train\.lr", line)
