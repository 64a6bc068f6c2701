"""Which candidate splits to take within a budget.

    minimise  sum_i x_i g_i   subject to   cost(grown network) <= target,   x_i in {0, 1},   one scheme per neuron

(bench/MATHS.md, section 5). The cost is quadratic in the widths, so every rule here takes a linear cost of candidates
and then checks the true one: no selection exceeds the target, and each ends by filling what budget is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.growth.budget import Budget, Candidate, by_gain_per_cost
from bench.growth.knapsack import knapsack
from bench.network.cost import Vector


def exact(
    candidates: Sequence[Candidate], budget: Budget, start: Sequence[Candidate] = (), rounds: int = 4
) -> list[Candidate]:
    """Solve the integer programme, with each group's marginal cost following the growth of its neighbours.

    The true increase is ``sum_g a_g p_g(a)`` with ``p_g`` depending on the neurons a added to the groups next to it.
    Starting from today's marginal costs, the programme is solved at those of its last solution until that no
    longer changes; each solution is trimmed to the true cost and filled, and the best one found is kept.

    Args:
        candidates: Useful candidates.
        budget: The budget; its ``taken`` holds the answer afterwards.
        start: A selection that fits, and that the answer shall not be worse than.
        rounds: Solutions of the programme at most.
    """
    seed = budget.widths.copy()
    given = {id(candidate) for candidate in start}
    best = np.array([i for i, candidate in enumerate(candidates) if id(candidate) in given], dtype=np.int64)
    groups = np.array([budget.index[c.group.name] for c in candidates], dtype=np.int64)
    added = np.array([c.added for c in candidates], dtype=np.float64)
    gains = np.array([c.gain for c in candidates])
    numbers: dict[tuple[str, int], int] = {}
    neurons = np.array([numbers.setdefault((c.group.name, c.neuron), len(numbers)) for c in candidates], dtype=np.int64)
    grown: Vector = np.zeros_like(seed)
    today = added * (budget.cost.linear + budget.cross @ seed)[groups]
    for order in (np.argsort(gains / today), np.argsort(gains / added)):  # no worse than either ranking alone
        greedy = _taken(candidates, order.tolist(), budget)
        best = greedy if gains[greedy].sum() < gains[best].sum() else best
    for _ in range(rounds if len(candidates) else 0):
        marginal = budget.cost.linear + budget.cross @ seed + budget.cross @ grown / 2
        costs = added * marginal[groups]
        solution = knapsack(gains, costs, neurons, max(budget.target - budget.spent, 0.0))
        chosen = trim(candidates, solution, budget, costs)
        if gains[chosen].sum() < gains[best].sum():
            best = chosen
        solved = np.bincount(groups[chosen], added[chosen], minlength=len(seed)).astype(np.float64)
        if np.array_equal(solved, grown):
            break
        grown = solved
    best = _exchange(candidates, best, budget, gains, groups, np.argsort(gains / today).tolist())
    for i in best:
        budget.take(candidates[int(i)])
    return budget.fill(by_gain_per_cost(candidates, budget))


def trim(
    candidates: Sequence[Candidate], chosen: NDArray[np.int64], budget: Budget, costs: Vector
) -> NDArray[np.int64]:
    """Drop the least gain per cost until the true cost of the rest fits, then fill."""
    order = sorted(chosen.tolist(), key=lambda i: candidates[i].gain / costs[i])
    rest = sorted(set(range(len(candidates))) - set(order), key=lambda i: candidates[i].gain / costs[i])
    return _taken(candidates, [*order, *rest], budget)


def _taken(candidates: Sequence[Candidate], order: Sequence[int], budget: Budget) -> NDArray[np.int64]:
    """Indices that fit at true cost, taken in this order."""
    trial = Budget(budget.cost, dict(zip(budget.cost.groups, budget.widths.astype(int), strict=True)), budget.target)
    return np.array([i for i in order if trial.take(candidates[i])], dtype=np.int64)


def _exchange(
    candidates: Sequence[Candidate],
    chosen: NDArray[np.int64],
    budget: Budget,
    gains: Vector,
    groups: NDArray[np.int64],
    order: Sequence[int],
) -> NDArray[np.int64]:
    """Give up the least gain of a group for what then fits elsewhere, as long as that lowers the sum."""
    better = True
    while better:
        better = False
        for group in np.unique(groups[chosen]):
            own = chosen[groups[chosen] == group]
            dropped = own[gains[own].argmax()]
            kept = chosen[chosen != dropped].tolist()
            held = {*kept, dropped}
            trial = _taken(candidates, [*kept, *(i for i in order if i not in held), int(dropped)], budget)
            if gains[trial].sum() < gains[chosen].sum() - 1e-12 * abs(gains[chosen].sum()):
                chosen, better = trial, True
    return chosen


DAMPING: dict[str, Callable[[Vector], Vector]] = {"none": lambda e: e, "sqrt": np.sqrt, "log": np.log1p}


def relaxed(
    candidates: Sequence[Candidate],
    budget: Budget,
    cost: Vector | None = None,
    damping: str = "sqrt",
    layer_groups: Sequence[int] = (),
    threshold: float = 0.99,
) -> list[Candidate]:
    """The published linear programme: damped costs, budgets per group of layers, neurons with x at the threshold.

    A group of layers may add the same share to its damped cost as any other; the share is the largest for which the
    network stays within its true budget, found by bisection. With one budget and bounds 0 and 1 a programme is solved
    by taking what gains most for its cost until the budget is spent (Dantzig, 1957).

    Args:
        candidates: Useful candidates, one scheme per neuron.
        budget: The budget; its ``taken`` holds the answer afterwards.
        cost: What one more neuron of each of the cost model's groups costs; None for the true marginal cost now.
        damping: A key of `DAMPING`.
        layer_groups: How many of the cost model's groups each budget serves, in order; empty for one budget for all.
        threshold: A neuron is split where ``x >= threshold``.
    """
    if not candidates:
        return []
    damped = DAMPING[damping](budget.marginal() if cost is None else cost)
    counts = layer_groups or [len(damped)]
    part = np.repeat(np.arange(len(counts)), counts)
    totals = np.bincount(part, damped * budget.widths)
    index = np.array([budget.index[c.group.name] for c in candidates])
    added = np.array([c.added for c in candidates])
    gains = np.array([c.gain for c in candidates])
    costs = DAMPING[damping](added * (budget.marginal() if cost is None else cost)[index])
    order = np.lexsort((gains / costs, part[index]))
    ends = np.cumsum(costs[order])
    starts_of_parts = np.searchsorted(part[index][order], part[index][order])
    before = ends - costs[order] - (ends - costs[order])[starts_of_parts]

    def chosen(share: float) -> NDArray[np.int64]:
        left = share * totals[part[index][order]] - before
        picked: NDArray[np.int64] = order[left >= threshold * costs[order]]
        return picked

    def fits(taken: NDArray[np.int64]) -> bool:
        widths = budget.widths.copy()
        np.add.at(widths, index[taken], added[taken])
        return budget.cost.at(widths) <= budget.target

    low, high = 0.0, 1.0
    if not fits(chosen(high)):
        for _ in range(24):
            middle = (low + high) / 2
            low, high = (middle, high) if fits(chosen(middle)) else (low, middle)
        high = low
    for i in chosen(high):
        budget.take(candidates[int(i)])
    return budget.fill(by_gain_per_cost(candidates, budget))
