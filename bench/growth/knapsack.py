"""The multiple-choice knapsack: of each item at most one version, the least sum of values within a budget.

    minimise  sum_i x_i value_i   subject to   sum_i x_i cost_i <= budget,   x_i in {0, 1},   one version per item

Exact by a Lagrangian bound and a search of the core around the break (Balas and Zemel 1980; Sinha and Zoltners 1979;
Pisinger 1995), in numpy throughout: ten thousand versions take milliseconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Indices = NDArray[np.int64]

STATES = 10_000
"""Partial solutions kept at most; beyond that the search is a heuristic, no worse than rounding."""


def knapsack(values: Vector, costs: Vector, item: Indices, budget: float) -> Indices:
    """Which versions to take.

    At a price ``p`` per unit of cost every item takes the version of least ``value + p * cost``, or none. The price at
    which that just fits bounds the optimum. What a version adds to the bound by being taken in place of that choice is
    its slack, and no solution with more slack in all than the best known solution lies above the bound is better
    than that. So items are opened in the order of their slack, all undominated combinations are kept, and
    the search ends where the next item's slack is beyond what is left to gain.

    Args:
        values: Negative numbers, shape (N,); versions with other values are never taken.
        costs: Positive numbers, shape (N,).
        item: For each version the number of its item, shape (N,).
        budget: At least 0.

    Returns:
        Indices of the versions taken, sorted.
    """
    _, which = np.unique(item, return_inverse=True)
    order = np.argsort(which, kind="stable")
    starts = np.flatnonzero(np.diff(which[order], prepend=-1))

    def least(reduced: Vector) -> Vector:
        """For each version the least of its item's, 0 for taking none."""
        return np.asarray(np.minimum(np.minimum.reduceat(reduced[order], starts), 0.0)[which])

    def choice(price: float) -> Indices:
        reduced = values + price * costs
        best = np.flatnonzero((reduced < 0) & (reduced == least(reduced)))
        return np.asarray(best[np.unique(which[best], return_index=True)[1]])

    low, high = 0.0, max(float((-values / costs).max()), 0.0) * (1 + 1e-12)
    if costs[choice(low)].sum() <= budget:
        return np.sort(choice(low))
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if costs[choice(middle)].sum() <= budget else (middle, high)
    chosen, reduced = choice(high), values + high * costs
    left = budget - float(costs[chosen].sum())

    # Taking version i in place of its item's choice changes the cost by `change` and adds `slack` to the bound.
    taken = np.full(len(starts), -1)
    taken[which[chosen]] = chosen
    base = taken[which]
    change = costs - np.where(base >= 0, costs[base], 0.0)
    slack = reduced - least(reduced)
    change[chosen], slack[chosen] = -costs[chosen], -reduced[chosen]  # taking none instead
    swaps = _search(change, slack, which, left, high)
    for i in swaps.tolist():
        taken[which[i]] = -1 if taken[which[i]] == i else i
    return np.sort(taken[taken >= 0])


def _search(change: Vector, slack: Vector, item: Indices, left: float, price: float) -> Indices:
    """The swaps, at most one per item, that least exceed the bound: ``sum slack + price * (left - sum change)``."""
    cheapest = np.full(item.max() + 1, np.inf)
    np.minimum.at(cheapest, item, slack)
    by_item = np.lexsort((slack, item, cheapest[item]))
    ends = np.flatnonzero(np.diff(item[by_item], append=-1)) + 1
    spent, loss = np.zeros(1), np.zeros(1)
    gap, best = price * left, (0, 0)  # of no swap at all
    trail: list[tuple[Indices, Indices]] = []
    for versions in np.split(by_item, ends[:-1]):
        if slack[versions[0]] >= gap:
            break
        options = np.append(-1, versions[slack[versions] < gap])
        moves = np.append(0.0, change[options[1:]])
        losses = np.append(0.0, slack[options[1:]])
        new_spent, new_loss = (spent[:, None] + moves).ravel(), (loss[:, None] + losses).ravel()
        fits = new_spent <= left
        excess = np.where(fits, new_loss + price * (left - new_spent), np.inf)
        now = float(excess.min())
        found, gap = now < gap, min(gap, now)
        keep = np.flatnonzero((new_loss < gap) | (excess == gap))
        keep = keep[_undominated(new_spent[keep], new_loss[keep] - price * new_spent[keep])]
        if len(keep) > STATES:
            keep = keep[np.argsort(new_loss[keep] + price * np.abs(left - new_spent[keep]), kind="stable")[:STATES]]
        spent, loss = new_spent[keep], new_loss[keep]
        trail.append((keep // len(options), options[keep % len(options)]))
        if found:
            best = (len(trail), int(excess[keep].argmin()))
    swaps, state = [], best[1]
    for parents, options in reversed(trail[: best[0]]):
        if options[state] >= 0:
            swaps.append(int(options[state]))
        state = int(parents[state])
    return np.array(swaps, dtype=np.int64)


def _undominated(spent: Vector, value: Vector) -> Indices:
    """Where no other combination both spends no more and is worth no less."""
    order = np.lexsort((value, spent))
    sorted_values = value[order]
    before = np.append(np.inf, np.minimum.accumulate(sorted_values)[:-1])
    return np.asarray(order[sorted_values < before])
