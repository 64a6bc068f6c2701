"""What is installed: one package with everything inside, and a script that works in any folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.bench.conftest import built

ROOT = Path(__file__).resolve().parents[2]
SHORT = ("train.epochs=1", "train.seed_epochs=1", "growth.stages=1", "growth.sample=64")
OWN = ("inspect", "bench", "select", "random", "methods", "conf")
"""Modules of a user's that have names which Python or this project uses too."""

NET = """
from torch import nn

def net(input_shape, outputs):
    pixels = input_shape[0] * input_shape[1] * input_shape[2]
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, 4), nn.SiLU(), nn.Linear(4, outputs))
"""


def ran(site: Path, folder: Path, *command: str) -> str:
    """What a command prints that succeeds."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    environment = {**kept, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def own_folder(folder: Path, *modules: str) -> Path:
    """A user's folder with a network in ``mine.py``, and modules that end whatever imports them."""
    (folder / "mine.py").write_text(NET)
    for name in modules:
        (folder / name).mkdir()
        for file in (folder / name / "__init__.py", folder / f"{name}.py"):
            file.write_text(f"raise SystemExit('{name} is hidden')")
    (folder / "conf" / "config.yaml").write_text("defaults: [nothing]")
    return folder


def test_one_package_with_everything_inside(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive, zipfile.ZipFile(built("wheel", ROOT, tmp_path)) as direct:
        content = {name: archive.read(name) for name in archive.namelist()}
        assert content == {name: direct.read(name) for name in direct.namelist()}
    files = [path for path in (ROOT / "bench").rglob("*") if path.is_file()]
    files += [path for name in ("conf", "methods") for path in (ROOT / name).rglob("*") if path.is_file()]
    within = {path.relative_to(ROOT).as_posix() for path in files if path.suffix != ".pyc"}
    expected = {name if name.startswith("bench/") else f"bench/{name}" for name in within}
    assert {name for name in content if ".dist-info/" not in name} == expected
    assert {"bench/conf/config.yaml", "bench/methods/s3d.py", "bench/data/digits.npz", "bench/MATHS.md"} <= expected
    assert {name.partition("/")[0].partition("-")[0] for name in content} == {"bench", "growth_bench"}


def test_the_script_in_a_folder_with_modules_of_the_same_names(site: Path, tmp_path: Path) -> None:
    """In its workers too."""
    script, folder = str(site / "bin" / "growth-bench"), own_folder(tmp_path, *OWN)
    choice = ["method=s2d,net2net", "backbone=import:mine:net", *SHORT]
    swept = ran(site, folder, script, "sweep", *choice, "hydra/launcher=joblib")
    assert swept.count("done: digits import:mine:net") == 2
    assert "done already" in ran(site, folder, script, "method=s2d", *choice[1:])
    assert "every cell is done" in ran(site, folder, script, "status", *choice)
    assert "can be split" in ran(site, folder, script, "inspect", "backbone=import:mine:net")


def test_the_module_in_a_folder_with_methods_and_conf(site: Path, tmp_path: Path) -> None:
    folder = own_folder(tmp_path, "methods", "conf")
    choice = ["method=s2d,net2net", "backbone=import:mine:net", *SHORT]
    swept = ran(site, folder, "-m", "bench", "-m", *choice, "hydra/launcher=joblib")
    assert swept.count("done: digits import:mine:net") == 2
