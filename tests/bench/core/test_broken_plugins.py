"""Another package whose every plugin is broken: each breaks itself alone, by name, whatever one types."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHORT = ("train.epochs=0", "train.seed_epochs=0", "growth.stages=1", "growth.sample=16")
KINDS = ("methods", "backbones", "data", "loggers", "costs", "views", "eigensolvers")

FORWARD = """
from __future__ import annotations
from dataclasses import dataclass
from bench.methods import register

@dataclass(frozen=True)
class Config:
    level: Nowhere = 1

@register("forward", Config)
class Forward:
    def propose(self, context): ...
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is on Python's path, with the package installed in it."""
    folder = tmp_path_factory.mktemp("shelf")
    (folder / "broken_exit.py").write_text("raise SystemExit(7)")
    (folder / "broken_forward.py").write_text(FORWARD)
    about = folder / "broken-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    points = [f"[growth_bench.{kind}]\nexits_{kind} = broken_exit\nnowhere_{kind} = broken_nothing\n" for kind in KINDS]
    points[0] += "forward = broken_forward\n"
    (about / "entry_points.txt").write_text("\n".join(points))
    return folder


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["bench", *SHORT], ""),
        (["bench", "--help"], ""),
        (["bench.inspect"], ""),
        (["bench.report", "out=report"], ""),
        (["bench.status", "seed=0"], ""),
        (["bench", "method=exits_methods"], "method=exits_methods: cannot be imported: SystemExit: 7"),
        (["bench", "growth.cost=nowhere_costs"], "growth.cost=nowhere_costs: cannot be imported: ModuleNotFoundError"),
        (["bench", "-m", *SHORT, "method=s2d,forward"], "method=forward: its options cannot be read: NameError"),
        (["bench.check", "method=forward"], "method=forward: its options cannot be read: NameError"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_every_command_goes_on(typed: list[str], message: str, shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "results" / "runs").mkdir(parents=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(shelf)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *typed]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == bool(message), ended.stderr
    said = [line for line in ended.stderr.splitlines() if not line.startswith("s3d stage")]
    assert len(said) == bool(message)
    assert not message or said[0].startswith(f"error: {message}")
