"""What S2D and S3D promise besides the rules of all methods."""

from __future__ import annotations

import pytest
import torch

from bench.network.graph import Graph
from bench.network.plan import validate
from bench.network.surgery import apply
from tests.methods.made import context_of, method
from tests.nets import NETS, Net, grow_context, named


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
