"""The knapsack against brute force and against scipy's integer programme."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from bench.growth import knapsack as module
from bench.growth.knapsack import Indices, Vector, knapsack

Instance = tuple[Vector, Vector, Indices, float]


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    """Up to six items of up to three versions, in any order, with many ties."""
    items = draw(st.lists(st.integers(1, 3), min_size=1, max_size=6))
    item = draw(st.permutations([i for i, versions in enumerate(items) for _ in range(versions)]))
    values = draw(st.lists(st.integers(-20, 2), min_size=len(item), max_size=len(item)))
    costs = draw(st.lists(st.integers(1, 9), min_size=len(item), max_size=len(item)))
    budget = draw(st.floats(0, 1)) * sum(costs)
    return np.array(values, dtype=float), np.array(costs, dtype=float), np.array(item), budget


def feasible(instance: Instance) -> float:
    """The value of our answer, after checking that it is one."""
    values, costs, item, budget = instance
    taken = knapsack(*instance)
    assert len(set(item[taken])) == len(taken)
    assert costs[taken].sum() <= budget
    return float(values[taken].sum())


@settings(deadline=None, max_examples=300)
@given(instances())
def test_it_is_brute_force(instance: Instance) -> None:
    values, costs, item, budget = instance
    choices = [[None, *np.flatnonzero(item == i)] for i in range(item.max() + 1)]
    best = 0.0
    for combination in product(*choices):
        taken = [i for i in combination if i is not None]
        if costs[taken].sum() <= budget:
            best = min(best, values[taken].sum())
    assert feasible(instance) == pytest.approx(best)


@pytest.mark.parametrize("versions", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_integer_programme(seed: int, versions: int) -> None:
    random = np.random.default_rng(seed)
    item = np.repeat(np.arange(40), versions)
    values, costs = -random.exponential(size=len(item)), random.uniform(10, 500, len(item))
    budget = 0.2 * costs.sum()
    rows = np.concatenate([costs[None] / budget, item[None] == np.arange(40)[:, None]])
    answer = milp(
        values, integrality=1, bounds=Bounds(0, 1), constraints=LinearConstraint(rows, ub=1), options={"mip_rel_gap": 0}
    )
    assert feasible((values, costs, item, budget)) <= answer.fun + 1e-6


def test_what_is_cut_off_is_still_no_worse_than_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    values, costs = -random.uniform(1, 1.001, 60), random.uniform(1, 1.001, 60)  # nearly equal: many combinations
    instance = values, costs, np.arange(60), 20.2
    exact = feasible(instance)
    monkeypatch.setattr(module, "STATES", 3)
    assert exact <= feasible(instance) <= np.sort(values)[:20].sum() * 0.99


def test_nothing_and_everything() -> None:
    values, costs, item = np.array([-1.0, -2.0]), np.array([1.0, 3.0]), np.array([0, 1])
    assert knapsack(values, costs, item, 0.0).tolist() == []
    assert knapsack(values, costs, item, 4.0).tolist() == [0, 1]
    assert knapsack(np.array([1.0, 0.0]), costs, item, 4.0).tolist() == []
