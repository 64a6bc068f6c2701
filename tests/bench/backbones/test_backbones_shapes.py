"""Sizes of the single backbones."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

from bench.backbones import build
from bench.core.errors import ConfigError
from bench.network.cost import cost_models
from bench.network.graph import Graph


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_mlp_size() -> None:
    assert parameters(build({"name": "mlp", "width": 4}, (1, 28, 28), 10)) == 785 * 4 + 5 * 4 + 5 * 10
    assert parameters(build({"name": "mlp", "width": 4, "depth": 1}, (16,), 2)) == 17 * 4 + 5 * 2


@pytest.mark.parametrize(("side", "left"), [(4, 1), (8, 4), (28, 49), (32, 64)])
def test_lenet_size(side: int, left: int) -> None:
    expected = 26 * 4 + (4 * 25 + 1) * 8 + (8 * left + 1) * 16 + 17 * 8 + 9 * 10
    assert parameters(build({"name": "lenet"}, (1, side, side), 10)) == expected


def test_lenet_needs_four_pixels() -> None:
    with pytest.raises(ConfigError, match=r"backbone=lenet: expected images of at least 4x4 pixels"):
        build({"name": "lenet"}, (1, 3, 8), 10)


def test_oblong_images() -> None:
    for name in ("mlp", "lenet", "convnet"):
        assert build({"name": name}, (2, 8, 13), 10)(torch.randn(2, 2, 8, 13)).shape == (2, 10)


@pytest.mark.parametrize(("side", "depth", "left"), [(2, 4, 2), (8, 4, 4), (28, 4, 7), (32, 4, 4), (32, 1, 32)])
def test_convnet_pools_while_pixels_remain(side: int, depth: int, left: int) -> None:
    model = build({"name": "convnet", "depth": depth}, (3, side, side), 10)
    pooling = next(i for i, module in enumerate(model.children()) if isinstance(module, nn.AdaptiveAvgPool2d))
    assert model[:pooling](torch.randn(2, 3, side, side)).shape == (2, 8, left, left)


def test_rbf_computes_its_formula() -> None:
    model = build({"name": "rbf", "width": 400}, (1,), 1)
    hidden, _, last = model.children()
    slopes, biases = hidden.weight.flatten(), hidden.bias
    x = torch.linspace(-5, 5, 11)
    expected = torch.exp(-((x[:, None] * slopes + biases) ** 2) / 2) @ last.weight.T + last.bias
    torch.testing.assert_close(model(x[:, None]), expected)
    for values in (slopes, biases):
        assert 2.9 < values.abs().max() <= 3


V1_CIFAR100 = [8, 8, 8, 8, 16, 16, *[24] * 6, 32, 32]
V1_FULL = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]


@pytest.mark.parametrize(
    ("options", "side", "outputs", "size", "macs"),
    [  # the seeds and sizes of the papers; a stem of stride 1 on 112 pixels does what one of stride 2 does on 224
        ({"name": "mobilenet_v1", "width": 32}, 32, 10, 19_978, 3_204_672),
        ({"name": "mobilenet_v1", "widths": V1_CIFAR100}, 32, 100, 12_332, 552_672),
        ({"name": "mobilenet_v1", "widths": V1_FULL}, 112, 1000, 4_231_976, 568_740_352),
        ({"name": "mobilenet_v2", "width": 32}, 32, 1000, 3_504_872, None),
        ({"name": "resnet20", "width": 16}, 32, 10, 272_474, 40_813_184),
    ],
)
def test_published_sizes(options: dict[str, object], side: int, outputs: int, size: int, macs: int | None) -> None:
    model = build(options, (3, side, side), outputs)
    graph = Graph(model, (3, side, side))
    assert parameters(model) == size == cost_models(graph)["params"].of(graph.widths())
    assert macs in (None, cost_models(graph)["macs"].of(graph.widths()))


@pytest.mark.parametrize(("name", "convolutions"), [("vgg11_bn", 8), ("vgg16_bn", 13), ("vgg19_bn", 16)])
def test_vgg_has_as_many_layers_as_torchvisions(name: str, convolutions: int) -> None:
    model = build({"name": name, "width": 5}, (3, 32, 32), 10)
    kinds = [type(module) for module in model.modules()]
    assert kinds.count(nn.Conv2d) == convolutions
    assert kinds.count(nn.MaxPool2d) == 5
    assert nn.ReLU not in kinds
    assert nn.ReLU in [type(m) for m in build({"name": name, "activation": "relu"}, (3, 32, 32), 10).modules()]


def test_full_mobilenet_v2_and_resnet18_are_torchvisions() -> None:
    full = build({"name": "mobilenet_v2", "width": 32}, (3, 32, 32), 1000)
    assert parameters(full) == parameters(models.mobilenet_v2())
    stems = (64 * 7 * 7 - 64 * 3 * 3) * 3
    ours = build({"name": "resnet18", "width": 64}, (3, 32, 32), 1000)
    assert parameters(ours) == parameters(models.resnet18()) - stems


def test_widths_of_mobilenet_v1_are_checked() -> None:
    for widths in ([8] * 13, [8] * 13 + [1]):
        with pytest.raises(ConfigError, match=r"^backbone\.widths=\[8, .*\]: expected null, or 14 numbers"):
            build({"name": "mobilenet_v1", "widths": widths}, (3, 32, 32), 10)
