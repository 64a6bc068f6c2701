"""What the table says of kinks and jumps, against a numerical scan of all of PyTorch's activations."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import activation

from bench.network.graph import Graph
from bench.network.operations import entry, kinks_of

REACH = 40.0
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "Threshold": [{"threshold": 0.3, "value": 0.3}, {"threshold": 0.3, "value": 0.1}, {"threshold": -1, "value": 20}],
    "Hardtanh": [{}, {"min_val": -0.4, "max_val": 2.5}],
    "LeakyReLU": [{}, {"negative_slope": 0.3}, {"negative_slope": 1.0}, {"negative_slope": -2.0}],
    "RReLU": [{}, {"lower": 0.5, "upper": 0.9}],
    "PReLU": [{}, {"init": 0.6}, {"init": 1.0}],
    "ELU": [{}, {"alpha": 0.5}, {"alpha": 2.0}, {"alpha": -1.0}],
    "CELU": [{}, {"alpha": 0.5}, {"alpha": 3.0}],
    "Softplus": [{}, {"beta": 5.0}, {"beta": 0.5}, {"threshold": 3.0}],
    "Hardshrink": [{}, {"lambd": 0.0}],
    "Softshrink": [{}, {"lambd": 1.5}, {"lambd": 0.0}],
    "GELU": [{}, {"approximate": "tanh"}],
}
NEEDS_MORE = {"MultiheadAttention"}
"""Those that have no default and are no function of single numbers."""


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor], name: str) -> None:
        super().__init__()
        self.function, self.name = function, name

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)

    def extra_repr(self) -> str:
        return self.name


def alone(function: nn.Module) -> bool:
    """Whether it makes of each number another that depends on no other number."""
    x = torch.randn(3, 4, dtype=torch.float64)
    try:
        with warnings.catch_warnings(action="ignore"):
            one, two = function(x.clone()), function(torch.cat([x[:, :2], -x[:, 2:]], dim=1))
    except ValueError:
        return False  # of images
    return one.shape == x.shape and torch.equal(one[:, :2], two[:, :2])


def every_activation() -> Iterator[nn.Module]:
    """All of ``torch.nn`` that act on each number alone, with the options above, and in place where they can."""
    for name in activation.__all__:
        kind = getattr(activation, name)
        for options in [] if name in NEEDS_MORE else OPTIONS.get(name, [{}]):
            made = kind(**options).double().eval()
            if alone(made):
                yield made
                if "inplace" in inspect.signature(kind).parameters and min(options.values(), default=1) >= 0:
                    yield kind(**options, inplace=True).double().eval()


FUNCTIONS = [
    Of(lambda x: x.clamp(-0.5, 2.0), "clamp"),
    Of(lambda x: x.clamp(min=0.25), "clamp from below"),
    Of(lambda x: torch.clamp_max(x, 1.0), "clamp_max"),
    Of(lambda x: x.clone().clamp_(-1, 1), "clamp in place"),
    Of(lambda x: x.abs(), "abs"),
    Of(lambda x: F.relu6(x), "relu6"),
    Of(lambda x: F.hardswish(x.clone(), inplace=True), "hardswish in place"),
    Of(lambda x: F.elu_(x.clone(), 0.3), "elu_"),
    Of(lambda x: torch.selu_(x.clone()), "selu_"),
    Of(lambda x: F.softsign(x), "softsign"),
    Of(lambda x: x / (1 + x.abs()), "softsign written out"),
    Of(lambda x: F.threshold(x, 0.2, 0.2), "threshold without a jump"),
    Of(lambda x: torch.div(x, 0.5, rounding_mode="floor"), "floor division"),
]


def value_and_slope(function: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    shaped = x[:, None].expand(-1, 4).clone().requires_grad_()
    out = function(shaped * 1.0)
    if not out.requires_grad:
        return out[:, 0], torch.zeros_like(x)
    (slope,) = torch.autograd.grad(out.sum(), shaped)
    return out.detach()[:, 0], slope[:, 0]


def breaks(function: nn.Module) -> tuple[dict[float, float], dict[float, float]]:
    """Where the value jumps, and where the slope does, by how much: intervals are halved until smoothness shows."""
    edges = torch.arange(-REACH, REACH, 0.01, dtype=torch.float64) + math.pi * 1e-4
    low, high = edges[:-1], edges[1:]
    (v0, s0), (v1, s1) = value_and_slope(function, low), value_and_slope(function, high)
    for _ in range(24):  # in each interval, on towards the half where more happens
        middle = (low + high) / 2
        vm, sm = value_and_slope(function, middle)
        left = torch.maximum((vm - v0).abs(), (sm - s0).abs()) > torch.maximum((v1 - vm).abs(), (s1 - sm).abs())
        low, high = torch.where(left, low, middle), torch.where(left, middle, high)
        v0, v1 = torch.where(left, v0, vm), torch.where(left, vm, v1)
        s0, s1 = torch.where(left, s0, sm), torch.where(left, sm, s1)
    jumps, kinks = (v1 - v0).abs() > 1e-6, (s1 - s0).abs() > 1e-6
    at = (low + high) / 2
    return (
        {round(float(x), 6): float(d) for x, d in zip(at[jumps], (v1 - v0)[jumps], strict=True)},
        {round(float(x), 6): float(d) for x, d in zip(at[kinks], (s1 - s0)[kinks], strict=True)},
    )


def declared(graph: Graph) -> dict[float, float]:
    """Kinks by the table, of all operations."""
    tensors = {n: graph.program.tensors(graph.model)[name].detach() for n, name in graph.program.names.items()}
    found: dict[float, float] = {}
    for node in graph.program.nodes.nodes:
        if node.op == "call_function":
            for place, change in kinks_of(node, entry(node.target).kinks, tensors):
                found[round(float(place), 6)] = float(torch.as_tensor(change).flatten()[0])
    return found


@pytest.mark.parametrize("function", [*every_activation(), *FUNCTIONS], ids=str)
def test_kinks_and_jumps_are_where_the_table_says(function: nn.Module) -> None:
    torch.manual_seed(0)
    graph = Graph(nn.Sequential(nn.Linear(3, 4), function, nn.Linear(4, 2)).double().eval(), (3,))
    jumps, kinks = breaks(function)
    if jumps:
        assert not graph.groups
        assert "jumps in value" in next(one.reason for one in graph.unsplittable if one.name == "0")
        return
    assert list(graph.groups) == ["0"]
    found = declared(graph)
    assert sorted(found) == pytest.approx(sorted(kinks), abs=1e-5)
    assert [found[at] for at in sorted(found)] == pytest.approx([kinks[at] for at in sorted(kinks)], abs=1e-5)


def test_the_scan_sees_kinks_and_jumps() -> None:
    assert breaks(nn.SiLU()) == ({}, {})
    jumps, kinks = breaks(nn.Hardshrink())
    assert sorted(jumps) == pytest.approx([-0.5, 0.5], abs=1e-5)
    jumps, kinks = breaks(nn.SELU())
    assert not jumps
    assert list(kinks) == pytest.approx([0], abs=1e-5)
    assert list(kinks.values()) == pytest.approx([-0.7074], abs=1e-3)
    names = {type(one).__name__ for one in every_activation()}
    assert {"Hardswish", "SELU", "ELU", "Softsign", "RReLU", "Softshrink", "Mish", "Tanhshrink"} <= names


@pytest.mark.parametrize("order", [1, float("inf"), 3])
def test_norms_with_kinks_are_refused(order: float) -> None:
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.head = nn.Conv2d(2, 3, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.linalg.vector_norm(self.one(x), order, dim=(2, 3)))

    graph = Graph(Normed(), (2, 6, 6))
    assert not graph.groups
    assert any("has kinks" in one.reason for one in graph.unsplittable)
