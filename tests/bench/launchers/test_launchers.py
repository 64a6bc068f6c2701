"""The same small sweep by every launcher: the same runs, the same numbers, one thread each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.launchers.plugins import PLUGINS, installed
from tests.chaos import ROOT, measured

GRID = ["method=s2d,static", "seed=0,1"]
RECIPE = ["train.epochs=1", "train.seed_epochs=1", "growth.stages=1", "growth.sample=64"]
SETTINGS = {
    "joblib": ["hydra.launcher.n_jobs=2"],
    "ray": ["+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.init.include_dashboard=false"],
}


def sweep(folder: Path, launcher: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Type a sweep, in an environment that says nothing of threads."""
    plain = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    environment = {**plain, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    chosen = [f"hydra/launcher={launcher}", *SETTINGS.get(launcher, []), f"runs_dir={folder}"]
    command = [sys.executable, "-m", "bench", "-m", *GRID, *RECIPE, *chosen, *more]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, cwd=folder.parent)


def records(folder: Path) -> dict[str, Any]:
    """Records by run."""
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("*/run.json")}


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The sweep without a launcher, on one thread."""
    folder = tmp_path_factory.mktemp("serial") / "runs"
    ended = sweep(folder, "basic", "threads=1")
    assert ended.returncode == 0, ended.stderr
    return {name: measured(record) for name, record in records(folder).items()}


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
    ended = sweep(tmp_path / "runs", launcher, "seed=1")
    assert ended.returncode == 0, ended.stderr
    agree(tmp_path / "runs", serial, cells=2)


@pytest.mark.skipif(not installed("joblib"), reason="hydra_joblib_launcher is not installed")
def test_joblib_workers_are_used_again_and_a_failing_job_stops_no_other(serial: dict[str, Any], tmp_path: Path) -> None:
    usual = next(iter(serial.values()))["config"]["train"]["lr"]
    ended = sweep(tmp_path / "runs", "joblib", f"train.lr=1e12,{usual}")
    assert ended.returncode == 1
    assert sorted(record["status"] for record in records(tmp_path / "runs").values()) == ["done"] * 4 + ["failed"] * 4
    agree(tmp_path / "runs", serial, cells=4)
    *named, last = ended.stderr.splitlines()
    assert last.startswith("error: 4 of 8 runs failed")
    assert len(named) == 4  # each once, with its reason and what to type
    for line, (method, seed) in zip(named, [("s2d", 0), ("s2d", 1), ("static", 0), ("static", 1)], strict=True):
        assert re.match(rf"failed: python -m bench method={method} seed={seed} .*: .*train\.lr", line)
