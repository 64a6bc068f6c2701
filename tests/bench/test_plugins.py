"""Hydra finds plugins without a YAML file: typed, in a preset, in a sweep, in the help."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra import compose
from omegaconf import OmegaConf

from bench import cli
from bench.core.errors import BenchError, ConfigError
from bench.core.registry import Registry
from bench.grid import cells
from bench.plugins import REGISTRIES, composition, registry


@dataclass(frozen=True)
class Config:
    level: int = 3


@pytest.fixture(autouse=True)
def _plugins_without_files() -> Iterator[None]:
    """One named ``mine`` in every registry."""
    for group in REGISTRIES:
        registry(group).names()
        registry(group).register("mine", Config)(lambda config, *arguments: None)
    yield
    for group in REGISTRIES:
        del registry(group)._entries["mine"]


def composed(*overrides: str) -> dict[str, dict[str, object]]:
    with composition():
        made = OmegaConf.to_container(compose("config", list(overrides)))
    assert isinstance(made, dict)
    return {str(key): value for key, value in made.items()}


@pytest.mark.parametrize("group", REGISTRIES)
def test_a_typed_name(group: str) -> None:
    common = {"weights": None} if group == "backbone" else {}
    assert composed(f"{group}=mine", f"{group}.level=4")[group] == {"name": "mine", "level": 4, **common}


def test_networks_from_elsewhere() -> None:
    theirs = {"backbone=torchvision:resnet18": {"size": 224}, "backbone=import:no.such:thing": {"options": {}}}
    for typed, options in theirs.items():
        assert composed(typed)["backbone"] == {"name": typed.removeprefix("backbone="), "weights": None, **options}


def test_a_preset_and_its_sweep(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "own.yaml").write_text("""# @package _global_
defaults:
  - override /backbone: torchvision:resnet18
  - override /data: mine
hydra:
  sweeper:
    params:
      method: mine,net2net
      backbone.size: 32,64
""")
    found = cells(["experiment=own", f"hydra.searchpath=[file://{tmp_path}]"])
    assert [(cell.name("method"), cell.options["backbone"]["size"]) for cell in found] == [
        *(("mine", 32), ("mine", 64)),
        *(("net2net", 32), ("net2net", 64)),
    ]
    assert {cell.name("backbone") for cell in found} == {"torchvision:resnet18"}
    assert {cell.name("data") for cell in found} == {"mine"}


def test_a_file_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a name that has one needs no registry, and a run that is done no PyTorch."""
    monkeypatch.setattr("bench.plugins.registry", lambda group: pytest.fail(f"asked for {group}"))
    composed("method=s2d", "backbone=lenet", "data=mnist", "logger=tensorboard")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("data=digit", r"^data=digit: expected one of .*, mine, .*\(did you mean digits\?\)$"),
        ("logger=mime", r"^logger=mime: expected one of mine, none, tensorboard, wandb \(did you mean mine\?\)$"),
        ("backbone=torch:x", r"^backbone=torch:x: expected one of .*, torchvision:NAME$"),
    ],
)
def test_an_unknown_name_is_answered_with_all_known_ones(choice: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        composed(choice)


def test_a_broken_plugin_is_answered_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    found: Registry = registry("method")
    monkeypatch.setitem(found._broken, "bad", "ImportError: no such thing")
    with pytest.raises(BenchError, match=r"^method=bad: cannot be imported: ImportError: no such thing$"):
        composed("method=bad")
    with pytest.raises(ConfigError, match=r"; bad cannot be imported: ImportError: no such thing$"):
        composed("method=other")


def test_the_help_lists_them(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--help"])
    cli.main()
    shown = " ".join(capfd.readouterr().out.split())
    for group in REGISTRIES:
        names = shown.partition(f" {group}=")[2].partition(" one of ")[2].partition(f" {group}.")[0]
        assert "mine" in names.replace(",", "").split()
    assert "torchvision:NAME" in shown


@pytest.mark.parametrize(
    "module",
    ["bench", "bench.cli", "bench.script", "bench.sweep", "bench.run.cell", "bench.network.cost", "bench.report"],
)
def test_what_must_start_fast_does_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
