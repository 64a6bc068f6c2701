"""Nothing is trained that is frozen whole or starts from what are no numbers; frozen layers stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.backbones.base import backbones
from bench.core.errors import BenchError
from bench.core.registry import NoOptions
from bench.network.graph import Graph
from bench.network.plan import GrowthPlan, Split
from bench.network.surgery import apply
from tests.runs import of_options, options


class Logarithm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.log(x.sigmoid() - 2)


def network(kind: str) -> nn.Sequential:
    """A network that is frozen, or not finite, in one way."""
    layers = nn.Flatten(), nn.Linear(64, 4), nn.SiLU(), nn.Linear(4, 4), nn.SiLU(), nn.Linear(4, 10)
    model = nn.Sequential(*layers, *([Logarithm()] if kind == "loss" else []))
    if kind == "all":
        model.requires_grad_(False)
    elif kind in ("nan", "inf"):
        model[3].bias.data[0] = float(kind)
    elif kind == "first":
        model[1].requires_grad_(False)
    elif kind == "bias":
        model[1].bias.requires_grad_(False)
    elif kind == "reader":
        model[5].requires_grad_(False)
    return model


@pytest.fixture
def offered(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a backbone of this kind."""
    backbones.names()
    backbones.register("tried", NoOptions)(lambda config, shape, outputs: network(request.param))
    yield "tried"
    del backbones._entries["tried"]


@pytest.mark.parametrize(
    ("offered", "message"),
    [
        ("all", "parameters that are trained; all are frozen"),
        ("nan", "finite parameters at the start; 3.bias has NaN or infinite ones"),
        ("inf", "finite parameters at the start; 3.bias has NaN or infinite ones"),
        ("loss", "the loss of backbone=tried on data=digits is nan at the start: the network's outputs are not finite"),
    ],
    indirect=["offered"],
)
def test_it_is_said_before_anything_is_trained(offered: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=message):
        of_options({**options(tmp_path), "backbone": {"name": offered}})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "groups"), [("none", ["1", "3"]), ("first", ["3"]), ("bias", ["3"]), ("reader", ["1", "3"])]
)
def test_frozen_neurons_are_no_group_and_frozen_readers_do_not_matter(kind: str, groups: list[str]) -> None:
    graph = Graph(network(kind), (1, 8, 8))
    assert list(graph.groups) == groups
    assert any("frozen" in str(one) for one in graph.unsplittable) == ("1" not in groups)


def test_a_frozen_reader_stays_frozen_and_the_function_the_same() -> None:
    model, inputs = network("reader").double(), torch.randn(3, 1, 8, 8, dtype=torch.float64)
    graph = Graph(model, (1, 8, 8))
    before = model(inputs)
    apply(model, None, GrowthPlan((Split(graph.groups["3"], 1, (0.7, 0.3)),)), 0.0)
    assert torch.allclose(model(inputs), before, atol=1e-12)
    assert [p.requires_grad for p in model.parameters()] == [True] * 4 + [False] * 2
