"""Costs without building are those of the built network; one table of costs says how they are written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.backbones import build
from bench.core.errors import BenchError
from bench.core.registry import NoOptions
from bench.network.cost import Cost, cost, cost_models, costs, in_order, whole
from bench.network.counting import released_cost
from bench.network.graph import Graph
from bench.network.plan import GrowthPlan, Split
from bench.network.quadratic import CostModel
from bench.network.surgery import apply
from tests.nets import NETS, Net, named
from tests.reference import count_cost
from tests.wide import ALL


def widen(graph: Graph, added: dict[str, int]) -> None:
    """Grow by splits of each group's first neuron."""
    splits = [Split(graph.groups[g], 0, (1 / (k + 1),) * (k + 1)) for g, k in added.items() if k]
    apply(graph.model, None, GrowthPlan(tuple(splits)), 0.0)


@pytest.mark.parametrize("net", ALL, ids=str)
def test_costs_are_the_counts_of_the_seed_net(net: Net) -> None:
    graph = net.graph()
    counted = count_cost(graph.model, net.sample(1)[0])
    for name, model in cost_models(graph).items():
        assert model.of(graph.widths()) == pytest.approx(counted[name], rel=1e-12), name


@pytest.mark.parametrize("net", ALL, ids=str)
@settings(max_examples=2)
@given(data=st.data())
def test_costs_are_the_counts_of_any_grown_net(net: Net, data: st.DataObject) -> None:
    graph = net.graph()
    found = cost_models(graph)
    added = {group: data.draw(st.integers(0, 5), label=group) for group in graph.groups}
    widths = {group: n + added[group] for group, n in graph.widths().items()}
    widen(graph, added)
    assert graph.widths() == widths
    counted = count_cost(graph.model, net.sample(1)[0])
    for name, model in found.items():
        assert model.of(widths) == pytest.approx(counted[name], rel=1e-12), name
    again = cost_models(Graph(graph.model, net.shape))
    assert all(again[name].of(widths) == pytest.approx(found[name].of(widths)) for name in found)


@pytest.mark.parametrize("net", ALL, ids=str)
@pytest.mark.parametrize("added", [1, 3])
def test_marginal_costs_are_differences(net: Net, added: int) -> None:
    graph = net.graph()
    for model in cost_models(graph).values():
        n = model.vector(graph.widths()) + np.arange(len(model.groups))
        more = [model.at(n + added * unit) - model.at(n) for unit in np.eye(len(n))]
        assert model.marginal(n, added) == pytest.approx(np.array(more))


def test_a_neuron_of_a_convolution_by_hand() -> None:
    """4 inputs, 3x3 kernel, 6x6 positions, norm; read by a 1x1 convolution to 5 channels on 6x6 positions."""
    layers = [nn.Conv2d(4, 7, 3, padding=1, bias=False), nn.BatchNorm2d(7), nn.ReLU(), nn.Conv2d(7, 5, 1), nn.Flatten()]
    graph = Graph(nn.Sequential(*layers, nn.Linear(180, 2)), (4, 6, 6))
    found = cost_models(graph)
    first = {name: model.marginal(model.vector(graph.widths()))[0] for name, model in found.items()}
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


def test_a_cost_with_a_square() -> None:
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


# -- the table of costs -----------------------------------------------------------------------------------------------


class Neurons(Cost):
    """A cost of one's own."""

    title, unit = "neurons", "cells"

    def text(self, value: float) -> str:
        return f"{value:.1f}"

    def model(self, graph: Graph) -> CostModel:
        n = len(graph.groups)
        return CostModel(tuple(graph.groups), 0.0, np.ones(n), np.zeros((n, n)))


def test_the_table_has_each_cost_once_in_the_order_shown() -> None:
    assert [entry.name for entry in costs][:4] == ["params", "macs", "energy", "latency"]
    headings = {entry.name: cost(entry.name).heading for entry in costs}
    assert headings["params"] == "parameters"
    assert headings["energy"] == "energy, pJ"
    assert headings["latency"] == "latency, us"
    assert in_order({"mine": 0, "latency": 0, "params": 0}) == ["params", "latency", "mine"]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("params", 12345678, "12,345,678"),
        ("macs", 12345, "12,345"),
        ("macs", 12345678, "12.3 M"),
        ("energy", 212815.2, "213 k"),
        ("latency", 19.2869, "19.3"),
        ("of another package", 1500.0, "1.5 k"),
    ],
)
def test_each_cost_says_how_it_is_written(name: str, value: float, text: str) -> None:
    assert cost(name).text(value) == text


def test_a_cost_of_ones_own_is_computed_beside_the_others() -> None:
    costs.names()
    costs.register("neurons")(Neurons)
    try:
        graph = NETS[0].graph()
        assert cost_models(graph)["neurons"].of(graph.widths()) == sum(graph.widths().values())
        assert cost("neurons").heading == "neurons, cells"
        assert in_order({"neurons": 0, "macs": 0}) == ["macs", "neurons"]
    finally:
        del costs._entries["neurons"]
    assert cost("neurons").heading == "neurons"  # in somebody else's record it is shown as it stands
    with pytest.raises(AssertionError):
        cost("neurons").model(graph)


def test_latency_is_measured_where_it_is_asked_for_and_not_computed_with_the_others() -> None:
    graph = NETS[0].graph(dtype=torch.float32)
    assert "latency" not in cost_models(graph)
    assert costs["latency"].factory(NoOptions()).model(graph).of(graph.widths()) > 0


def test_records_state_whole_numbers_without_decimals() -> None:
    assert [repr(whole(value)) for value in (330.0, 212815.2, 0.0)] == ["330", "212815.2", "0"]


def test_a_foreign_cost_that_fails_is_left_out_unless_it_is_asked_for() -> None:
    class Failing(Cost):
        def model(self, graph: Graph) -> CostModel:
            raise SystemExit("no such thing")

    costs.names()
    costs.register("failing")(Failing)
    try:
        graph = named("mlp").graph()
        assert "params" in cost_models(graph)
        assert "failing" not in cost_models(graph)
        with pytest.raises(BenchError, match=r"^growth\.cost=failing: SystemExit: no such thing"):
            cost_models(graph, "failing")
    finally:
        del costs._entries["failing"]


def test_a_cost_that_a_neuron_adds_nothing_to_is_no_ladder() -> None:
    class Free(Cost):
        def model(self, graph: Graph) -> CostModel:
            costs = np.ones(len(graph.groups))
            costs[-1] = 0
            return CostModel(tuple(graph.groups), 1.0, costs, np.zeros((len(costs), len(costs))))

    costs.names()
    costs.register("free")(Free)
    try:
        graph = named("mlp").graph()
        assert "free" in cost_models(graph)  # beside others it stops nobody
        last = list(graph.groups)[-1]
        with pytest.raises(BenchError, match=rf"^growth\.cost=free: one more neuron of {last} adds 0; expected more"):
            cost_models(graph, "free")
    finally:
        del costs._entries["free"]
