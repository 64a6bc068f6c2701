"""How many neurons to add to each group: the integer programme at the true cost, with a proof.

    minimise  sum_g G_g(a_g)   subject to   q . a + a^T Q a <= budget,   a_g in {0, 1, 2, ...}

``G_g(a)`` is the least sum of gains with which candidates of the group add a neurons, a table of any shape. The cost is
quadratic, with no coefficient below zero. It is branch and bound over the widths:

* **Bound.** At a price p per unit of cost, ``sum_g G_g(a_g) + p (q . a + a^T Q a - budget)`` is no more than the sum of
  gains of what fits (Lagrange). Its minimum is exact where the pairs of groups that share a term of the cost make a
  forest, as along a chain of layers: by messages from the leaves to the roots. A group's message is a minimum over
  lines, one for each of its widths, and so the lower hull of a table. Pairs that close a cycle are replaced by planes
  that touch their product from below (McCormick, 1976).
* **Branch.** Groups are fixed one by one, parents before children. What is fixed, and the messages of what is not,
  bound a partial choice from below, at several prices. It is left out if it cannot beat the best known choice, or if
  another with the same widths next to open groups costs no more and gains no less.
* **Limit.** A number of partial choices is kept, not a time, so that the same programme has the same answer. Where more
  are left, the least bound of those dropped is what is proven.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.network.quadratic import Vector

Indices = NDArray[np.int64]

KEPT = (16, 256, 1024)
"""Partial choices kept, in one search after another: a quick one finds what the next cuts by."""
PRICES = 4
"""Prices at which partial choices are bounded."""
MEETINGS, TOUCHES = 50, 4
"""Prices tried, and choices of planes, on the way to the highest bound."""
EXTENDED = 2**20
"""Partial choices looked at in one go."""
ROUNDING = 1e-12
"""Share by which sums may be off."""


@dataclass(frozen=True, eq=False)
class Programme:
    """The programme.

    Attributes:
        tables: For each group ``G_g(0) = 0, G_g(1), ...``; infinite for what no choice of candidates adds.
        linear: q, shape ``(groups,)``.
        cross: Q, shape ``(groups, groups)``.
        budget: At least 0.
    """

    tables: Sequence[Vector]
    linear: Vector
    cross: Vector
    budget: float

    def cost(self, widths: Indices) -> float:
        """What adding these neurons costs."""
        return float(self.linear @ widths + widths @ self.cross @ widths)

    def gain(self, widths: Indices) -> float:
        """Least sum of gains of these widths."""
        return float(sum(table[a] for table, a in zip(self.tables, widths, strict=True)))


@dataclass(frozen=True, eq=False)
class Found:
    """What was found.

    Attributes:
        widths: Neurons to add to each group, shape ``(groups,)``.
        gain: Their sum of gains.
        bound: No choice that fits has a lower one.
    """

    widths: Indices
    gain: float
    bound: float

    @property
    def gap(self) -> float:
        """How far the optimum may lie below what was found, as a share of it at most; 0 within `ROUNDING`."""
        short = self.gain - self.bound
        return short / abs(self.bound) if short > ROUNDING * abs(self.bound) else 0.0


def solve(programme: Programme, start: Sequence[Indices] = (), kept: Sequence[int] = KEPT) -> Found:
    """Solve the programme.

    Args:
        programme: The programme.
        start: Widths that fit, and that the answer shall not be worse than.
        kept: Partial choices kept, in one search after another, until the optimum is proven.
    """
    best = min([np.zeros(len(programme.tables), dtype=np.int64), *start], key=programme.gain)
    bound, shrinking, relaxed = -np.inf, True, _Relaxation(programme)
    while shrinking:
        relaxed.raise_bound()
        fitting = (one.widths for one in relaxed.priced if programme.cost(one.widths) <= programme.budget)
        best = min([best, *fitting], key=programme.gain)
        bound, before = max(bound, relaxed.best.bound), relaxed.choices()
        relaxed.cut(best, programme.gain(best))
        shrinking = relaxed.choices() < 0.9 * before
    for most in kept:
        gain = programme.gain(best)
        if bound >= gain - ROUNDING * abs(gain):
            break
        best, proven = _Search(relaxed, best, gain).run(most)
        bound = max(bound, proven)
    return Found(best, programme.gain(best), min(bound, programme.gain(best)))


# -- bound ------------------------------------------------------------------------------------------


def lower_hull(values: Vector) -> tuple[Indices, Vector]:
    """Corners of the lower hull of the points ``(i, values[i])`` that are finite, and the slopes between them."""
    corners = np.flatnonzero(np.isfinite(values))
    while True:
        slopes = np.diff(values[corners]) / np.diff(corners)
        above = np.flatnonzero(slopes[:-1] >= slopes[1:]) + 1  # on or above the line between two others
        if not len(above):
            return corners, slopes
        corners = np.delete(corners, above)


def message(values: Vector, slopes: Vector) -> tuple[Vector, Indices]:
    """``min_i values[i] + slope * i`` for each of the slopes, and where it is."""
    corners, rises = lower_hull(values)
    least = corners[np.searchsorted(rises, -slopes)]
    return values[least] + slopes * least, least


@dataclass(frozen=True)
class _Pair:
    """A pair of groups that closes a cycle: ``weight a_i a_j``."""

    i: int
    j: int
    weight: float


class _Planes:
    """Planes in the place of such pairs, and so a cost that is nowhere above the true one.

    Args:
        programme: The programme.
        touching: The pairs, with the widths at which each one's plane touches the product.

    Attributes:
        linear: q and the planes' slopes.
        constant: What the planes are at 0.
    """

    def __init__(self, programme: Programme, touching: Sequence[tuple[_Pair, tuple[int, int]]]) -> None:
        self.touching = touching
        self.linear, self.constant = programme.linear.astype(float), 0.0
        for pair, (i, j) in touching:
            self.linear[pair.i] += pair.weight * j
            self.linear[pair.j] += pair.weight * i
            self.constant -= pair.weight * i * j

    def excess(self, group: int, widths: Indices, choices: Indices, fixed: Sequence[int]) -> Vector:
        """What products exceed their planes by, once a group is fixed beside those before it: shape ``(P, C)``.

        Args:
            group: The group.
            widths: Widths of all groups, shape ``(P, groups)``.
            choices: Those of this group, shape ``(C,)``.
            fixed: The groups before it.
        """
        total = np.zeros((len(widths), len(choices)))
        for pair, (i, j) in self.touching:
            if pair.i == group and pair.j in fixed:
                total += pair.weight * np.outer(widths[:, pair.j] - j, choices - i)
            elif pair.j == group and pair.i in fixed:
                total += pair.weight * np.outer(widths[:, pair.i] - i, choices - j)
        return total


class _Relaxation:
    """The programme with planes in the place of the pairs that close a cycle.

    Attributes:
        tables: Those of the programme; infinite, too, for what cannot be part of a better choice.
        order: All groups, parents before children.
        parent: The group next to each on the way to the root, -1 for roots.
        weight: Coefficient of the product of each group's width and its parent's.
        closing: The other pairs.
        priced: The minimum at each price tried.
    """

    def __init__(self, programme: Programme) -> None:
        self.programme, self.tables = programme, [table.copy() for table in programme.tables]
        self.pairs = programme.cross + programme.cross.T
        np.fill_diagonal(self.pairs, 0.0)
        self.own = np.diag(programme.cross)
        near = self._forest()
        self.order, self.parent = _rooted(near)
        self.weight = [self.pairs[g, p] if p >= 0 else 0.0 for g, p in enumerate(self.parent)]
        self.priced: list[_Priced] = []

    def _forest(self) -> list[list[int]]:
        """Neighbours of each group in a forest of the heaviest pairs; the others are `closing`."""
        sizes = np.array([len(table) - 1 for table in self.tables])
        heaviest = np.triu(self.pairs * np.outer(sizes, sizes))
        near: list[list[int]] = [[] for _ in sizes]
        tree = list(range(len(sizes)))
        self.closing: list[_Pair] = []
        for i, j in sorted(np.argwhere(heaviest).tolist(), key=lambda pair: -heaviest[*pair]):
            if tree[i] == tree[j]:
                self.closing.append(_Pair(i, j, float(self.pairs[i, j])))
                continue
            tree = [tree[j] if one == tree[i] else one for one in tree]
            near[i].append(j)
            near[j].append(i)
        return near

    @property
    def best(self) -> _Priced:
        """The minimum at the price of the highest bound."""
        return max(self.priced, key=lambda one: one.bound)

    def choices(self) -> int:
        """Widths left, over all groups."""
        return int(sum(np.isfinite(table).sum() for table in self.tables))

    def ends(self, group: int) -> tuple[int, int]:
        """Least and largest width left of a group."""
        left = np.flatnonzero(np.isfinite(self.tables[group]))
        return int(left[0]), int(left[-1])

    def raise_bound(self) -> None:
        """Find the price of the highest bound, at some choices of planes that touch near the minimum there."""
        self.priced = []
        tried, ends = set[tuple[int, ...]](), (0,) * len(self.closing)
        while ends not in tried and len(tried) < TOUCHES:
            tried.add(ends)
            least = max(self._search_price(ends), key=lambda one: one.bound)
            ends = tuple(self._higher(pair, least.widths) for pair in self.closing)

    def _higher(self, pair: _Pair, widths: Indices) -> int:
        """Whether the plane that touches at the least widths (0) or at the largest (1) is the higher one here."""
        gaps = [
            (widths[pair.i] - i) * (widths[pair.j] - j)
            for i, j in zip(self.ends(pair.i), self.ends(pair.j), strict=True)
        ]
        return int(gaps[1] < gaps[0])

    def _search_price(self, ends: Sequence[int]) -> list[_Priced]:
        """Minima at some prices: the bound is highest where the lines of two of them meet, one of which fits."""
        touching = [
            (pair, (self.ends(pair.i)[end], self.ends(pair.j)[end]))
            for pair, end in zip(self.closing, ends, strict=True)
        ]
        planes, budget = _Planes(self.programme, touching), self.programme.budget
        found = [_Priced(self, planes, 0.0)]
        beyond = self._point(planes, np.array([int(table.argmin()) for table in self.tables]))
        within = self._point(planes, np.array([self.ends(g)[0] for g in range(len(self.tables))]))
        while beyond[0] > budget and len(found) < MEETINGS:
            price = (within[1] - beyond[1]) / (beyond[0] - within[0])
            found.append(_Priced(self, planes, price))
            cost, gain = self._point(planes, found[-1].widths)
            if gain + price * cost >= within[1] + price * within[0] - ROUNDING * (abs(within[1]) + price * budget):
                break
            beyond, within = ((cost, gain), within) if cost > budget else (beyond, (cost, gain))
        self.priced += found
        return found

    def _point(self, planes: _Planes, widths: Indices) -> tuple[float, float]:
        """Cost and sum of gains of some widths."""
        tree = sum(self.weight[g] * widths[g] * widths[p] for g, p in enumerate(self.parent) if p >= 0)
        cost = planes.linear @ widths + self.own @ widths**2 + tree + planes.constant
        return float(cost), self.programme.gain(widths)

    def cut(self, best: Indices, gain: float) -> None:
        """Leave out widths with which no choice has a sum of gains below ``gain``; those of ``best`` stay."""
        one, inward = self.best, dict[int, Vector]()
        room = gain - one.bound + ROUNDING * (abs(gain) + one.price * self.programme.budget)
        for group in self.order:
            total, parent = one.tables[group], self.parent[group]
            if parent >= 0:
                slopes = one.price * self.weight[group] * np.arange(float(len(total)))
                total = total + message(inward[parent] - one.messages[group], slopes)[0]
            inward[group] = total
            hopeless = total - total.min() > room
            hopeless[best[group]] = False
            self.tables[group][hopeless] = np.inf


class _Priced:
    """The minimum of a relaxation at one price, with one choice of planes.

    Attributes:
        tables: For each group and width, what it and all below it come to.
        messages: For each group but roots what its table comes to at best, by the parent's width.
        widths: Where the minimum is.
        bound: The bound.
    """

    def __init__(self, of: _Relaxation, planes: _Planes, price: float) -> None:
        self.price, self.planes, self.weight, self.parent = price, planes, of.weight, of.parent
        self.tables = [
            table + price * (slope * np.arange(len(table)) + own * np.arange(len(table)) ** 2)
            for table, slope, own in zip(of.tables, planes.linear, of.own, strict=True)
        ]
        self.messages: dict[int, Vector] = {}
        least, total = {}, 0.0
        for group in reversed(of.order):
            parent = of.parent[group]
            if parent < 0:
                total += float(self.tables[group].min())
                continue
            slopes = price * of.weight[group] * np.arange(float(len(self.tables[parent])))
            self.messages[group], least[group] = message(self.tables[group], slopes)
            self.tables[parent] = self.tables[parent] + self.messages[group]
        self.widths = np.zeros(len(of.order), dtype=np.int64)
        for group in of.order:
            parent = of.parent[group]
            self.widths[group] = self.tables[group].argmin() if parent < 0 else least[group][self.widths[parent]]
        self.bound = total + price * (planes.constant - of.programme.budget)

    def slack(self, group: int, widths: Indices, choices: Indices) -> Vector:
        """What the bound rises by if the group is fixed.

        Args:
            group: The group.
            widths: Its parent's widths, shape ``(P,)``.
            choices: Its own, shape ``(C,)``.

        Returns:
            Shape ``(P, C)``; of roots ``(1, C)``.
        """
        table = self.tables[group]
        if self.parent[group] < 0:
            return np.asarray(table[choices] - table.min())[None]
        lines = self.price * self.weight[group] * np.outer(widths, choices)
        return np.asarray(table[choices] + lines - self.messages[group][widths][:, None])


def _rooted(near: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """Groups of a forest, parents before children and each root at an end; and their parents."""
    order: list[int] = []
    parent = [-1] * len(near)
    for root in sorted(range(len(near)), key=lambda group: len(near[group])):
        waiting = [] if root in order else [root]
        while waiting:
            group = waiting.pop()
            order.append(group)
            below = [child for child in near[group] if child != parent[group]]
            for child in below:
                parent[child] = group
            waiting += below
    return order, parent


# -- branch -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Partial:
    """Partial choices: widths ``(n, groups)``, sums of gains and costs ``(n,)``, bounds ``(n, prices)``."""

    widths: Indices
    gains: Vector
    costs: Vector
    bounds: Vector

    def __len__(self) -> int:
        return len(self.gains)

    def at(self, rows: Indices) -> _Partial:
        return _Partial(self.widths[rows], self.gains[rows], self.costs[rows], self.bounds[rows])


class _Search:
    """One search.

    Args:
        of: The relaxation.
        best: The best known choice.
        gain: Its sum of gains.
    """

    def __init__(self, of: _Relaxation, best: Indices, gain: float) -> None:
        self.of, self.best, self.gain = of, best, gain
        self.priced = sorted(of.priced, key=lambda one: -one.bound)[:PRICES]
        self.dropped = np.inf

    def run(self, most: int) -> tuple[Indices, float]:
        """The best choice known now, and a bound of all.

        Args:
            most: Partial choices kept.
        """
        none = np.zeros((1, len(self.of.order)), dtype=np.int64)
        found = _Partial(none, np.zeros(1), np.zeros(1), np.array([[one.bound for one in self.priced]]))
        for number, group in enumerate(self.of.order):
            rows = max(EXTENDED // len(self.of.tables[group]), 1)
            parts = [np.arange(first, min(first + rows, len(found))) for first in range(0, len(found), rows)]
            found = _joined([self._extended(found.at(part), group, self.of.order[:number]) for part in parts])
            still_open = self.of.order[number + 1 :]
            beside = np.asarray(self.of.pairs[:, still_open].any(axis=1))
            beside[still_open] = False
            found = self._best(found, 4 * most)
            found = self._best(found.at(undominated(found.widths[:, beside], found.costs, found.gains)), most)
            if not len(found):
                break
        for row in np.argsort(found.gains, kind="stable"):
            if found.gains[row] >= self.gain:
                break
            if self.of.programme.cost(found.widths[row]) <= self.of.programme.budget:
                return found.widths[row], min(self.dropped, float(found.gains[row]))
        return self.best, min(self.dropped, self.gain)

    def _extended(self, found: _Partial, group: int, fixed: Sequence[int]) -> _Partial:
        """Each partial choice with every width of one more group that fits and may beat the best known choice."""
        of, programme = self.of, self.of.programme
        choices = np.flatnonzero(np.isfinite(of.tables[group]))
        slopes = programme.linear[group] + found.widths @ of.pairs[:, group]
        costs = found.costs[:, None] + slopes[:, None] * choices + of.own[group] * choices**2
        bounds = [
            found.bounds[:, [k]]
            + one.slack(group, found.widths[:, of.parent[group]], choices)
            + one.price * one.planes.excess(group, found.widths, choices, fixed)
            for k, one in enumerate(self.priced)
        ]
        hopeful = np.maximum.reduce(bounds) < self.gain - ROUNDING * abs(self.gain)
        row, column = np.nonzero(hopeful & (costs <= programme.budget * (1 + ROUNDING)))
        widths = found.widths[row]
        widths[:, group] = choices[column]
        gains = found.gains[row] + of.tables[group][choices[column]]
        return _Partial(widths, gains, costs[row, column], np.stack([bound[row, column] for bound in bounds], axis=1))

    def _best(self, found: _Partial, most: int) -> _Partial:
        """Those of the least bounds; the least of the others is kept in mind."""
        if len(found) <= most:
            return found
        bounds = found.bounds.max(1)
        order = np.argsort(bounds, kind="stable")
        self.dropped = min(self.dropped, float(bounds[order[most]]))
        return found.at(order[:most])


def _joined(parts: Sequence[_Partial]) -> _Partial:
    columns = zip(*((part.widths, part.gains, part.costs, part.bounds) for part in parts), strict=True)
    return _Partial(*map(np.concatenate, columns))


def undominated(keys: Indices, costs: Vector, gains: Vector) -> Indices:
    """Where no other row of the same keys both costs no more and gains no less; of equals one stays.

    Args:
        keys: Shape ``(n, k)``.
        costs: Shape ``(n,)``.
        gains: Shape ``(n,)``; lower is better.
    """
    by_key = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1) if keys.size else np.zeros(len(gains), int)
    levels, level = np.unique(gains, return_inverse=True)
    order = np.lexsort((gains, costs, by_key))
    ranks = level[order] - by_key[order] * (len(levels) + 1)  # every rank of a key is below all of the one before it
    before = np.append(np.iinfo(np.int64).max, np.minimum.accumulate(ranks)[:-1])
    return np.asarray(order[ranks < before])
