"""What holds for every registered backbone."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

from bench.backbones import backbones, build
from bench.backbones.layers import ACTIVATIONS
from bench.core.errors import ConfigError

SHAPES = [(1,), (16,), (1, 8, 8), (1, 28, 28), (3, 32, 32)]
REFUSED = {("rbf", 3), ("gpt", 3)} | {(name, 1) for name in backbones.names() if name not in ("rbf", "mlp", "gpt")}
"""Backbones and the number of dimensions of inputs that they cannot take."""

LEAST = {"mobilenet_v1": 2, "mobilenet_v2": 2}
"""Smallest widths, where not 1."""

USUAL = {"rbf": (1,), "gpt": (16,)}
"""Shapes of inputs, where not images."""

every = pytest.mark.parametrize("name", backbones.names())
cases = pytest.mark.parametrize(
    ("name", "shape"),
    [(name, shape) for name in backbones.names() for shape in SHAPES if (name, len(shape)) not in REFUSED],
)


def some(name: str, shape: tuple[int, ...]) -> Tensor:
    """Four inputs that suit a backbone of seven outputs."""
    return torch.randint(7, (4, *shape)) if name == "gpt" else torch.randn(4, *shape)


def test_the_promised_backbones_are_registered() -> None:
    assert {"mlp", "rbf", "lenet", "convnet", "vit", "gpt"} <= set(backbones.names())
    assert {"mobilenet_v1", "mobilenet_v2", "resnet18", "resnet20"} <= set(backbones.names())
    assert {"vgg11_bn", "vgg16_bn", "vgg19_bn"} <= set(backbones.names())


@cases
@pytest.mark.parametrize("width", [None, "least", 3])
def test_it_runs_trains_and_traces(name: str, shape: tuple[int, ...], width: int | str | None) -> None:
    torch.manual_seed(0)
    width = LEAST.get(name, 1) if width == "least" else width
    model = build({"name": name} | ({"width": width} if width else {}), shape, 7)
    inputs = some(name, shape)
    model(inputs).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    model.eval()
    expected = model(inputs)
    assert expected.shape == (4, 7)
    assert expected.isfinite().all()
    traced = fx.symbolic_trace(model)
    assert traced(inputs).equal(expected)
    assert traced(inputs[:1]).shape == (1, 7)


@cases
def test_only_layers_of_pytorch_have_parameters(name: str, shape: tuple[int, ...]) -> None:
    for module in build({"name": name}, shape, 3).modules():
        if next(module.parameters(recurse=False), None) is not None:
            assert isinstance(module, nn.Linear | nn.Conv2d | nn.BatchNorm2d | nn.LayerNorm | nn.Embedding)


@pytest.mark.parametrize(("name", "dimensions"), sorted(REFUSED))
def test_inputs_that_do_not_suit(name: str, dimensions: int) -> None:
    shape = (1, 8, 8)[:dimensions]
    with pytest.raises(
        ConfigError, match=rf"^backbone={name}: expected .* but this data set's inputs have the shape \("
    ):
        build({"name": name}, shape, 3)


@every
@pytest.mark.parametrize(
    "options", [{"width": 0}, {"depth": 0}, {"activation": "step"}, {"width": "wide"}, {"colour": 1}]
)
def test_bad_options_are_named(name: str, options: dict[str, Any]) -> None:
    (option,) = options
    with pytest.raises(ConfigError, match=rf"^backbone\.{option}=.*: expected "):
        build({"name": name} | options, USUAL.get(name, (1, 8, 8)), 3)


@every
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(name: str, activation: str) -> None:
    if "activation" not in {field.name for field in fields(backbones[name].config)}:
        pytest.skip("has one activation")
    model = build({"name": name, "activation": activation}, USUAL.get(name, (1, 8, 8)), 3)
    kinds = {type(module) for module in model.modules()} & set(ACTIVATIONS.values())
    assert kinds == {ACTIVATIONS[activation]}


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"backbone=lenet5: expected one of .*did you mean lenet"):
        build({"name": "lenet5"}, (1, 8, 8), 3)
