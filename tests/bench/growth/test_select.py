"""Selections against brute force, and never over the true cost."""

from __future__ import annotations

import time
from collections import Counter
from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch.nn import functional as F

from bench.backbones import build
from bench.curvature.eigensolvers import eigensolver
from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.curvature.solve import alone
from bench.data import load
from bench.growth.budget import Budget, Candidate, by_gain, by_gain_per_cost
from bench.growth.select import DAMPING, Choices, exact, relaxed
from bench.network.cost import cost_models
from bench.network.graph import Graph
from bench.network.quadratic import CostModel
from bench.train import TrainConfig, make_optimizer, train
from tests.nets import bare

NAMES = ("a", "b", "c")
GROUPS = {name: bare(name) for name in NAMES}


def cost_model(linear: list[int], cross: list[int] | None = None) -> CostModel:
    """A cost linear in three widths, with products of neighbours where ``cross`` is given."""
    quadratic = np.zeros((3, 3))
    if cross is not None:
        quadratic[0, 1], quadratic[2, 1] = cross
    return CostModel(NAMES, 7.0, np.array(linear, dtype=float), quadratic)


@st.composite
def instances(draw: st.DrawFn, schemes: int = 1, crossed: bool = False) -> tuple[list[Candidate], Budget]:
    """Up to six neurons over three groups, some schemes each, and a budget between nothing and everything."""
    neurons = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6 if schemes == 1 else 4))
    candidates, count = [], Counter[str]()
    for name in neurons:
        for added in draw(st.lists(st.integers(1, 3), min_size=1, max_size=schemes, unique=True)):
            gain = -draw(st.integers(1, 1000)) / 100
            candidates.append(Candidate(GROUPS[name], count[name], added, gain, str(added)))
        count[name] += 1
    linear = draw(st.lists(st.integers(1, 9), min_size=3, max_size=3))
    cross = draw(st.lists(st.integers(0, 5), min_size=2, max_size=2)) if crossed else None
    cost = cost_model(linear, cross)
    widths = {name: draw(st.integers(1, 6)) + count[name] for name in NAMES}
    now = cost.of(widths)
    most = {name: widths[name] + 3 * count[name] for name in NAMES}
    target = now + draw(st.floats(-0.1, 1.1)) * (cost.of(most) - now)
    return candidates, Budget(cost, widths, target)


@cache
def trained(backbone: str, width: int) -> tuple[list[Candidate], dict[str, CostModel], dict[str, int]]:
    """Splits of a small network after some training on digits, its costs and its widths."""
    torch.manual_seed(0)
    data = load({"name": "digits"}, 0)
    model = build({"name": backbone, "width": width, "activation": "silu"}, data.input_shape, data.outputs)
    recipe = TrainConfig(batch_size=64)
    train(model, make_optimizer(model, recipe), data, recipe, epochs=2, seed=0)
    graph = Graph(model.eval(), data.input_shape)
    part = data.train
    sample = Sample(part.inputs[:256], part.targets[:256], F.cross_entropy, data.normalised)
    curvature = Curvature(graph, sample)
    candidates = []
    for group in graph.groups.values():
        operator = curvature.operator(group)
        values = alone(eigensolver("lanczos")(operator, torch.Generator().manual_seed(0)), operator).lowest
        candidates += [Candidate(group, i, 1, float(v)) for i, v in enumerate(values) if v < 0]
    return candidates, cost_models(graph), graph.widths()


def copy_of(budget: Budget) -> Budget:
    return Budget(budget.cost, dict(zip(NAMES, budget.widths.astype(int), strict=True)), budget.target)


def true_cost(budget: Budget, start: np.ndarray, taken: list[Candidate]) -> float:
    widths = start.copy()
    for candidate in taken:
        widths[budget.index[candidate.group.name]] += candidate.added
    return budget.cost.at(widths)


def brute_force(candidates: list[Candidate], budget: Budget) -> float:
    """Best total gain within the true budget, over all choices of at most one scheme per neuron."""
    neurons: dict[tuple[str, int], list[Candidate | None]] = {}
    for candidate in candidates:
        neurons.setdefault((candidate.group.name, candidate.neuron), [None]).append(candidate)
    best = 0.0
    for choice in product(*neurons.values()):
        taken = [c for c in choice if c is not None]
        if true_cost(budget, budget.widths, taken) <= budget.target:
            best = min(best, sum(c.gain for c in taken))
    return best


def check(candidates: list[Candidate], before: Budget, after: Budget, taken: list[Candidate]) -> None:
    """At most one scheme per neuron, within the true budget, nothing more fits, and the budget's books agree."""
    keys = [(c.group.name, c.neuron) for c in taken]
    assert len(keys) == len(set(keys))
    cost = true_cost(before, before.widths, taken)
    assert not taken or cost <= before.target
    assert after.spent == pytest.approx(cost)
    assert list(after.taken.values()) == taken
    for candidate in candidates:
        if (candidate.group.name, candidate.neuron) not in keys:
            assert true_cost(before, before.widths, [*taken, candidate]) > before.target


@settings(max_examples=80)
@given(instances(schemes=3) | instances(schemes=3, crossed=True))
def test_exact_is_brute_force_at_the_true_cost(case: tuple[list[Candidate], Budget]) -> None:
    candidates, budget = case
    before = copy_of(budget)
    taken, gap = exact(candidates, budget)
    assert sum(c.gain for c in taken) == pytest.approx(brute_force(candidates, before), abs=1e-9)
    assert gap == 0
    check(candidates, before, budget, taken)


@settings(max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(-20, 5)), max_size=7), st.integers(0, 9))
def test_the_choices_of_a_group_are_the_best_of_each_number(drawn: list[tuple[int, int, int]], most: int) -> None:
    candidates = [Candidate(GROUPS["a"], i, added, float(gain)) for i, added, gain in drawn]
    neurons: dict[int, list[Candidate | None]] = {}
    for candidate in candidates:
        neurons.setdefault(candidate.neuron, [None]).append(candidate)
    least = {0: 0.0}
    for choice in product(*neurons.values()):
        taken = [c for c in choice if c is not None]
        added = sum(c.added for c in taken)
        least[added] = min(least.get(added, np.inf), sum(c.gain for c in taken))
    choices = Choices(candidates, most)
    assert len(choices.least) <= most + 1
    for added in range(most + 1):
        found = choices.least[added] if added < len(choices.least) else np.inf
        assert found == least.get(added, np.inf)
        if np.isfinite(found):
            best = choices.best(added)
            assert len({c.neuron for c in best}) == len(best)
            assert (sum(c.added for c in best), sum(c.gain for c in best)) == (added, found)


@settings(max_examples=60)
@given(
    instances(crossed=True),
    st.sampled_from(sorted(DAMPING)),
    st.sampled_from([(), (3,), (1, 2), (1, 1, 1)]),
    st.sampled_from([0.5, 0.99, 1.0]),
)
def test_relaxed_stays_within_and_exact_from_there_is_no_worse(
    case: tuple[list[Candidate], Budget], damping: str, layer_groups: tuple[int, ...], threshold: float
) -> None:
    candidates, budget = case
    before = copy_of(budget)
    taken = relaxed(candidates, budget, None, damping, layer_groups, threshold)
    check(candidates, before, budget, taken)
    after = copy_of(before)
    better, _ = exact(candidates, after, start=taken)
    check(candidates, before, after, better)
    assert sum(c.gain for c in better) <= sum(c.gain for c in taken) + 1e-9


@pytest.mark.parametrize("damping", sorted(DAMPING))
@pytest.mark.parametrize("layer_groups", [(), (1, 2)])
def test_the_relaxed_choice_is_the_linear_programmes(damping: str, layer_groups: tuple[int, ...]) -> None:
    """What is taken before filling, against scipy's answer to the same programme at the largest share that fits."""
    random = np.random.default_rng(1)
    cost = CostModel(NAMES, 0.0, np.array([31.7, 57.1, 83.9]), np.zeros((3, 3)))
    widths = {"a": 7, "b": 12, "c": 9}
    budget = Budget(cost, widths, 1.4 * cost.of(widths))
    candidates = [Candidate(GROUPS[n], i, 1, -float(random.random())) for n in NAMES for i in range(widths[n] - 1)]
    index = np.array([NAMES.index(c.group.name) for c in candidates])
    damped = DAMPING[damping](np.array([31.7, 57.1, 83.9]))
    part = np.repeat(range(len(layer_groups or (3,))), layer_groups or (3,))
    rows = (part[index] == np.arange(part.max() + 1)[:, None]) * damped[index]
    totals = np.bincount(part, damped * np.array(list(widths.values())))

    def solution(share: float) -> set[int]:
        gains = np.array([c.gain for c in candidates])
        answer = linprog(gains, A_ub=rows, b_ub=share * totals, bounds=(0, 1))
        return set(np.flatnonzero(answer.x >= 0.99).tolist())

    def fits(chosen: set[int]) -> bool:
        grown = budget.widths + np.bincount(index[list(chosen)], minlength=3)
        return cost.at(grown) <= budget.target

    shares = np.linspace(0, 1, 400)
    best = solution(max(share for share in shares if fits(solution(share))))
    taken = {candidates.index(c) for c in relaxed(candidates, budget, None, damping, layer_groups)}
    assert best <= taken  # then filled
    assert len(taken - best) <= 3


@given(instances(schemes=2, crossed=True), st.booleans())
def test_filling_stays_within_and_leaves_nothing_that_fits(
    case: tuple[list[Candidate], Budget], per_cost: bool
) -> None:
    candidates, budget = case
    before = copy_of(budget)
    ranked = by_gain_per_cost(candidates, budget) if per_cost else by_gain(candidates)
    check(candidates, before, budget, budget.fill(ranked))


@pytest.mark.parametrize("metric", ["params", "macs", "energy"])
@pytest.mark.parametrize("ratio", [1.2, 1.5, 2.0])
def test_exact_is_the_optimum_on_a_trained_network(ratio: float, metric: str) -> None:
    """All widths of a small convolutional network, whose neighbours' costs are products."""
    candidates, costs, widths = trained("convnet", 6)
    cost = costs[metric]
    target = ratio * cost.of(widths)
    taken, gap = exact(candidates, Budget(cost, widths, target))
    gains = [np.sort([c.gain for c in candidates if c.group.name == name]) for name in widths]
    added = np.stack(np.meshgrid(*(np.arange(len(g) + 1) for g in gains), indexing="ij"), -1).reshape(-1, len(widths))
    grown = added + cost.vector(widths)
    costs_of = cost.constant + grown @ cost.linear + ((grown @ cost.cross) * grown).sum(1)
    sums = sum(np.append(0, np.cumsum(g))[added[:, i]] for i, g in enumerate(gains))
    assert sum(c.gain for c in taken) == pytest.approx(float(np.min(sums[costs_of <= target])), rel=1e-12)
    assert gap == 0


@pytest.mark.parametrize("metric", ["params", "macs"])
@pytest.mark.parametrize("ratio", [1.2, 1.5])
def test_the_optimum_is_proven_on_a_trained_mobilenet(ratio: float, metric: str) -> None:
    candidates, costs, widths = trained("mobilenet_v1", 4)
    cost = costs[metric]
    assert len(widths) == 14
    budget = Budget(cost, widths, ratio * cost.of(widths))
    greedy = [budget.copy().fill(order) for order in (by_gain(candidates), by_gain_per_cost(candidates, budget))]
    taken, gap = exact(candidates, budget)
    assert gap == 0
    assert sum(c.gain for c in taken) <= min(sum(c.gain for c in one) for one in greedy) * (1 - 1e-12)


def test_hundreds_of_neurons_are_chosen_in_seconds() -> None:
    random = np.random.default_rng(0)
    cost = CostModel(NAMES, 0.0, np.array([31.7, 57.1, 83.9]), np.array([[0, 9.0, 0], [0, 0, 0], [0, 4.0, 0]]))
    candidates = [Candidate(GROUPS[n], i, 1, -float(random.random() ** 3)) for n in NAMES for i in range(120)]
    widths = dict.fromkeys(NAMES, 120)
    before = Budget(cost, widths, 1.3 * cost.of(widths))
    budget = copy_of(before)
    check(candidates, before, budget, exact(candidates, budget).taken)


@pytest.mark.parametrize("schemes", [1, 3])
def test_ten_thousand_candidates_take_less_than_five_seconds(schemes: int) -> None:
    random = np.random.default_rng(0)
    cost = CostModel(NAMES, 0.0, np.array([31.7, 57.1, 83.9]), np.array([[0, 9.0, 0], [0, 0, 0], [0, 4.0, 0]]))
    neurons = 10_000 // 3 // schemes
    gains = {(n, i): float(random.random() ** 3) for n in NAMES for i in range(neurons)}
    candidates = [
        Candidate(GROUPS[n], i, added, -gain * added**0.7, str(added))
        for (n, i), gain in gains.items()
        for added in range(1, schemes + 1)
    ]
    widths = dict.fromkeys(NAMES, neurons)
    before = Budget(cost, widths, 1.3 * cost.of(widths))
    budget = copy_of(before)
    started = time.process_time()
    single = [c for c in candidates if c.added == 1]
    published = relaxed(single, copy_of(before))
    chosen, gap = exact(candidates, budget, start=published)
    assert gap == 0
    assert sum(c.gain for c in chosen) <= sum(c.gain for c in published)
    assert time.process_time() - started < 5
    check(candidates, before, budget, chosen)


def test_ten_thousand_candidates_of_fifty_layers_are_chosen_in_seconds() -> None:
    """Gains as trained networks have them, few large and many small, along a chain of convolutions."""
    random = np.random.default_rng(0)
    names = [f"layer {i}" for i in range(50)]
    cost = CostModel(tuple(names), 0.0, random.uniform(1, 30, 50), np.diag(random.choice([1.0, 9.0], 49), 1))
    groups = {name: bare(name) for name in names}
    candidates = [Candidate(groups[n], i, 1, -float(np.exp(random.normal()))) for n in names for i in range(200)]
    widths = dict.fromkeys(names, 200)
    budget = Budget(cost, widths, 1.5 * cost.of(widths))
    started = time.process_time()
    taken, gap = exact(candidates, budget)
    assert time.process_time() - started < 10
    assert 0 <= gap < 1e-6
    greedy = Budget(cost, widths, budget.target).fill(by_gain_per_cost(candidates, Budget(cost, widths, 0.0)))
    assert sum(c.gain for c in taken) < sum(c.gain for c in greedy)


def test_nothing_to_choose_from() -> None:
    for solve in (relaxed, lambda *a: exact(*a).taken):
        budget = Budget(cost_model([1, 1, 1]), dict.fromkeys(NAMES, 2), 100.0)
        assert solve([], budget) == []
        assert budget.spent == 13


def test_a_network_beyond_its_rung_adds_nothing() -> None:
    budget = Budget(cost_model([1, 1, 1]), dict.fromkeys(NAMES, 2), 12.0)
    assert exact([Candidate(GROUPS["a"], 0, 1, -1.0)], budget) == ([], 0.0)
