"""What a rung leaves to spend, at the true cost, and the orders in which candidates are taken."""

from __future__ import annotations

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.growth.budget import Budget, Candidate, by_gain, by_gain_per_cost, useful
from bench.network.quadratic import CostModel
from tests.nets import bare, grow_context, named

GROUPS = {name: bare(name) for name in ("a", "b", "c")}
QUADRATIC = CostModel(
    ("a", "b", "c"), 5.0, np.array([1.0, 10.0, 1.0]), np.array([[0, 2.0, 0], [0, 0, 0], [0, 1.0, 3.0]])
)


def candidate(name: str, gain: float, added: int = 1, neuron: int = 0) -> Candidate:
    return Candidate(GROUPS[name], neuron, added, gain)


def test_a_target_that_is_met_exactly_is_met_in_every_cost() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        model = CostModel(("g",), *generator.uniform(0, 1e3, 1), generator.uniform(0, 1e3, 1), np.zeros((1, 1)))
        budget = Budget(model, {"g": 3}, model.of({"g": 9}))
        while budget.fits("g", 1):
            budget.add("g", 1)
        assert budget.widths[0] == 9


def test_what_fits_is_what_the_true_cost_says() -> None:
    generator = np.random.default_rng(1)
    for _ in range(300):
        widths = {name: int(n) for name, n in zip("abc", generator.integers(1, 9, 3), strict=True)}
        budget = Budget(QUADRATIC, widths, QUADRATIC.of(widths) * generator.uniform(0.9, 2.0))
        for name in "abc":
            for added in (1, 3, 10):
                grown = QUADRATIC.of({**widths, name: widths[name] + added})
                assert budget.fits(name, added) == (grown <= budget.target)


def test_what_is_taken_is_counted_once_per_neuron() -> None:
    budget = Budget(QUADRATIC, dict.fromkeys("abc", 2), 1e9)
    first, again, other = candidate("a", -1.0, 2), candidate("a", -2.0), candidate("a", -1.0, neuron=1)
    assert [budget.take(one) for one in (first, again, other)] == [True, False, True]
    assert list(budget.taken.values()) == [first, other]
    assert budget.widths.tolist() == [5, 2, 2]
    assert budget.spent == QUADRATIC.of({"a": 5, "b": 2, "c": 2})
    assert budget.marginal().tolist() == QUADRATIC.marginal(budget.widths).tolist()


def test_what_does_not_fit_is_passed_over() -> None:
    widths = dict.fromkeys("abc", 2)
    budget = Budget(QUADRATIC, widths, QUADRATIC.of({**widths, "a": 3}))
    dear, fitting = candidate("b", -9.0), candidate("a", -1.0)
    assert budget.fill([dear, fitting]) == [fitting]
    assert budget.spent == budget.target


def test_useful_leaves_out_what_may_be_rounding_of_its_own_neuron() -> None:
    drawn = [(-1.0, 0.1), (-1e-9, 0.0), (-1e-9, 1e-12), (-1e-9, 1e-8), (0.0, 0.0), (1.0, 0.0), (-0.0, 0.0)]
    made = [Candidate(GROUPS["a"], i, 1, gain, uncertainty=off) for i, (gain, off) in enumerate(drawn)]
    assert useful(made) == made[:3]
    assert useful([]) == []


@pytest.mark.parametrize("gain", [float("nan"), float("inf"), -float("inf")])
def test_a_gain_that_is_no_number_is_an_error(gain: float) -> None:
    with pytest.raises(BenchError, match=r"a\[3\]: a gain of -?(nan|inf); expected a finite number"):
        candidate("a", gain, neuron=3)


def test_ranks() -> None:
    linear = CostModel(("a", "b", "c"), 7.0, np.array([1.0, 10.0, 1.0]), np.zeros((3, 3)))
    budget = Budget(linear, dict.fromkeys("abc", 2), 1e9)
    one, two, three = candidate("a", -2.0), candidate("b", -9.0), candidate("c", -9.0, 3)
    assert by_gain([one, two, three]) == [two, three, one]
    assert by_gain_per_cost([one, two, three], budget) == [three, one, two]


@pytest.mark.parametrize("metric", ["params", "macs", "energy"])
def test_a_contexts_budget_is_its_rung_with_nothing_spent(metric: str) -> None:
    net = named("norm")
    context = grow_context(net.graph(), *net.sample(), metric=metric)
    one, two = context.budget(), context.budget()
    assert one is not two
    assert (one.target, one.spent) == (context.target, context.cost.of(context.widths))
    one.add(context.groups[0].name, 1)
    assert two.spent == context.cost.of(context.widths) < one.spent
