"""Another package adds one of each kind in one file each, found by its entry points; and the README's example."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHORT = ("train.epochs=1", "train.seed_epochs=1", "growth.stages=1", "growth.sample=64")

COST = '''
from bench.network.cost import Cost, costs
from bench.network.quadratic import CostModel
import numpy as np

@costs.register("neurons")
class Neurons(Cost):
    """How many neurons can be split."""

    title, unit = "neurons", "pieces"

    def model(self, graph):
        groups = tuple(graph.groups)
        return CostModel(groups, 0.0, np.ones(len(groups)), np.zeros((len(groups), len(groups))))
'''

BACKBONE = """
from dataclasses import dataclass
from bench.backbones.base import backbones
from torch import nn

@dataclass(frozen=True)
class Config:
    hidden: int = 3

@backbones.register("tiny", Config)
def tiny(config, input_shape, outputs):
    return nn.Sequential(nn.Linear(*input_shape, config.hidden), nn.SiLU(), nn.Linear(config.hidden, outputs))
"""

DATA = """
from dataclasses import dataclass
import torch
from bench.data.base import Dataset, Part, datasets

@dataclass(frozen=True)
class Config:
    size: int = 96

@datasets.register("halves", Config)
def halves(config, seed):
    inputs = torch.linspace(-1, 1, config.size)[:, None].repeat(1, 2)
    whole = Part(inputs, (inputs[:, 0] > 0).long())
    return Dataset("halves", "classification", 2, (2,), whole, whole, whole, torch.zeros(2), torch.ones(2))
"""

LOGGER = """
from dataclasses import dataclass
from bench.logger.base import Logger, loggers

@dataclass(frozen=True)
class Config:
    file: str = "lines.txt"

class Lines(Logger):
    def __init__(self, config, folder):
        self.path = folder.path / config.file

    def on_stage_end(self, record):
        with self.path.open("a") as file:
            print(record.stage, file=file)

@loggers.register("lines", Config)
def lines(config, options, folder):
    return lambda: Lines(config, folder)
"""


def example(name: str) -> str:
    """The README's method of this name."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (found,) = (block for block in blocks if f'@register("{name}"' in block)
    assert isinstance(found, str)
    return found


def run(module: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{folder / 'site'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def package(folder: Path, **plugins: tuple[str, str]) -> None:
    """Install a package as pip would: for each entry-point group the plugin's name and its file."""
    site = folder / "site"
    info = site / "foreign-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    points = ""
    for group, (name, code) in plugins.items():
        (site / f"foreign_{group}.py").write_text(code)
        points += f"[growth_bench.{group}]\n{name} = foreign_{group}\n"
    (info / "entry_points.txt").write_text(points)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory beside an installed package with a method, a cost, a backbone, a data set and a logger."""
    made = tmp_path_factory.mktemp("foreign")
    package(
        made,
        methods=("largest", example("largest")),
        costs=("neurons", COST),
        backbones=("tiny", BACKBONE),
        data=("halves", DATA),
        loggers=("lines", LOGGER),
    )
    return made


def test_the_readmes_method_with_births(tmp_path: Path) -> None:
    assert len(example("steepest").strip().splitlines()) < 45
    package(tmp_path, methods=("steepest", example("steepest")))
    checked = run("bench.check", tmp_path, "method=steepest")
    assert checked.returncode == 0, checked.stderr
    done = run("bench", tmp_path, "method=steepest", *SHORT)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("results/runs/*/run.json")
    growth = json.loads(path.read_text())["stages"][1]["growth"]
    assert growth["births"] > 0 == growth["splits"]
    assert growth["measured_drop"] == pytest.approx(growth["predicted_drop"], rel=0.01)


def test_the_readme_method_in_another_package(folder: Path) -> None:
    assert len(example("largest").strip().splitlines()) < 40
    checked = run("bench.check", folder, "method=largest", "method.sign=-1")
    assert checked.returncode == 0, checked.stderr
    assert "method=largest keeps the rules" in checked.stdout


def test_one_file_adds_a_method_a_cost_a_backbone_a_data_set_a_logger(folder: Path) -> None:
    plugins = ["backbone=tiny", "backbone.hidden=4", "data=halves", "growth.cost=neurons", "logger=lines"]
    swept = run("bench", folder, "-m", "method=largest,s2d", "hydra/launcher=joblib", *plugins, *SHORT)
    assert swept.returncode == 0, swept.stderr
    assert "done: halves tiny largest seed 0" in swept.stdout
    for method in ("largest", "s2d"):
        (path,) = folder.glob(f"results/runs/halves-tiny-{method}-*/run.json")
        record = json.loads(path.read_text())
        assert record["config"]["backbone"] == {"name": "tiny", "hidden": 4, "weights": None}
        assert [stage["costs"]["neurons"] for stage in record["stages"]] == [4, 6]
        assert path.with_name("lines.txt").read_text() == "0\n1\n"
    again = run("bench", folder, "method=largest", *plugins, *SHORT)
    assert "done already" in again.stdout
    assert {"neurons", "pieces"} <= set(again.stdout.split())
    assert run("bench.report", folder).returncode == 0
    assert "neurons, pieces" in (folder / "results" / "report" / "report.md").read_text()
    inspected = run("bench.inspect", folder, *plugins)
    assert "4 pieces neurons" in inspected.stdout


def test_a_package_that_cannot_be_imported(tmp_path: Path) -> None:
    package(tmp_path, methods=("largest", "import nowhere_to_be_found"))
    ran = run("bench", tmp_path, "method=largest")
    assert ran.returncode == 1
    assert ran.stderr.strip().splitlines()[-1].startswith("error: method=largest: cannot be imported: ModuleNotFound")
    assert "Traceback" not in ran.stderr
    assert run("bench.check", tmp_path, "method=net2net").returncode == 0
