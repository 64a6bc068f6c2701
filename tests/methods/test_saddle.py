"""Splits and new neurons in one knapsack, and what is done to the weights then."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench import Grower
from bench.core.errors import BenchError, ConfigError
from bench.growth.condition import Condition
from bench.network.plan import GrowthPlan
from bench.network.surgery import apply
from tests.methods.made import context_of, method
from tests.nets import NETS, Net, named
from tests.reference import loss_after


def total(plan: GrowthPlan) -> float:
    """Sum of the gains."""
    return sum(change.gain or 0.0 for change in plan.changes)


@pytest.mark.parametrize("net", NETS, ids=str)
def test_new_neurons_are_pairs_of_singular_vectors_that_gain_their_singular_value(net: Net) -> None:
    context = context_of(net, ratio=3.0)
    for birth in method("saddle").propose(context).births:
        pair = context.pair(birth.group)
        length = birth.incoming.square().sum() + birth.outgoing.square().sum()
        assert float(length) == pytest.approx(1)
        sizes = torch.linalg.svdvals(pair.M)
        found = -2 * birth.outgoing @ pair.M @ birth.incoming
        assert float((sizes - found).abs().min()) < 1e-9 * float(sizes.max())
        if pair.is_linear:
            assert birth.gain == pytest.approx(-float(found))


def test_of_both_kinds_the_best_are_taken() -> None:
    """Offered both, a rung's best splits alone and its best new neurons alone gain no more."""
    context = context_of(named("mlp"), ratio=2.0)
    both = method("saddle").propose(context)
    assert both.splits
    assert both.births
    worst = max(change.gain or 0.0 for change in both.changes)
    splits = method("s3d").propose(context_of(named("mlp"), ratio=2.0))
    assert total(both) < total(splits)
    left_out = {(s.group.name, s.neuron) for s in splits.splits} - {(s.group.name, s.neuron) for s in both.splits}
    assert left_out
    passed_over = [s.gain or 0.0 for s in splits.splits if (s.group.name, s.neuron) in left_out]
    assert min(passed_over) >= worst - 1e-12


def test_the_loss_falls_as_predicted_by_both_together() -> None:
    net, step = named("mlp"), 1e-4
    context = context_of(net, ratio=2.0)
    plan, (inputs, targets) = method("saddle").propose(context), net.sample()
    start = loss_after(context.graph.model, GrowthPlan(), 0.0, inputs, targets)
    change = loss_after(context.graph.model, plan, step, inputs, targets) - start
    assert change == pytest.approx(step**2 / 2 * total(plan), rel=0.02)
    before = context.graph.widths()
    apply(context.graph.model, None, plan, step)
    assert sum(context.graph.widths().values()) > sum(before.values())


def perceptron() -> nn.Sequential:
    """As it is drawn."""
    return nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))


def grown(options: dict[str, Any], made: object = "saddle", **more: object) -> nn.Sequential:
    """A perceptron grown with these options of growth."""
    torch.manual_seed(0)
    model, inputs = perceptron(), torch.randn(32, 6)
    with torch.no_grad():
        model[0].weight *= 5
    grower = Grower(model, inputs[:1], made, build=perceptron, **options, **more)
    grower.grow(inputs, torch.arange(32) % 3, F.cross_entropy, ratio=2.0)
    return model


def test_layers_then_have_the_norm_of_a_fresh_one_unless_something_else_is_said() -> None:
    plain, usual, shrunk = (grown(options) for options in ({"condition": "none"}, {}, {"shrink": 0.5}))
    fresh = float(nn.Linear(6, plain[0].out_features).weight.detach().norm())
    assert plain[0].weight.detach().norm() > 2 * fresh
    assert float(usual[0].weight.detach().norm()) == pytest.approx(fresh, rel=0.3)
    for one, other in zip(shrunk.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(one, 0.5 * other)
    again = grown({"condition": "rescale", "perturb": 0.5})
    for one, other in zip(again.parameters(), usual.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_share_of_nothing_keeps_directions() -> None:
    plain, turned = grown({"condition": "none"}), grown({}, fresh=0.0)
    assert torch.allclose(
        F.normalize(plain[0].weight.flatten(), dim=0), F.normalize(turned[0].weight.flatten(), dim=0), atol=1e-6
    )


def test_without_fresh_networks_that_is_said() -> None:
    with pytest.raises(ConfigError, match=r"^growth\.condition=rescale: expected build=FUNCTION"):
        Grower(perceptron(), torch.randn(1, 6), "saddle")
    Grower(perceptron(), torch.randn(1, 6), "saddle", condition="none")


def test_what_a_method_asks_for_is_a_condition() -> None:
    class Asking:
        condition = 0.5

        def propose(self, context: object) -> GrowthPlan:
            return GrowthPlan()

    with pytest.raises(BenchError, match=r"its condition is a float; expected a Condition"):
        Grower(perceptron(), torch.randn(1, 6), Asking())
    Asking.condition = Condition()  # type: ignore[assignment]
    Grower(perceptron(), torch.randn(1, 6), Asking())


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_the_share_is_one(value: float) -> None:
    with pytest.raises(ConfigError, match=r"^method\.fresh=.*: expected a number from 0 to 1"):
        method("saddle", fresh=value)
