"""An eigensolver from another package: one file, found by its entry point, named in the run's record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
SHORT = ["train.epochs=1", "train.seed_epochs=1", "growth.stages=1", "threads=1"]

SEARCH = '''
"""Power iteration: the end of larger size, and by shifts of that size the lower and the upper."""

from dataclasses import dataclass

import torch
from torch.nn.functional import normalize

from bench.curvature.eigensolvers import eigensolvers
from bench.curvature.spectrum import Ask, End, between


@dataclass(frozen=True)
class Config:
    steps: int = 20


@eigensolvers.register("power", Config)
def power(config, operator, generator):
    def end(shift):
        v = torch.randn(operator.neurons, operator.size, generator=generator).to(operator.like)
        for _ in range(config.steps):
            v = normalize(v, dim=1)
            v = (yield Ask(v)).product - shift * v
        v = normalize(v, dim=1)
        product = (yield Ask(v)).product
        return End((v * product).sum(1), v, product)

    size = (yield from end(0.0)).values.abs()[:, None]
    low = yield from end(size)
    high = yield from end(-size)
    return between(low, high)
'''

FUNCTION = '''
"""No search at all: singular vectors of S itself."""

import torch

from bench.curvature.eigensolvers import eigensolvers
from bench.curvature.spectrum import Spectrum


@eigensolvers.register("own")
def own(config, operator, generator):
    values, vectors = torch.linalg.eigh(operator.dense())
    ends = values[:, 0], vectors[:, :, 0], values[:, -1], vectors[:, :, -1]
    return Spectrum(*ends, torch.zeros_like(values[:, 0]))
'''


def package(folder: Path, name: str, code: str) -> None:
    """Install a package that offers one eigensolver, as pip would."""
    (folder / "foreign.py").write_text(code)
    info = folder / "foreign-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[growth_bench.eigensolvers]\n{name} = foreign\n")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bench", "runs_dir=runs", *SHORT, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(("name", "code", "products"), [("power", SEARCH, 2 * 3 * 21), ("own", FUNCTION, 65 + 5)])
@pytest.mark.parametrize("memory", [2.0, 3e-6])
def test_another_packages_eigensolver_is_the_runs(
    name: str, code: str, products: int, memory: float, tmp_path: Path
) -> None:
    package(tmp_path, name, code)
    ran = run(tmp_path, "method=s3d", f"growth.engine={name}", f"growth.memory={memory}", "growth.sample=16")
    assert ran.returncode == 0, ran.stderr
    (path,) = (tmp_path / "runs").glob("*/run.json")
    growth = json.loads(path.read_text())["stages"][1]["growth"]
    assert growth["engine"] == name
    assert growth["products"] == products * growth["rounds"]
    assert growth["splits"] > 0
    assert growth["predicted_drop"] == pytest.approx(growth["measured_drop"], rel=0.05)


def test_an_unknown_one_is_one_line_that_names_the_known(tmp_path: Path) -> None:
    package(tmp_path, "power", SEARCH)
    ran = run(tmp_path, "growth.engine=pover")
    assert ran.returncode == 1
    known = "dense, lanczos, power, rayleigh (did you mean power?)"
    assert ran.stderr.strip() == f"error: growth.engine=pover: expected one of {known}"
    assert not (tmp_path / "runs").exists()


def test_one_that_cannot_be_imported_says_why(tmp_path: Path) -> None:
    package(tmp_path, "power", "import nowhere_to_be_found")
    ran = run(tmp_path, "growth.engine=power")
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: growth.engine=power: cannot be imported: ModuleNotFoundError")
    assert len(ran.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()
    assert run(tmp_path).returncode == 0  # the others still work
