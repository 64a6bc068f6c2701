"""Which candidate splits to take within a budget.

    minimise  sum_i x_i g_i   subject to   cost(grown network) <= target,   x_i in {0, 1},   one scheme per neuron

(bench/MATHS.md, section 5). The cost depends on the widths alone, and is quadratic in them: `exact` chooses how many
neurons to add to each group, and within a group the best candidates that add as many. `relaxed` takes a linear cost of
candidates. No selection exceeds the target at the true cost, and each ends by filling what budget is left.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.growth.budget import Budget, Candidate, by_gain, by_gain_per_cost
from bench.growth.widths import Indices, Programme, solve
from bench.network.quadratic import Vector


class Selection(NamedTuple):
    """Candidates taken, and by what share of the optimum their gains may fall short of it at most; 0 if by nothing."""

    taken: list[Candidate]
    gap: float


class Choices:
    """The best choices among candidates of one group, by the number of neurons that they add.

    Args:
        candidates: Candidates of one group.
        most: Neurons to add at most.

    Attributes:
        least: Least sum of gains by the number added, from 0; infinite for a number that no choice adds.
    """

    def __init__(self, candidates: Iterable[Candidate], most: int) -> None:
        schemes: dict[int, list[Candidate]] = {}
        for candidate in sorted(candidates, key=lambda c: c.gain / c.added):
            schemes.setdefault(candidate.neuron, []).append(candidate)
        self.schemes = list(schemes.values())
        self.least = np.zeros(1)
        self.chosen: list[NDArray[Any]] = []
        for options in self.schemes:
            longer = min(len(self.least) + max(option.added for option in options), most + 1)
            before, self.least = self.least, np.full(longer, np.inf)
            self.least[: len(before)] = before
            chosen = np.zeros(longer, dtype=np.min_scalar_type(len(options)))
            for number, option in enumerate(options, 1):
                there = self.least[option.added : option.added + len(before)]
                sums = before[: len(there)] + option.gain
                better = sums < there
                chosen[option.added : option.added + len(there)][better] = number
                there[better] = sums[better]
            self.chosen.append(chosen)

    def best(self, added: int) -> list[Candidate]:
        """The candidates that add so many neurons at the least sum of gains."""
        taken = []
        for options, chosen in zip(reversed(self.schemes), reversed(self.chosen), strict=True):
            number = int(chosen[added]) if added < len(chosen) else 0
            if number:
                taken.append(options[number - 1])
                added -= options[number - 1].added
        return taken


def exact(candidates: Sequence[Candidate], budget: Budget, start: Sequence[Candidate] = ()) -> Selection:
    """Solve the integer programme at the true cost (`bench.growth.widths`).

    Args:
        candidates: Useful candidates.
        budget: The budget; its ``taken`` holds the answer afterwards.
        start: A selection that fits, and that the answer shall not be worse than.

    Returns:
        The selection. Its gap is 0 where it is proven to be the optimum, to a share of 1e-12; where the search's limit
        is reached first, it says how much better the optimum may be.
    """
    by_group: dict[str, list[Candidate]] = {name: [] for name in budget.index}
    for candidate in candidates:
        if budget.fits(candidate.group.name, candidate.added):
            by_group[candidate.group.name].append(candidate)
    choices = [Choices(members, _most(budget, name, members)) for name, members in by_group.items()]
    slopes = budget.cost.linear + budget.cross @ budget.widths
    room = max(budget.target - budget.spent, 0.0)
    programme = Programme([one.least for one in choices], slopes, budget.cost.cross, room)
    greedy = (budget.copy().fill(ranked) for ranked in (by_gain(candidates), by_gain_per_cost(candidates, budget)))
    found = solve(programme, [_added(taken, budget) for taken in (start, *greedy)])
    for one, added in zip(choices, found.widths.tolist(), strict=True):
        for candidate in by_gain(one.best(added)):
            budget.take(candidate)
    taken = budget.fill(by_gain_per_cost(candidates, budget))
    return Selection(taken, replace(found, gain=sum(c.gain for c in taken)).gap)


def _most(budget: Budget, group: str, candidates: Iterable[Candidate]) -> int:
    """Neurons of a group that candidates can add within the budget."""
    together = range(1, sum(c.added for c in candidates) + 1)
    return bisect_left(together, True, key=lambda added: not budget.fits(group, added))


def _added(taken: Iterable[Candidate], budget: Budget) -> Indices:
    """Neurons that candidates add to each group."""
    added = np.zeros(len(budget.widths), dtype=np.int64)
    for candidate in taken:
        added[budget.index[candidate.group.name]] += candidate.added
    return added


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
