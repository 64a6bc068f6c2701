"""Any choice of layers with splits along the most negative curvature: one look at all candidates."""

from __future__ import annotations

import pytest

from bench.growth.budget import Candidate, by_gain
from bench.growth.method import GrowthContext
from bench.methods import s2d
from bench.methods.compose import WHERE
from bench.network.plan import Split
from tests.methods.made import context_of, method
from tests.methods.test_methods import described
from tests.nets import Net, named

NETS = [named("mlp"), named("two_consumers"), named("norm_relu")]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("net", NETS, ids=str)
def test_each_group_splits_its_neurons_of_most_negative_curvature_and_all_are_looked_at_once(
    net: Net, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, own = list[int](), s2d.candidates

    def candidates(context: GrowthContext) -> list[Candidate]:
        found = own(context)
        looks.append(len(found))
        return found

    monkeypatch.setattr(s2d, "candidates", candidates)
    context = context_of(net, ratio=1.8)
    plan = method("compose", where=where, how="split").propose(context)
    assert len(looks) == (2 if where == "curvature" else 1)  # where, and which
    assert plan.splits
    expected = list[Split]()
    for name, added in plan.added().items():
        best = by_gain(one for one in own(context) if one.group.name == name)[:added]
        expected += s2d.plan(context, best, stable=False).splits
    assert described(plan) == described(type(plan)(tuple(expected)))
