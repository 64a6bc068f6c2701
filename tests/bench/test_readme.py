"""The README's examples in Python run as they stand, with what a user has: the wheel, and a folder of one's own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def block(containing: str) -> str:
    """The one block of Python that contains a text."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (found,) = (block for block in blocks if containing in block)
    assert isinstance(found, str)
    return found


def test_a_third_partys_network_grows_in_a_plain_loop(tmp_path: Path, site: Path) -> None:
    code = block("Grower(")
    assert len(code.strip().splitlines()) < 40
    (tmp_path / "own.py").write_text(code)
    environment = {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "own.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "MobileNetV3, inputs (3, 32, 32)" in done.stdout
    drops = re.findall(r"loss drop (\S+) predicted.*, (\S+) measured", done.stdout)
    assert len(drops) == 2
    assert all(float(predicted) == pytest.approx(float(measured), rel=0.05) for predicted, measured in drops)
    sizes = re.findall(r"s2d: ([\d,.]+ ?\w?) to ([\d,.]+ ?\w?) parameters", done.stdout)
    assert sizes[0][1] == sizes[1][0] != sizes[0][0]
    assert (tmp_path / "grower.pt").stat().st_size > 5e6
