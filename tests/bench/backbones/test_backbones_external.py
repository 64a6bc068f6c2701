"""Networks from elsewhere: torchvision's, timm's and the user's own."""

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
    model = build({"name": f"torchvision:{name}", "size": 64}, (1, 8, 8), 10)
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
        "import:mine:paired": r"to \(2, 3\), got a tuple instead of one tensor",
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


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("test_resnet", "own", (160, 160)),
        ("test_resnet", 56, (56, 56)),
        ("test_resnet", None, (48, 64)),
        ("test_vit", "own", (160, 160)),
        ("test_vit", 32, (32, 32)),
        ("test_vit", None, (48, 64)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_timms_networks_take_images_of_any_size(
    name: str, size: int | str | None, expected: tuple[int, int], channels: int
) -> None:
    pytest.importorskip("timm")
    model = build({"name": f"timm:{name}", "size": size}, (channels, 48, 64), 3)
    seen: list[tuple[int, ...]] = []
    model.model.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    assert model(torch.randn(2, channels, 48, 64)).shape == (2, 3)
    assert seen == [(2, 3, *expected)]


def test_timms_networks_can_be_read() -> None:
    pytest.importorskip("timm")
    graph = Graph(build({"name": "timm:test_vit"}, (1, 8, 8), 10), (1, 8, 8))
    assert sum(group.kind == "head" for group in graph.groups.values()) == 6


@pytest.mark.parametrize(
    ("name", "shape", "options", "message"),
    [
        ("resnet181", (3, 32, 32), {}, r"^backbone=timm:resnet181: expected .* of timm \(did you mean resnet"),
        ("resnet18", (16,), {}, r"^backbone=timm:resnet18: expected images"),
        ("resnet18", (2, 8, 8), {}, r"^backbone=timm:resnet18: expected images of 1 or 3 channels"),
        ("resnet18", (3, 8, 8), {"size": 0}, r"^backbone\.size=0: expected a number of at least 1, own, or null"),
        ("resnet18", (3, 8, 8), {"size": "big"}, r"^backbone\.size=big: expected a number of at least 1, own, or null"),
    ],
)
def test_what_timm_cannot_do(name: str, shape: tuple[int, ...], options: dict[str, object], message: str) -> None:
    pytest.importorskip("timm")
    with pytest.raises(ConfigError, match=message):
        build({"name": f"timm:{name}", **options}, shape, 10)


def test_without_timm_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    message = r'^backbone=timm:resnet18: expected timm to be installed: pip install "growth-bench\[timm\]"$'
    with pytest.raises(ConfigError, match=message):
        build({"name": "timm:resnet18"}, (3, 8, 8), 10)


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
    assert bad.stderr.startswith("error: backbone=elsewhere:thing: expected one of convnet, ")
    assert bad.stderr.endswith("import:package.module:factory, timm:NAME, torchvision:NAME\n")
