"""Sizes of the single backbones."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.backbones import build
from bench.errors import ConfigError


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
