"""What every registered method must keep, on every net."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from bench.core.errors import Refused
from bench.core.registry import Entry
from bench.growth.method import GrowthContext
from bench.methods import registry
from bench.network.plan import GrowthPlan, Split, validate
from bench.network.surgery import apply
from tests.methods.made import COSTS, context_of, method
from tests.nets import NETS, Net, grow_context, named
from tests.reference import count_cost

METHODS = list(registry)


def propose(entry: Entry, context: GrowthContext) -> GrowthPlan:
    try:
        return entry.factory(entry.config()).propose(context)
    except Refused as refused:
        pytest.skip(str(refused))


def described(plan: GrowthPlan) -> list[tuple[object, ...]]:
    """A plan as plain numbers."""
    return [
        (s.group.name, s.neuron, s.weights, None if s.directions is None else s.directions.tolist(), s.gain)
        for s in plan.splits
    ] + [
        (b.group.name, *(None if t is None else t.tolist() for t in (b.incoming, b.outgoing, b.base_incoming)), b.gain)
        for b in plan.births
    ]


@pytest.mark.parametrize("net", NETS, ids=str)
@pytest.mark.parametrize("entry", METHODS, ids=lambda e: e.name)
def test_plans_are_valid_fit_and_leave_the_function(entry: Entry, net: Net) -> None:
    graph = net.graph()
    inputs, targets = net.sample()
    state = copy.deepcopy(graph.model.state_dict())
    context = grow_context(graph, inputs, targets)
    plan = propose(entry, context)
    assert all(torch.equal(state[key], value) for key, value in graph.model.state_dict().items())
    assert plan.changes or plan.stopped
    validate(plan, graph.model, graph.groups)
    with torch.no_grad():
        before = graph.model(inputs)
        apply(graph.model, None, plan, 0.0)
        after = graph.model(inputs)
    assert float((after - before).abs().max()) < 1e-12 * float(before.abs().max())
    assert count_cost(graph.model, inputs)["params"] <= context.target


@pytest.mark.parametrize("net", NETS, ids=str)
@pytest.mark.parametrize("entry", METHODS, ids=lambda e: e.name)
def test_in_single_precision_and_training_mode(entry: Entry, net: Net) -> None:
    graph = net.graph(dtype=torch.float32)
    graph.model.train()
    inputs, targets = net.sample(dtype=torch.float32)
    plan = propose(entry, grow_context(graph, inputs, targets, engine="lanczos"))
    assert all(module.training for module in graph.model.modules())
    validate(plan, graph.model, graph.groups)
    twin = copy.deepcopy(graph.model)
    apply(graph.model, None, plan, 0.0)
    assert all(module.training for module in graph.model.modules())
    with torch.no_grad():
        before, after = twin.eval()(inputs), graph.model.eval()(inputs)
    assert float((after - before).abs().max()) < 1e-5 * float(before.abs().max())


@pytest.mark.parametrize("entry", METHODS, ids=lambda e: e.name)
@pytest.mark.parametrize("metric", COSTS)
@pytest.mark.parametrize("name", ["norm", "depthwise", "flatten"])
def test_no_cost_exceeds_its_rung_in_any_metric(entry: Entry, metric: str, name: str) -> None:
    """Rung after rung, at true costs, counted on the grown net."""
    net = named(name)
    graph = net.graph()
    inputs, targets = net.sample()
    seed_widths = graph.widths()
    for ratio in (1.3, 1.3):
        context = grow_context(graph, inputs, targets, ratio=ratio, metric=metric, seed_widths=seed_widths)
        plan = propose(entry, context)
        apply(graph.model, None, plan, 0.0)
        assert count_cost(graph.model, inputs)[metric] <= context.target * (1 + 1e-12)


@pytest.mark.parametrize("entry", METHODS, ids=lambda e: e.name)
@pytest.mark.parametrize("name", ["norm", "two_consumers"])
def test_calls_go_on_until_nothing_is_proposed(entry: Entry, name: str) -> None:
    """After the last one, no neuron of any group that the method holds useful fits."""
    net = named(name)
    graph = net.graph()
    sample = net.sample()
    target = grow_context(graph, *sample, ratio=3.0).target
    for _ in range(30):
        lineage = {k: torch.ones(n, dtype=torch.float64) for k, n in graph.widths().items()}
        context = grow_context(graph, *sample, target=target, seed_widths=net.widths, lineage=lineage)
        plan = propose(entry, context)
        if not plan.changes:
            break
        apply(graph.model, None, plan, 0.05)
    assert not plan.changes
    if plan.stopped is None:
        more = context.cost.marginal(context.cost.vector(graph.widths()))
        assert context.cost.of(graph.widths()) + more.min() > target


@pytest.mark.parametrize("entry", METHODS, ids=lambda e: e.name)
def test_nothing_is_proposed_at_or_beyond_the_rung(entry: Entry) -> None:
    for ratio in (1.0, 0.9):
        plan = propose(entry, context_of(named("norm"), ratio=ratio))
        assert not plan.changes


@pytest.mark.parametrize("entry", METHODS, ids=lambda e: e.name)
@pytest.mark.parametrize("engine", ["dense", "lanczos", "rayleigh"])
def test_the_same_seed_makes_the_same_plan(entry: Entry, engine: str) -> None:
    plans = [propose(entry, context_of(named("norm"), engine=engine, seed=3)) for _ in range(2)]
    assert described(plans[0]) == described(plans[1])


@pytest.mark.parametrize("name", ["net2net", "random_split"])
def test_another_seed_makes_another_plan(name: str) -> None:
    plans = [method(name).propose(context_of(named("norm"), seed=seed)) for seed in (0, 1)]
    assert described(plans[0]) != described(plans[1])


@pytest.mark.parametrize("entry", METHODS, ids=lambda e: e.name)
def test_the_global_stream_is_not_touched(entry: Entry) -> None:
    context = context_of(named("norm"))
    state = torch.get_rng_state()
    propose(entry, context)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_method_needs_the_public_fields_only() -> None:
    """Whoever writes one needs nothing else."""

    class First:
        def propose(self, context: GrowthContext) -> GrowthPlan:
            group = context.groups[0]
            v: Tensor = context.spectrum(group).lowest_vectors[0]
            return GrowthPlan((Split(group, 0, (0.5, 0.5), torch.stack([v, -v])),))

    context = context_of(named("mlp"))
    validate(First().propose(context), context.graph.model, context.graph.groups)
