"""Prices without building are the costs of the built network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.backbones import build
from bench.network.cost import METRICS, CostModel, cost_models, released_cost
from bench.network.graph import Graph
from bench.network.plan import GrowthPlan, Split
from bench.network.surgery import apply
from tests.nets import NETS, Net
from tests.reference import count_cost


def widen(graph: Graph, added: dict[str, int]) -> None:
    """Grow by splits of each group's first neuron."""
    splits = [Split(graph.groups[g], 0, (1 / (k + 1),) * (k + 1)) for g, k in added.items() if k]
    apply(graph.model, None, GrowthPlan(tuple(splits)), 0.0)


@pytest.mark.parametrize("net", NETS, ids=str)
def test_prices_are_the_counts_of_the_seed_net(net: Net) -> None:
    graph = net.graph()
    counted = count_cost(graph.model, net.sample(1)[0])
    for metric, price in cost_models(graph).items():
        assert price.of(graph.widths()) == pytest.approx(counted[metric], rel=1e-12), metric


@pytest.mark.parametrize("net", NETS, ids=str)
@settings(max_examples=4)
@given(data=st.data())
def test_prices_are_the_counts_of_any_grown_net(net: Net, data: st.DataObject) -> None:
    graph = net.graph()
    found = cost_models(graph)
    added = {name: data.draw(st.integers(0, 5), label=name) for name in graph.groups}
    widths = {name: n + added[name] for name, n in graph.widths().items()}
    widen(graph, added)
    assert graph.widths() == widths
    counted = count_cost(graph.model, net.sample(1)[0])
    for metric, price in found.items():
        assert price.of(widths) == pytest.approx(counted[metric], rel=1e-12), metric
    again = cost_models(Graph(graph.model, net.shape))
    assert all(again[metric].of(widths) == pytest.approx(found[metric].of(widths)) for metric in METRICS)


@pytest.mark.parametrize("net", NETS, ids=str)
@pytest.mark.parametrize("added", [1, 3])
def test_marginal_prices_are_differences(net: Net, added: int) -> None:
    graph = net.graph()
    for price in cost_models(graph).values():
        n = price.vector(graph.widths()) + np.arange(len(price.groups))
        more = [price.at(n + added * unit) - price.at(n) for unit in np.eye(len(n))]
        assert price.marginal(n, added) == pytest.approx(np.array(more))


def test_a_neuron_of_a_convolution_by_hand() -> None:
    """4 inputs, 3x3 kernel, 6x6 positions, norm; read by a 1x1 convolution to 5 channels on 6x6 positions."""
    layers = [nn.Conv2d(4, 7, 3, padding=1, bias=False), nn.BatchNorm2d(7), nn.ReLU(), nn.Conv2d(7, 5, 1), nn.Flatten()]
    graph = Graph(nn.Sequential(*layers, nn.Linear(180, 2)), (4, 6, 6))
    found = cost_models(graph)
    first = {metric: price.marginal(price.vector(graph.widths()))[0] for metric, price in found.items()}
    params, macs, words = 4 * 9 + 2 + 5, 36 * (36 + 5), 36
    assert first["params"] == params
    assert first["macs"] == macs
    assert first["energy"] == pytest.approx(4.6 * macs + 640 * params + 10 * words)
    assert found["params"].of(graph.widths()) == 4 * 7 * 9 + 14 + 7 * 5 + 5 + 180 * 2 + 2
    assert found["macs"].of(graph.widths()) == 36 * (4 * 7 * 9 + 35) + 360


def test_a_shared_slope_is_no_neurons_even_where_there_is_one_neuron() -> None:
    graph = Graph(nn.Sequential(nn.Linear(4, 1), nn.PReLU(), nn.Linear(1, 3)), (4,))
    assert cost_models(graph)["params"].marginal(np.array([1.0])) == pytest.approx(4 + 1 + 3)


def test_a_layer_called_twice_is_counted_twice_but_stored_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.head = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.a(self.a(x)))

    found = cost_models(Graph(Twice(), (3,)))
    assert (found["params"].of({}), found["macs"].of({})) == (12 + 8, 9 + 9 + 6)


def test_a_price_with_a_square() -> None:
    square = CostModel(("a", "b"), 1.0, np.array([2.0, 3.0]), np.array([[4.0, 5.0], [0.0, 6.0]]))
    n = np.array([1.0, 2.0])
    assert square.at(n) == 1 + 2 + 6 + 4 + 10 + 24
    differences = [square.at(n + 3 * unit) - square.at(n) for unit in np.eye(2)]
    assert square.marginal(n, 3) == pytest.approx(np.array(differences))


def test_the_released_cost_of_mobilenet() -> None:
    """Each layer of the CIFAR-100 seed by the formula of the released code, with its resolutions written out."""
    widths = [8, 8, 8, 8, 16, 16, 24, 24, 24, 24, 24, 24, 32, 32]
    sides = [32, 32, 16, 16, 8, 8, 4, 4, 4, 4, 4, 4, 2, 2]
    graph = Graph(build({"name": "mobilenet_v1", "widths": widths}, (3, 32, 32), 100), (3, 32, 32))
    expected = [27 * 32**2 + 32**2]
    for i in range(1, 14):
        behind = sides[i + 1] ** 2 if i < 13 else 100
        expected.append((widths[i - 1] + 9) * sides[i] ** 2 + behind)
    assert released_cost(graph).tolist() == expected
