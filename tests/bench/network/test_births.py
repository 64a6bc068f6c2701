"""Births: surgery against the grown net made by hooks, what a null neuron owns, the optimiser, predictions."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from bench.core.errors import PlanError
from bench.growth.grower import Grower
from bench.growth.method import GrowthContext
from bench.network.graph import Graph
from bench.network.groups import Group, outgoing, tensor_of, theta
from bench.network.newborn import settle
from bench.network.plan import Birth, GrowthPlan, Split, relative, validate
from bench.network.surgery import apply, load
from tests.bench.network.test_surgery import OPTIMIZERS, gap, random_plan, train
from tests.nets import NETS, SMOOTH, Net, grow_context, named
from tests.reference import grown_outputs, loss_after, plan_offspring
from tests.wide import ALL as EVERY

ALL = [net for net in EVERY if net.name not in ("heads, written", "heads, causal", "heads, parted")]
"""One kind of attention for all; reading one takes seconds."""
KINDS = ("silent", "deaf", "pairs")
LOUD = {("functional", "two"), ("functional_relu", "two"), ("channels last, scaled and shifted", "up")}
"""Groups whose null neurons put something out: a sigmoid, or a number that is added, lies behind them."""


def drawn(graph: Graph, group: Group, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random incoming and outgoing weights."""
    sizes = theta(graph.model, group).shape[1], outgoing(graph.model, group).shape[1]
    one, two = (torch.randn(size, generator=generator, dtype=torch.float64) / size**0.5 for size in sizes)
    return one, two


def any_births(graph: Graph, seed: int, count: int = 2) -> tuple[Birth, ...]:
    """Births with all that they may have, in every group, in random order."""
    generator, births = torch.Generator().manual_seed(seed), []
    for group in graph.groups.values():
        for k in range(count):
            one, two = drawn(graph, group, generator)
            three, four = drawn(graph, group, generator) if k % 2 else (None, None)
            births.append(Birth(group, one, two, three, four))
    order = torch.randperm(len(births), generator=generator).tolist()
    return tuple(births[i] for i in order)


def kept_births(graph: Graph, net: Net, kind: str, seed: int = 0) -> tuple[Birth, ...]:
    """Births in every group that leave the function alone at epsilon = 0.

    They have no outgoing weights (silent), no incoming ones (deaf), or come in pairs that cancel.
    """
    generator, births = torch.Generator().manual_seed(seed), []
    for group in graph.groups.values():
        (one, two), (three, four) = drawn(graph, group, generator), drawn(graph, group, generator)
        if kind == "silent":
            births.append(Birth(group, one, two, base_incoming=three))
        elif kind == "deaf" and (net.name, group.name) not in LOUD:
            births.append(Birth(group, one, two, base_outgoing=four))
        elif kind == "pairs":
            births += [Birth(group, one, sign * two, three, sign * four) for sign in (1, -1)]
    return tuple(births)


# -- the function ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", EVERY, ids=str)
def test_surgery_makes_the_net_with_the_new_neurons(net: Net) -> None:
    graph = net.graph()
    inputs, _ = net.sample()
    births, epsilon = any_births(graph, 1), 0.3
    validate(GrowthPlan(births=births), graph.model, graph.groups)
    expected = grown_outputs(graph.model, graph.groups, {}, births, epsilon, inputs)
    before = graph.model(inputs)
    receipt = apply(graph.model, None, GrowthPlan(births=births), epsilon)
    assert gap(graph.model(inputs), expected) < 1e-12
    assert gap(expected, before) > 1e-3
    assert (receipt.splits, receipt.births, receipt.added) == (0, len(births), dict.fromkeys(receipt.added, 2))


@pytest.mark.parametrize("net", NETS, ids=str)
@settings(max_examples=3)
@given(seed=st.integers(0, 10**6), epsilon=st.sampled_from([0.0, 0.2]))
def test_surgery_makes_the_net_with_splits_and_new_neurons_together(net: Net, seed: int, epsilon: float) -> None:
    """New neurons are stated for the net before: their weights go through the copies of what they lie in."""
    graph = net.graph(seed % 7)
    inputs, _ = net.sample()
    plan = GrowthPlan(random_plan(graph, seed).splits, any_births(graph, seed))
    validate(plan, graph.model, graph.groups)
    offspring = plan_offspring(graph.model, plan.splits, epsilon)
    expected = grown_outputs(graph.model, graph.groups, offspring, plan.births, epsilon, inputs)
    receipt = apply(graph.model, None, plan, epsilon)
    assert gap(graph.model(inputs), expected) < 1e-12
    assert receipt.added == plan.added()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("net", ALL, ids=str)
def test_the_function_is_kept_and_read_again(net: Net, kind: str) -> None:
    """Beside splits, in all groups at once; what the network runs after growth is what it is taken for."""
    graph = net.graph()
    inputs, _ = net.sample()
    before = graph.model(inputs)
    plan = GrowthPlan(random_plan(graph, 3).splits, kept_births(graph, net, kind))
    assert all(birth.has_directions for birth in plan.births)
    moved = copy.deepcopy(graph.model)
    apply(moved, None, plan, 0.3)
    assert gap(moved(inputs), before) > 1e-4
    apply(graph.model, None, plan, 0.0)
    assert gap(graph.model(inputs), before) < 1e-12
    if kind != "pairs":
        return
    grown = graph.grown()
    assert grown.widths() == {name: n + plan.added().get(name, 0) for name, n in net.widths.items()}
    assert gap(grown.program.run(graph.model, inputs), before) < 1e-12


@pytest.mark.parametrize("net", ALL, ids=str)
def test_null_neurons_with_outgoing_weights_put_out_nothing_but_where_it_is_known(net: Net) -> None:
    """So `LOUD` is what it is said to be."""
    for name in net.widths:
        graph = net.graph()
        inputs, _ = net.sample()
        before = graph.model(inputs)
        one, two = drawn(graph, graph.groups[name], torch.Generator().manual_seed(0))
        apply(graph.model, None, GrowthPlan(births=(Birth(graph.groups[name], one * 0, two),)), 1.0)
        assert (gap(graph.model(inputs), before) > 1e-6) == ((net.name, name) in LOUD)


@pytest.mark.parametrize("net", ALL, ids=str)
def test_the_order_of_groups_does_not_matter(net: Net) -> None:
    graph = net.graph()
    inputs, _ = net.sample()
    splits, births, found = random_plan(graph, 5).splits, any_births(graph, 5), []
    for names in (list(graph.groups), list(graph.groups)[::-1]):
        twin = copy.deepcopy(graph.model)
        ordered = [[one for name in names for one in of if one.group.name == name] for of in (splits, births)]
        apply(twin, None, GrowthPlan(tuple(ordered[0]), tuple(ordered[1])), 0.3)
        found.append(twin)
    assert gap(found[0](inputs), found[1](inputs)) < 1e-12
    for name, tensor in found[0].state_dict().items():
        assert torch.allclose(tensor.double(), found[1].state_dict()[name].double(), rtol=0, atol=1e-12), name


@pytest.mark.parametrize("name", ["mlp", "flatten", "two_consumers", "residual_stream"])
def test_births_at_once_are_births_one_after_another(name: str) -> None:
    """In one group; the outgoing weights of the next then have entries for the rows that are there."""
    net = named(name)
    graph = net.graph()
    inputs, _ = net.sample()
    first = next(iter(graph.groups.values()))
    births = tuple(birth for birth in any_births(graph, 2, 3) if birth.group == first)
    together, alone = copy.deepcopy(graph.model), graph.on(copy.deepcopy(graph.model))
    apply(together, None, GrowthPlan(births=births), 0.3)
    for birth in births:
        d, out = theta(alone.model, first).shape[1], outgoing(alone.model, first).shape[1]
        if (d, out) != (len(birth.incoming), len(birth.outgoing)):
            assert name == "residual_stream"  # a layer that reads the group and adds to it has grown in both
            return
        apply(alone.model, None, GrowthPlan(births=(birth,)), 0.3)
    assert gap(alone.model(inputs), together(inputs)) < 1e-12


@pytest.mark.parametrize("net", ALL, ids=str)
def test_in_single_precision_and_with_flags_kept(net: Net) -> None:
    graph = net.graph(dtype=torch.float32)
    inputs, targets = net.sample(dtype=torch.float32)
    before = graph.model(inputs)
    graph.model.train()
    modules = {name: id(module) for name, module in graph.model.named_modules()}
    apply(graph.model, None, GrowthPlan(births=kept_births(graph, net, "silent")), 0.0)
    assert {name: id(module) for name, module in graph.model.named_modules()} == modules
    assert all(p.is_leaf and p.requires_grad and p.dtype == torch.float32 for p in graph.model.parameters())
    assert all(module.training for module in graph.model.modules())
    F.cross_entropy(graph.model(inputs), targets).backward()  # trains on in training mode
    assert all(p.grad is not None and p.grad.shape == p.shape for p in graph.model.parameters())
    again = net.graph(dtype=torch.float32)
    apply(again.model, None, GrowthPlan(births=kept_births(again, net, "silent")), 0.0)
    assert gap(again.model(inputs), before) < 1e-5


@pytest.mark.parametrize("net", ALL, ids=str)
def test_a_net_with_new_neurons_loads_into_a_fresh_seed_net(net: Net) -> None:
    graph = net.graph()
    inputs, _ = net.sample()
    for seed in (1, 2):
        apply(graph.model, None, GrowthPlan(births=any_births(graph, seed, 1)), 0.1)
    fresh = net.model(seed=9)
    load(fresh, copy.deepcopy(graph.model.state_dict()), net.graph().groups.values())
    assert torch.equal(fresh(inputs), graph.model(inputs))
    assert str(fresh) == str(graph.model)


def test_new_neurons_have_their_places() -> None:
    """Behind all offspring, in the plan's order."""
    graph = named("mlp").graph()
    layer, reader = graph.model.get_submodule("0"), graph.model.get_submodule("2")
    rows, bias, columns = (t.detach().clone() for t in (layer.weight, layer.bias, reader.weight))
    group = graph.groups["0"]
    one, two = torch.arange(5.0).double(), torch.arange(4.0).double()
    births = (Birth(group, one, two), Birth(group, -one, two * 0, base_incoming=one, base_outgoing=two + 1))
    receipt = apply(graph.model, None, GrowthPlan((Split(group, 3, (0.75, 0.25)),), births), 0.5)
    assert torch.equal(layer.weight, torch.cat([rows[[0, 1, 2, 3, 4, 3]], torch.stack([one, one])[:, :4] / 2]))
    assert torch.equal(layer.bias, torch.cat([bias[[0, 1, 2, 3, 4, 3]], torch.stack([one, one])[:, 4] / 2]))
    assert torch.equal(reader.weight[:, -2:], torch.stack([two / 2, two + 1], dim=1))
    factors = torch.tensor([1, 1, 1, 0.75, 1, 0.25], dtype=torch.float64)
    assert torch.equal(reader.weight[:, :-2], columns[:, [0, 1, 2, 3, 4, 3]] * factors)
    expansion = receipt.expansions["0"]
    assert expansion.parents.tolist() == [0, 1, 2, 3, 4, 3, -1, -1]
    assert expansion.born.tolist() == [False] * 5 + [True] * 3
    assert expansion.newborn.tolist() == [6, 7]


# -- what a null neuron owns -----------------------------------------------------------------------------------------


class Halved(nn.Module):
    """A norm without scale and shift, behind a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm, self.two = nn.Linear(4, 5), nn.BatchNorm1d(5, affine=False), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(torch.tanh(self.norm(self.one(x))))


def norms(graph: Graph) -> dict[str, tuple[nn.Module, Tensor]]:
    """Batch norms of each group's chain by path, with the channels that its last neuron owns."""
    found = {}
    for group in graph.groups.values():
        for slot in group.chain:
            path, _, name = slot.tensor.rpartition(".")
            if name == "running_mean":
                found[path] = graph.model.get_submodule(path), slot.owned(group.name, slot.widths(graph.model))[-1]
    return found


def through(model: nn.Module, layer: nn.Module, inputs: Tensor) -> Tensor:
    """What a layer reads when the model is run."""
    read: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, args: read.append(args[0].detach().clone()))
    with torch.no_grad():
        model(inputs)
    handle.remove()
    return read[0]


NORMED = [
    net
    for net in ALL
    if "frozen" not in net.name and any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in net.model().modules())
]


@pytest.mark.parametrize("net", [*NORMED, Net("halved", Halved, (4,), {"one": 5})], ids=str)
def test_norms_behind_a_new_neuron_are_the_identity_and_once_settled_in_training_too(net: Net) -> None:
    if net.name == "halved":
        torch.manual_seed(0)
        graph = Graph(Halved().double().eval(), net.shape)
    else:
        graph = net.graph()
    inputs, _ = net.sample(20)
    plan = GrowthPlan(births=kept_births(graph, net, "silent"))
    result = apply(graph.model, None, plan, 1e-3)
    before = graph.model(inputs)
    found = norms(graph)
    assert found
    for layer, own in found.values():
        read = through(graph.model, layer, inputs)
        assert torch.allclose(F.batch_norm(read, *_statistics(layer))[:, own], read[:, own], rtol=1e-12, atol=1e-14)
    newborn = {name: expansion.newborn for name, expansion in result.expansions.items()}
    settle(graph.model, graph.groups.values(), newborn, lambda: iter(inputs.split(7)))
    assert gap(graph.model(inputs), before) < 1e-12
    for layer, own in found.values():
        if not layer.affine:
            continue
        read = through(graph.model, layer, inputs)
        statistics = read.movedim(1, 0).flatten(1)
        assert torch.allclose(layer.running_mean[own], statistics.mean(1)[own])
        assert torch.allclose(layer.running_var[own], statistics.var(1, correction=0)[own])
        trained = F.batch_norm(read, None, None, layer.weight, layer.bias, training=True, eps=layer.eps)
        assert torch.allclose(trained[:, own], read[:, own], rtol=1e-10, atol=1e-12)


def _statistics(layer: Any) -> tuple[Any, ...]:
    return layer.running_mean, layer.running_var, layer.weight, layer.bias, False, 0.0, layer.eps


def test_settling_leaves_everything_else_alone() -> None:
    graph = named("norm").graph()
    inputs, _ = named("norm").sample()
    apply(graph.model, None, GrowthPlan(births=kept_births(graph, named("norm"), "silent")), 0.0)
    graph.model.train()
    before = copy.deepcopy(graph.model.state_dict())
    settle(graph.model, graph.groups.values(), {"0": torch.tensor([4])}, lambda: [inputs])
    assert all(module.training for module in graph.model.modules())
    changed = {name for name, tensor in graph.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {f"1.{name}" for name in ("weight", "bias", "running_mean", "running_var")}
    for name in changed:
        assert torch.equal(graph.model.state_dict()[name][:4], before[name][:4])
    settle(graph.model, graph.groups.values(), {}, lambda: pytest.fail("nothing to settle needs no sample"))


@pytest.mark.parametrize("name", ["depthwise", "depthwise_only", "depthwise, two for one"])
def test_depthwise_convolutions_pass_a_new_neuron_on(name: str) -> None:
    graph = next(net for net in ALL if net.name == name).graph()
    group = next(iter(graph.groups.values()))
    (slot,) = [
        slot
        for slot in group.chain
        if slot.tensor.endswith("weight") and tensor_of(graph.model, slot.tensor).dim() == 4
    ]
    apply(graph.model, None, GrowthPlan(births=any_births(graph, 0)), 1.0)
    layer: Any = graph.model.get_submodule(slot.layer)
    own = slot.owned(group.name, slot.widths(graph.model))[-1]
    kernel = torch.zeros(3, 3, dtype=torch.float64)
    kernel[1, 1] = 1
    assert torch.equal(layer.weight[own, 0], kernel.expand(len(own), 3, 3))
    assert layer.groups == len(layer.weight) // len(own)
    assert layer.bias is None or not layer.bias[own].any()


# -- the optimiser ---------------------------------------------------------------------------------------------------


def born(graph: Graph, plan: GrowthPlan) -> dict[str, Tensor]:
    """Which entries of each tensor of the grown model are new neurons'."""
    found = {name: torch.zeros_like(t, dtype=torch.bool) for name, t in graph.model.state_dict().items()}
    for name, added in plan.added().items():
        group = graph.groups[name]
        for slot in (*group.rows, *group.consumers):
            places = slot.owned(name, slot.widths(graph.model))[-added:].flatten()
            found[slot.tensor].movedim(slot.dim, 0)[places] = True
    return found


@pytest.mark.parametrize("policy", ["carry", "zero"])
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("net", ALL, ids=str)
def test_new_neurons_start_at_rest_and_all_else_is_carried_exactly(net: Net, kind: str, policy: str) -> None:
    graph = net.graph()
    inputs, targets = net.sample()
    optimizer = OPTIMIZERS[kind](graph.model.parameters())
    train(graph.model, optimizer, inputs, targets, 2)
    names = {id(parameter): name for name, parameter in graph.model.named_parameters()}
    held = {names[id(p)]: dict(state) for p, state in optimizer.state.items()}
    before = {name: tensor.clone() for name, tensor in graph.model.state_dict().items()}
    plan = GrowthPlan(births=any_births(graph, 3))
    apply(graph.model, optimizer, plan, 0.1, policy)
    new = born(graph, plan)
    for name, tensor in graph.model.state_dict().items():
        assert torch.equal(tensor[~new[name]], before[name].flatten()), name
    assert any(mask.any() for mask in new.values())
    assert {id(p) for p in optimizer.state} <= {id(p) for p in graph.model.parameters()}
    for name, parameter in graph.model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if not isinstance(value, Tensor) or not value.dim():
                assert value == held[name][key]
                continue
            assert torch.equal(value[~new[name]], held[name][key].flatten()), (name, key)
            assert not value[new[name]].any()
    train(graph.model, optimizer, inputs, targets, 1)  # and training goes on


# -- growth events ---------------------------------------------------------------------------------------------------


class Planned:
    """A method that proposes what it is given, once."""

    def __init__(self, plan: Callable[[GrowthContext], GrowthPlan]) -> None:
        self.plan, self.asked = plan, 0

    def propose(self, context: GrowthContext) -> GrowthPlan:
        self.asked += 1
        return self.plan(context) if self.asked == 1 else GrowthPlan(stopped="done")


@pytest.mark.parametrize("name", ["mlp", "norm", "residual_stream", "depthwise"])
def test_lineage_averages_and_records_of_an_event_with_births(name: str) -> None:
    net = named(name)
    model = net.model()
    inputs, targets = net.sample(20)

    def plan(context: GrowthContext) -> GrowthPlan:
        first = context.groups[0]
        split = Split(first, 1, (1.5, -0.5))
        return GrowthPlan((split,), kept_births(context.graph, net, "silent"))

    average = AveragedModel(model)
    grower = Grower(model, inputs[:1], Planned(plan), epsilon=0.01, build=net.model)
    growth = grower.grow(inputs, targets, F.cross_entropy, averages=average, ratio=20.0)
    first = next(iter(net.widths))
    for group, lineage in grower.lineage.items():
        n = net.widths[group]
        expected = [1.0] * (n + 1) if group != first else [1.0, 1.5, *[1.0] * (n - 2), 0.5, 1.0]
        assert lineage.tolist() == expected
    assert growth.record.births == len(net.widths)
    assert growth.record.splits == 1
    assert growth.record.added_neurons == len(net.widths) + 1
    assert growth.record.function_gap is not None
    assert growth.record.function_gap < 1e-12
    assert growth.record.predicted_drop is None
    states = model.state_dict(), average.module.state_dict()
    assert {key: value.shape for key, value in states[0].items()} == {k: v.shape for k, v in states[1].items()}
    assert gap(average.module(inputs), model(inputs)) < 1e-12


def test_norms_of_new_neurons_are_settled_by_the_event_in_the_model_and_its_averages() -> None:
    net = named("norm")
    model, (inputs, targets) = net.model(), net.sample(20)
    average = AveragedModel(model)
    method = Planned(lambda context: GrowthPlan(births=kept_births(context.graph, net, "silent")))
    Grower(model, inputs[:1], method).grow(inputs, targets, F.cross_entropy, averages=average, ratio=20.0)
    for one in (model, average.module):
        layer: Any = one.get_submodule("1")
        read = through(one, layer, inputs).movedim(1, 0).flatten(1)
        assert float(layer.running_var[-1]) == pytest.approx(float(read[-1].var(correction=0)))
        assert float(layer.running_mean[-1]) == pytest.approx(float(read[-1].mean()))


def test_a_birth_that_changes_the_function_is_refused_and_named() -> None:
    net = named("functional")
    model, (inputs, targets) = net.model(), net.sample(20)

    def plan(context: GrowthContext) -> GrowthPlan:
        births = []
        for group in context.groups:
            one, two = drawn(context.graph, group, torch.Generator().manual_seed(0))
            births.append(Birth(group, one, two, base_outgoing=two))
        return GrowthPlan(births=tuple(births))

    with pytest.raises(Exception, match=r"growing two \(Conv2d 3x3\) changes the function by .* nothing was grown"):
        Grower(model, inputs[:1], Planned(plan)).grow(inputs, targets, F.cross_entropy, ratio=20.0)


# -- what is predicted -----------------------------------------------------------------------------------------------


def loss(graph: Graph, net: Net, plan: GrowthPlan, epsilon: float) -> float:
    return loss_after(graph.model, plan, epsilon, *net.sample())


def predicting(context: GrowthContext, net: Net) -> GrowthPlan:
    """Random splits and births in every group, with what they gain."""
    splits, births, generator = [], [], torch.Generator().manual_seed(0)
    for group in context.groups:
        operator = context.operator(group)
        v = F.normalize(torch.randn(operator.neurons, operator.size, generator=generator, dtype=torch.float64), dim=1)
        gains = (v * operator(v)).sum(1).tolist()
        splits.append(Split(group, 0, (0.5, 0.5), torch.stack([v[0], -v[0]]), gains[0]))
        if (net.name, group.name) not in LOUD:
            one, two = (F.normalize(way, dim=0) for way in drawn(context.graph, group, generator))
            births.append(Birth(group, one, two, gain=float(context.pair(group).gain(one[None], two[None]))))
    return GrowthPlan(tuple(splits), tuple(births))


@pytest.mark.parametrize("net", SMOOTH, ids=str)
def test_gains_of_splits_and_births_add(net: Net) -> None:
    """The excess over the sum falls like the step."""
    context = grow_context(net.graph(), *net.sample())
    plan = predicting(context, net)
    start, scale, errors = loss(context.graph, net, plan, 0.0), sum(abs(c.gain or 0.0) for c in plan.changes), []
    for step in (4e-3, 4e-4):
        predicted = plan.predicted_change(step)
        assert predicted == pytest.approx(step**2 / 2 * sum(change.gain or 0.0 for change in plan.changes))
        errors.append(abs(loss(context.graph, net, plan, step) - start - predicted) / (step**2 / 2 * scale))
    assert errors[0] < 0.2
    assert errors[1] < max(errors[0] / 5, 1e-6)
    assert replace(plan, births=(*plan.births, replace(plan.births[0], gain=None))).predicted_change(0.1) is None


@pytest.mark.parametrize("name", ["mlp", "norm", "two_consumers", "residual_stream"])
def test_relative_steps_are_in_units_of_the_neurons_norm(name: str) -> None:
    net = named(name)
    context = grow_context(net.graph(), *net.sample())
    plan = predicting(context, net)
    scaled, model = relative(plan, context.graph.model), context.graph.model
    for one, two in zip(plan.splits, scaled.splits, strict=True):
        norm = float(theta(model, one.group)[one.neuron].norm())
        assert abs(norm - 1) > 1e-4
        assert torch.allclose(two.directions, norm * one.directions, rtol=1e-12)
        assert two.gain == pytest.approx(norm**2 * one.gain, rel=1e-12)
    assert scaled.births == plan.births
    start, step = loss(context.graph, net, plan, 0.0), 1e-3
    scale = sum(abs(change.gain or 0.0) for change in scaled.changes)
    measured = loss(context.graph, net, scaled, step) - start
    assert abs(measured - (scaled.predicted_change(step) or 0.0)) < 0.05 * step**2 / 2 * scale
    unknown = GrowthPlan((Split(plan.splits[0].group, 0, (0.5, 0.5)), replace(plan.splits[0], neuron=1, gain=None)))
    assert [split.gain for split in relative(unknown, model).splits] == [None, None]
    assert relative(unknown, model).splits[0].directions is None


def test_an_event_takes_relative_steps_where_asked() -> None:
    net = named("mlp")
    inputs, targets = net.sample()
    grown = []
    for asked in (False, True):
        model = net.model()
        method = Planned(lambda context: predicting(context, net))
        grower = Grower(model, inputs, method, epsilon=1e-3, epsilon_relative=asked)
        growth = grower.grow(inputs, targets, F.cross_entropy, ratio=20.0)
        assert growth.predicted_drop == pytest.approx(growth.measured_drop, rel=0.02)
        grown.append(model.get_submodule("0").weight.detach())
    seed = net.model().get_submodule("0").weight.detach()
    bias = net.model().get_submodule("0").bias.detach()
    norm = float(torch.cat([seed[0], bias[:1]]).norm())
    assert torch.allclose(grown[1][0] - seed[0], norm * (grown[0][0] - seed[0]), rtol=1e-9)
    assert torch.equal(grown[1][-1], grown[0][-1])  # the birth, which has no norm before


# -- plans that cannot be --------------------------------------------------------------------------------------------

GRAPH = named("mlp").graph()
IN, OUT = torch.ones(5, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
GOOD = Birth(GRAPH.groups["0"], IN, OUT)


def test_good_births_pass() -> None:
    births = (GOOD, replace(GOOD, base_incoming=5 * IN, base_outgoing=7 * OUT, gain=-1))
    plan = GrowthPlan(births=births, scale={"0": 0.5, "2": 2}, epsilon="line_search", cycles=3)
    validate(plan, GRAPH.model, GRAPH.groups)
    assert plan.added() == {"0": 2}
    assert plan.has_directions
    assert not GrowthPlan(births=(Birth(GRAPH.groups["0"], IN * 0, OUT * 0, IN, OUT),)).has_directions
    for one in ({"incoming": IN}, {"outgoing": OUT}):
        assert replace(GOOD, **{"incoming": IN * 0, "outgoing": OUT * 0, **one}).has_directions
    assert (plan.of({"2"}).births, plan.of({"2"}).scale) == ((), {"2": 2})
    assert (plan.of({"0"}).births, plan.of({"0"}).scale) == (births, {"0": 0.5})


BAD: dict[str, GrowthPlan] = {
    "birth in 0: incoming of shape (4,); expected (5,)": GrowthPlan(births=(replace(GOOD, incoming=IN[:4]),)),
    "birth in 0: outgoing of shape (5,); expected (4,)": GrowthPlan(births=(replace(GOOD, outgoing=IN),)),
    "birth in 0: base_incoming of shape (1, 5)": GrowthPlan(births=(replace(GOOD, base_incoming=IN[None]),)),
    "birth in 0: base_outgoing of shape (5,)": GrowthPlan(births=(replace(GOOD, base_outgoing=IN),)),
    "birth in 0: incoming has a number that is not finite": GrowthPlan(births=(replace(GOOD, incoming=IN / 0),)),
    "birth in 0: base_outgoing has a number that": GrowthPlan(births=(replace(GOOD, base_outgoing=OUT * torch.nan),)),
    "birth in 0: incoming of torch.int64": GrowthPlan(births=(replace(GOOD, incoming=IN.long()),)),
    "birth in 0: incoming of NoneType": GrowthPlan(births=(replace(GOOD, incoming=None),)),
    "birth in 0: outgoing of list": GrowthPlan(births=(replace(GOOD, outgoing=OUT.tolist()),)),
    "birth in 0: a gain of nan; expected a finite number": GrowthPlan(births=(replace(GOOD, gain=float("nan")),)),
    "birth in 0: a gain of tensor(1.)": GrowthPlan(births=(replace(GOOD, gain=torch.tensor(1.0)),)),
    "the plan has a Split among its births; expected a Birth of a Group": GrowthPlan(
        births=(Split(GRAPH.groups["0"], 0, (0.5, 0.5)),)
    ),
    "the plan has a Birth among its splits; expected a Split of a Group": GrowthPlan((GOOD,)),
    "the plan grows group stem: expected one of 0, 2": GrowthPlan(
        births=(replace(GOOD, group=named("gated").graph().groups["stem"]),)
    ),
    "the plan's scale of 'other' is 0.5; expected a number above 0": GrowthPlan(scale={"other": 0.5}),
    "the plan's scale of '0' is 0.0": GrowthPlan(scale={"0": 0.0}),
    "the plan's scale of '0' is -1.0": GrowthPlan(scale={"0": -1.0}),
    "the plan's scale of '0' is inf": GrowthPlan(scale={"0": float("inf")}),
    "the plan's scale of '2' is tensor(0.5000)": GrowthPlan(scale={"2": torch.tensor(0.5)}),
    "the plan's epsilon is 0; expected a number above 0, at most 1000, line_search or None": GrowthPlan(epsilon=0),
    "the plan's epsilon is -0.1": GrowthPlan(epsilon=-0.1),
    "the plan's epsilon is 'best'": GrowthPlan(epsilon="best"),
    "the plan's epsilon is nan": GrowthPlan(epsilon=float("nan")),
    "the plan's epsilon is 1001.0": GrowthPlan(epsilon=1001.0),
    "the plan's epsilon is True": GrowthPlan(epsilon=True),
    "the plan asks for 0 cycles; expected a whole number of at least 1": GrowthPlan(cycles=0),
    "the plan asks for 1.5 cycles": GrowthPlan(cycles=1.5),
    "the plan asks for True cycles": GrowthPlan(cycles=True),
    "the plan asks for None cycles": GrowthPlan(cycles=None),
}


@pytest.mark.parametrize("message", BAD)
def test_plans_that_cannot_be_are_answered_with_one_line(message: str) -> None:
    with pytest.raises(PlanError, match=re.escape(message)) as error:
        validate(BAD[message], GRAPH.model, GRAPH.groups)
    assert "\n" not in str(error.value)
