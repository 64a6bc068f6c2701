"""What fast S2D promises: its caps, its two programmes and its published preset."""

from __future__ import annotations

from typing import Any

import pytest

from bench.backbones import build
from bench.core.errors import ConfigError
from bench.growth.method import check_options
from bench.growth.select import relaxed
from bench.methods.fast_s2d import Config as FastConfig
from bench.methods.fast_s2d import FastS2D
from bench.methods.s2d import candidates
from bench.network.graph import Graph
from bench.network.surgery import apply
from tests.methods.made import COSTS, context_of, method
from tests.nets import NETS, Net, grow_context, named


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


@pytest.mark.parametrize("metric", COSTS)
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
        assert plan.notes["optimality_gap"] == 0


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


def test_each_group_of_layers_has_a_budget_of_its_own_in_the_methods_plan() -> None:
    """What the linear programme makes of them, and not what it makes of one budget for all."""
    added = {}
    for layer_groups in (None, [1, 1, 1]):
        context = context_of(named("two_consumers"), ratio=1.6)
        plan = method("fast_s2d", solver="relaxed", layer_groups=layer_groups).propose(context)
        expected = relaxed(candidates(context), context.budget(), None, "sqrt", layer_groups or ())
        assert [(s.group.name, s.neuron) for s in plan.splits] == [(c.group.name, c.neuron) for c in expected]
        added[layer_groups is None] = plan.added()
    assert added[True] != added[False]


@pytest.mark.parametrize("solver", ["exact", "relaxed"])
def test_fast_s2d_keeps_each_group_below_its_own_cap(solver: str) -> None:
    net = named("two_consumers")
    graph, sample = net.graph(), net.sample()
    caps = [n + 1 for n in net.widths.values()]
    for _ in range(3):
        plan = method("fast_s2d", solver=solver, caps=caps).propose(grow_context(graph, *sample, ratio=9.0))
        apply(graph.model, None, plan, 0.1)
    assert list(graph.widths().values()) == caps


@pytest.mark.parametrize("solver", ["exact", "relaxed"])
def test_what_a_cap_leaves_room_for_are_the_most_negative_neurons(solver: str) -> None:
    net = named("norm")
    context = context_of(net, ratio=9.0)
    lowest: dict[str, float] = {}
    for candidate in candidates(context):
        lowest[candidate.group.name] = min(lowest.get(candidate.group.name, 0.0), candidate.gain)
    caps = [n + 1 for n in net.widths.values()]
    plan = method("fast_s2d", solver=solver, caps=caps).propose(context)
    assert {split.group.name: split.gain for split in plan.splits} == lowest
    firsts = {}
    for candidate in candidates(context):
        firsts.setdefault(candidate.group.name, candidate.gain)
    assert firsts != lowest  # which the order of neurons alone would not give
