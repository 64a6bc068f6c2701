"""Networks from elsewhere: torchvision's and the user's own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.backbones import build
from bench.core.errors import BenchError, ConfigError
from bench.network.graph import Graph
from tests.bench.backbones import elsewhere
from tests.bench.backbones.elsewhere import NETWORKS


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_that_views_its_channels_can_be_trained_and_grown(
    channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(elsewhere.__file__, tmp_path / "mine.py")
    monkeypatch.syspath_prepend(tmp_path)
    model = build({"name": "import:mine:viewing"}, (channels, 8, 8), 3)
    images = torch.randn(2, 8, 8, channels).movedim(-1, 1)  # as batches lie in memory
    assert torch.equal(model(images), model(images.clone(memory_format=torch.contiguous_format)))
    assert list(Graph(model, (channels, 8, 8)).widths().values()) == [4]


@pytest.mark.parametrize("name", NETWORKS)
def test_torchvisions_networks_can_be_read(name: str) -> None:
    size = 32 if name in ("vit_b_16", "convnext_tiny") else 64  # the smaller, the sooner
    model = build({"name": f"torchvision:{name}", "size": size}, (1, 8, 8), 10)
    graph = Graph(model, (1, 8, 8))
    assert graph.unsplittable
    assert all(one.reason for one in graph.unsplittable)
    assert min(graph.widths().values()) >= 1


def test_images_are_resized_for_torchvision_unless_told_otherwise() -> None:
    for size, expected in ((64, 64), (None, 40)):
        model = build({"name": "torchvision:squeezenet1_1", "size": size}, (1, 40, 40), 3)
        seen: list[tuple[int, ...]] = []
        model.model.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(tuple(inputs[0].shape)))
        assert model(torch.randn(2, 1, 40, 40)).shape == (2, 3)
        assert seen == [(2, 3, expected, expected)]


def test_a_factory_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(elsewhere.__file__, tmp_path / "mine.py")
    monkeypatch.syspath_prepend(tmp_path)
    model = build({"name": "import:mine:tiny", "options": {"width": 5}}, (1, 4, 4), 3)
    assert model[1].out_features == 5
    for name, message in {
        "import:mine:wrong": r"backbone=import:mine:wrong: expected a network from .* to \(2, 3\), got \(2, 4\)",
        "import:mine:nothing": "expected import:package.module:factory",
        "import:nosuch.module:tiny": "expected import:package.module:factory",
        "import:mine": "expected import:package.module:factory",
        "import:mine:NETWORKS": "expected import:package.module:factory",
    }.items():
        with pytest.raises(BenchError, match=message):
            build({"name": name}, (1, 4, 4), 3)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("torchvision:resnet181", (3, 32, 32)), ("torchvision:resnet18", (16,)), ("torchvision:resnet18", (2, 8, 8))],
)
def test_what_torchvision_cannot_do(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=rf"^backbone={name}: expected "):
        build({"name": name}, shape, 10)


def test_a_name_with_a_colon_on_the_command_line(tmp_path: Path) -> None:
    shutil.copy(elsewhere.__file__, tmp_path / "mine.py")

    def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bench", *arguments, "train.epochs=0", "train.seed_epochs=0", "runs_dir=runs"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    done = bench("backbone=import:mine:tiny", "+backbone.options.width=2", "method=net2net", "growth.stages=1")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").glob("digits-*")
    assert folder.name.startswith("digits-import_mine_tiny-net2net-seed0-")
    bad = bench("backbone=elsewhere:thing")
    assert bad.returncode == 1
    assert bad.stderr.startswith("error: backbone=elsewhere:thing: expected one of convnet, lenet, mlp, ")
    assert bad.stderr.endswith("import:package.module:factory, torchvision:NAME\n")
