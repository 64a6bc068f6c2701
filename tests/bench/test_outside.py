"""A package of somebody else's, installed: its method, data set and backbone can be typed like ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "tests" / "outside"
SHORT = ("train.epochs=1", "train.seed_epochs=1", "growth.stages=1", "growth.sample=64")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has put it."""
    pytest.importorskip("hatchling")
    pytest.importorskip("pip")
    place = tmp_path_factory.mktemp("site")
    flags = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", *flags, "--target", str(place), str(PACKAGE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return place


def bench(site: Path, folder: Path, module: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_small() -> None:
    files = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".toml")]
    assert {path.stem for path in files} == {"__init__", "method", "data", "backbone", "pyproject"}
    assert sum(len(path.read_text().splitlines()) for path in files) <= 120


def test_one_of_each_can_be_typed(site: Path, tmp_path: Path) -> None:
    chosen = ("method=widest", "data=moons", "data.points=300", "backbone=residual", "backbone.width=3", *SHORT)
    assert "written: " in bench(site, tmp_path, "bench", *chosen)
    assert "done already" in bench(site, tmp_path, "bench", *chosen)
    (path,) = tmp_path.glob("results/runs/moons-residual-widest-*/run.json")
    record = json.loads(path.read_text())
    assert record["provenance"]["sources"]["data"]["module"] == "outside.data"
    assert [stage["widths"] for stage in record["stages"]] == [{"hidden": 3}, {"hidden": 5}]
    assert record["dataset"]["examples"] == {"train": 216, "validation": 24, "test": 60}
    assert "keeps the rules" in bench(site, tmp_path, "bench.check", "method=widest")
