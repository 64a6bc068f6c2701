"""What every registered method must keep, on every net, and what each promises besides."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.backbones import build
from bench.core.errors import ConfigError, Refused
from bench.core.registry import Entry
from bench.growth.method import GrowthContext, GrowthMethod, Trained, check_options
from bench.methods import registry
from bench.methods.fast_s2d import Config as FastConfig
from bench.methods.fast_s2d import FastS2D
from bench.network.cost import METRICS
from bench.network.graph import Graph
from bench.network.plan import GrowthPlan, Split, validate
from bench.network.surgery import apply
from tests.nets import NETS, Net, grow_context, named
from tests.reference import count_cost

METHODS = list(registry)


def method(name: str, **options: object) -> GrowthMethod:
    entry = registry[name]
    return entry.factory(entry.configure(options))


def propose(entry: Entry, context: GrowthContext) -> GrowthPlan:
    try:
        return entry.factory(entry.config()).propose(context)
    except Refused as refused:
        pytest.skip(str(refused))


def context_of(net: Net, **options: object) -> GrowthContext:
    return grow_context(net.graph(), *net.sample(), **options)  # type: ignore[arg-type]


def described(plan: GrowthPlan) -> list[tuple[object, ...]]:
    """A plan as plain numbers."""
    return [
        (s.group.name, s.neuron, s.weights, None if s.directions is None else s.directions.tolist(), s.gain)
        for s in plan.splits
    ]


# -- every method ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", NETS, ids=str)
@pytest.mark.parametrize("entry", METHODS, ids=lambda e: e.name)
def test_plans_are_valid_fit_and_leave_the_function(entry: Entry, net: Net) -> None:
    graph = net.graph()
    inputs, targets = net.sample()
    state = copy.deepcopy(graph.model.state_dict())
    context = grow_context(graph, inputs, targets)
    plan = propose(entry, context)
    assert all(torch.equal(state[key], value) for key, value in graph.model.state_dict().items())
    assert plan.splits or plan.stopped
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
@pytest.mark.parametrize("metric", METRICS)
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
        if not plan.splits:
            break
        apply(graph.model, None, plan, 0.05)
    assert not plan.splits
    if plan.stopped is None:
        budget = context.cost.marginal(context.cost.vector(graph.widths()))
        assert context.cost.of(graph.widths()) + budget.min() > target


@pytest.mark.parametrize("entry", METHODS, ids=lambda e: e.name)
def test_nothing_is_proposed_at_or_beyond_the_rung(entry: Entry) -> None:
    for ratio in (1.0, 0.9):
        plan = propose(entry, context_of(named("norm"), ratio=ratio))
        assert not plan.splits


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


# -- S2D and S3D ----------------------------------------------------------------------------------------------------


def test_s2d_takes_the_most_negative_first_over_all_layers() -> None:
    context = context_of(named("two_consumers"), ratio=2.0)
    plan = method("s2d").propose(context)
    values = [(float(v), g.name, i) for g in context.groups for i, v in enumerate(context.spectrum(g).lowest)]
    negative = sorted(v for v in values if v[0] < 0)
    assert [(s.gain, s.group.name, s.neuron) for s in plan.splits][:2] == negative[:2]
    assert [s.gain for s in plan.splits] == sorted(s.gain for s in plan.splits if s.gain is not None)
    assert all(s.weights == (0.5, 0.5) and torch.equal(s.directions[0], -s.directions[1]) for s in plan.splits)


@pytest.mark.parametrize("name", ["s2d", "fast_s2d", "s3d"])
def test_stable_nets_stop_and_say_so(name: str) -> None:
    """Linear neurons have S = 0."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 3)).double()
    inputs, targets = torch.randn(6, 3, dtype=torch.float64), torch.arange(6) % 3
    plan = method(name).propose(grow_context(Graph(model, (3,)), inputs, targets, ratio=3.0))
    assert (plan.splits, plan.stopped) == ((), "stable")
    assert method(name).propose(context_of(named("norm"), ratio=1.0)).stopped is None


@pytest.mark.parametrize("net", NETS, ids=str)
@pytest.mark.parametrize("rank", ["gain", "gain_per_cost"])
def test_s3d_with_c_1_is_s2d(net: Net, rank: str) -> None:
    for ratio in (1.3, 3.0):
        one = method("s2d", rank=rank).propose(context_of(net, ratio=ratio))
        two = method("s3d", rank=rank, c=1.0).propose(context_of(net, ratio=ratio))
        assert one.stopped == two.stopped
        assert len(one.splits) == len(two.splits)
        for a, b in zip(one.splits, two.splits, strict=True):
            assert (a.group, a.neuron, a.weights, a.gain) == (b.group, b.neuron, b.weights, b.gain)
            assert torch.equal(a.directions, b.directions) or torch.equal(a.directions, b.directions.flip(0))


def test_s3d_takes_no_worse_than_s2d_per_neuron_added() -> None:
    for net in NETS:
        s2d, s3d = (method(name).propose(context_of(net)) for name in ("s2d", "s3d"))
        for plan in (s2d, s3d):
            assert all(split.gain < 0 for split in plan.splits)
        if s2d.splits:
            best = [min(split.gain / split.added for split in plan.splits) for plan in (s2d, s3d)]
            assert best[1] <= best[0] + 1e-15


@pytest.mark.parametrize("cap", [1.0, 2.5, 8.0])
def test_s3d_keeps_every_lineage_below_its_cap(cap: float) -> None:
    """Each lineage's product of |w| over six rounds."""
    net = named("two_consumers")
    graph = net.graph()
    sample = net.sample()
    lineage = {name: torch.ones(n, dtype=torch.float64) for name, n in graph.widths().items()}
    signed, largest = [], 1.0
    for _ in range(6):
        context = grow_context(graph, *sample, ratio=1.4, lineage=lineage)
        plan = method("s3d", cap=cap, c=4.0).propose(context)
        validate(plan, graph.model, graph.groups)
        for name, expansion in apply(graph.model, None, plan, 0.2).expansions.items():
            lineage[name] = lineage[name][expansion.parents] * expansion.factors.abs()
        signed.append(any(min(split.weights) < 0 for split in plan.splits))
        largest = max([largest, *(float(values.max()) for values in lineage.values())])
        assert largest <= cap * (1 + 1e-9)
    assert any(signed)  # under a cap of 1 only once positive splits have halved the shares
    assert signed[0] == (cap > 1)
    assert largest > 0.6 * cap  # the cap is what bounds them


def test_a_neuron_close_to_its_cap_is_split_with_a_smaller_c() -> None:
    net = named("mlp")
    lineage = {name: torch.full((n,), 4.0, dtype=torch.float64) for name, n in net.widths.items()}
    plan = method("s3d", c=3.0, cap=6.0).propose(context_of(net, ratio=3.0, lineage=lineage))
    bound = 2 * 6.0 / 4.0 - 1
    sums = [sum(abs(w) for w in split.weights) for split in plan.splits]
    assert max(sums) == pytest.approx(bound)
    plan = method("s3d", c=3.0, cap=6.0).propose(
        context_of(net, ratio=3.0, lineage={name: 2 * values for name, values in lineage.items()})
    )
    assert all(split.weights == (0.5, 0.5) for split in plan.splits)


# -- fast S2D -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["exact", "relaxed"])
@pytest.mark.parametrize("cap", [1.5, 2.0])
def test_fast_s2d_keeps_groups_below_their_cap(solver: str, cap: float) -> None:
    net = named("two_consumers")
    graph = net.graph()
    sample = net.sample()
    for _ in range(4):
        context = grow_context(graph, *sample, ratio=2.0, seed_widths=net.widths)
        plan = method("fast_s2d", solver=solver, cap=cap).propose(context)
        apply(graph.model, None, plan, 0.1)
        assert all(n <= cap * net.widths[name] for name, n in graph.widths().items())
    free = net.graph()
    apply(free.model, None, method("fast_s2d", solver=solver).propose(grow_context(free, *sample, ratio=3.0)), 0.1)
    assert any(n > 1.5 * net.widths[name] for name, n in free.widths().items())


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("net", [n for n in NETS if len(n.widths) > 1], ids=str)
def test_exact_fast_s2d_predicts_no_less_than_the_others(net: Net, metric: str) -> None:
    def gain(name: str, **options: object) -> float:
        plan = method(name, **options).propose(context_of(net, metric=metric, ratio=1.4))
        return sum(split.gain or 0.0 for split in plan.splits)

    best = gain("fast_s2d")
    for damping in ("none", "sqrt", "log"):
        assert best <= gain("fast_s2d", solver="relaxed", damping=damping) + 1e-12
    assert best <= gain("s2d") + 1e-12
    assert best <= gain("s2d", rank="gain_per_cost") + 1e-12


def test_the_record_says_how_far_the_programmes_are_apart() -> None:
    net = named("depthwise")
    plans = {
        solver: method("fast_s2d", solver=solver, damping="log").propose(context_of(net, metric="macs", ratio=1.5))
        for solver in ("exact", "relaxed")
    }
    for solver, plan in plans.items():
        assert plan.notes == plans["exact"].notes
        assert plan.notes[f"{solver}_gain"] == pytest.approx(sum(split.gain or 0.0 for split in plan.splits))
        assert plan.notes["gap"] == pytest.approx(1 - plan.notes["relaxed_gain"] / plan.notes["exact_gain"])
        assert 0 <= plan.notes["gap"] < 1


def test_the_published_preset_is_the_released_run() -> None:
    """MobileNetV1's 14 layers: caps and two budgets; elsewhere neither, and the programme on the released cost."""
    model = build({"name": "mobilenet_v1", "width": 4}, (3, 32, 32), 10)
    published = FastS2D(FastConfig(preset="published"))
    released = published.options(14)
    assert (released.solver, released.cost) == ("relaxed", "released")
    assert released.caps == [32, 64, 128, 128, 320, 320, 640, 640, 640, 640, 640, 640, 1280, 1280]
    assert released.layer_groups == [4, 10]
    assert published.options(5) == FastConfig(preset="published", solver="relaxed", cost="released")
    assert FastS2D(FastConfig()).options(14) == FastConfig()
    own = FastConfig(preset="published", caps=[9] * 14, layer_groups=[7, 7])
    assert (FastS2D(own).options(14).caps, FastS2D(own).options(14).layer_groups) == ([9] * 14, [7, 7])
    published.check(Graph(model, (3, 32, 32)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"caps": [4, 4]}, "method.caps=[4, 4]: expected 14 widths, one for each layer that can grow"),
        (
            {"layer_groups": [1, 2]},
            "method.layer_groups=[1, 2]: expected numbers that sum to the network's 14 layers that can grow",
        ),
    ],
)
def test_caps_and_budgets_are_checked_against_the_network(options: dict[str, Any], message: str) -> None:
    graph = Graph(build({"name": "mobilenet_v1", "width": 2}, (3, 32, 32), 10), (3, 32, 32))
    with pytest.raises(ConfigError) as error:
        check_options(method("fast_s2d", **options), graph)
    assert str(error.value) == message
    check_options(method("s2d"), graph)  # has nothing to check


@pytest.mark.parametrize("solver", ["exact", "relaxed"])
def test_fast_s2d_keeps_each_group_below_its_own_cap(solver: str) -> None:
    net = named("two_consumers")
    graph, sample = net.graph(), net.sample()
    caps = [n + 1 for n in net.widths.values()]
    for _ in range(3):
        plan = method("fast_s2d", solver=solver, caps=caps).propose(grow_context(graph, *sample, ratio=9.0))
        apply(graph.model, None, plan, 0.1)
    assert list(graph.widths().values()) == caps


# -- net2net and the controls ---------------------------------------------------------------------------------------


def test_net2net_shares_equally_and_displaces_replicas_only() -> None:
    context = context_of(named("two_consumers"), ratio=5.0)
    plan = method("net2net").propose(context)
    for split in plan.splits:
        k = len(split.weights)
        assert split.weights == (1 / k,) * k
        assert split.gain is None
        assert not split.directions[0].any()
        lengths = torch.linalg.vector_norm(split.directions[1:], dim=1)
        assert torch.allclose(lengths, torch.ones_like(lengths))
    assert max(len(split.weights) for split in plan.splits) > 2  # parents are drawn with replacement
    quiet = method("net2net", step=False).propose(context_of(named("two_consumers"), ratio=5.0))
    assert not quiet.has_directions
    assert Counter(s.group.name for s in quiet.splits).keys() == context.widths.keys()


def test_random_split_predicts_along_its_own_directions() -> None:
    context = context_of(named("norm"))
    for split in method("random_split").propose(context).splits:
        v = split.directions[0]
        assert float(torch.linalg.vector_norm(v)) == pytest.approx(1)
        assert torch.equal(split.directions[1], -v)
        matrix = context.operator(split.group).dense()[split.neuron]
        assert split.gain == pytest.approx(float(v @ matrix @ v))


@pytest.mark.parametrize("name", ["static", "static_matched"])
@pytest.mark.parametrize("net", NETS, ids=str)
def test_static_widens_in_proportion_and_fills_the_rung(name: str, net: Net) -> None:
    for ratio in (1.5, 6.0):
        context = context_of(net, ratio=ratio)
        plan = method(name).propose(context)
        assert plan.restart
        assert plan.predicted_change(0.1) is None
        widths = {k: n + plan.added().get(k, 0) for k, n in net.widths.items()}
        n = context.cost.vector(widths)
        assert context.cost.at(n) <= context.target
        assert context.cost.at(n) + context.cost.marginal(n).min() > context.target
        scale = max(widths[k] / net.widths[k] for k in widths)
        step = max(1 / n for n in net.widths.values())
        cheapest = min(context.cost.marginal(n))
        short = [k for k, m in zip(context.cost.groups, context.cost.marginal(n), strict=True) if m > cheapest]
        assert all(widths[k] / net.widths[k] > scale - 2 * step for k in widths if k not in short)


def test_static_goes_by_the_recipe_and_static_matched_by_what_was_spent() -> None:
    net = named("norm")
    history = (Trained(1000.0, 7), Trained(2000.0, 99), Trained(3000.0, 99))
    for name in ("static", "static_matched"):
        context = context_of(net, history=history, epochs=4)
        plan = method(name).propose(context)
        widths = {k: n + plan.added().get(k, 0) for k, n in net.widths.items()}
        macs = context.macs.of(widths)
        expected = {"static": None, "static_matched": round((7 * 1000 + 4 * 2000 + 4 * 3000) / macs) + 4}[name]
        assert plan.epochs == expected
    seed_only = context_of(net, history=history[:1], epochs=4)
    assert (
        method("static_matched").propose(seed_only).epochs
        == round(
            7000
            / seed_only.macs.of(
                {k: n + method("static").propose(seed_only).added().get(k, 0) for k, n in net.widths.items()}
            )
        )
        + 4
    )


def test_splits_of_static_are_spread_evenly() -> None:
    plan = method("static").propose(context_of(named("norm"), ratio=6.0))
    for name in ("0", "3"):
        copies = [len(s.weights) for s in plan.splits if s.group.name == name]
        assert max(copies) - min(copies) <= 1


def test_a_method_needs_the_public_fields_only() -> None:
    """Whoever writes one needs nothing else."""

    class First:
        def propose(self, context: GrowthContext) -> GrowthPlan:
            group = context.groups[0]
            v: Tensor = context.spectrum(group).lowest_vectors[0]
            return GrowthPlan((Split(group, 0, (0.5, 0.5), torch.stack([v, -v])),))

    context = context_of(named("mlp"))
    validate(First().propose(context), context.graph.model, context.graph.groups)
