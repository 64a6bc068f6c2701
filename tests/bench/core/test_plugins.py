"""A method from another package, found by its entry point, and the README's example."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def example() -> str:
    """The README's method."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (found,) = (block for block in blocks if "@register" in block)
    assert isinstance(found, str)
    return found


def run(module: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def package(folder: Path, code: str) -> None:
    """Install a package that offers one method, as pip would."""
    (folder / "foreign.py").write_text(code)
    info = folder / "foreign-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[growth_bench.methods]\nlargest = foreign\n")


def test_the_readme_method_in_another_package(tmp_path: Path) -> None:
    assert len(example().strip().splitlines()) < 40
    package(tmp_path, example())
    checked = run("bench.check", tmp_path, "method=largest", "method.sign=-1")
    assert checked.returncode == 0, checked.stderr
    assert "method=largest keeps the rules" in checked.stdout
    short = ["train.epochs=1", "train.seed_epochs=1", "growth.stages=1"]
    ran = run("bench", tmp_path, "method=largest", *short)
    assert ran.returncode == 0, ran.stderr
    assert "largest on digits" in ran.stdout


def test_a_package_that_cannot_be_imported(tmp_path: Path) -> None:
    package(tmp_path, "import nowhere_to_be_found")
    ran = run("bench", tmp_path, "method=largest")
    assert ran.returncode == 1
    assert ran.stderr.strip().splitlines()[-1].startswith("error: method=largest: cannot be imported: ModuleNotFound")
    assert "Traceback" not in ran.stderr
    assert run("bench.check", tmp_path, "method=net2net").returncode == 0
