"""Statistics over seeds. Each is scipy's, or is tested against it.

Seeds are the units: a run's seed net, data order and validation part come from its seed, so two methods are compared
on the differences within seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isnan, log, sqrt

import numpy as np
from scipy import stats

LEVEL = 0.95
FEWEST = 3
"""With fewer seeds nothing is concluded."""
ROUNDING = 1e-12
"""Share of a score below which differences are none."""


@dataclass(frozen=True)
class Mean:
    """A mean with its interval: two-sided t of three values or more, the range of two, none (None) of a single one."""

    mean: float
    low: float | None
    high: float | None
    n: int


def mean_interval(values: Sequence[float]) -> Mean:
    """Mean and 95 % t interval: ``mean ± t(n - 1) * s / sqrt(n)``.

    The t interval of two values is 13 times as wide as their range, and so says nothing; they show the range itself.
    """
    n = len(values)
    mean = float(np.mean(values))
    if n < FEWEST:
        return Mean(mean, float(min(values)), float(max(values)), n) if n == 2 else Mean(mean, None, None, n)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * float(np.std(values, ddof=1)) / sqrt(n)
    return Mean(mean, mean - half, mean + half, n)


def differences(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """a less b, pair by pair; differences that are equal but for rounding are made equal."""
    one, other = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    found = one - other
    rounding = ROUNDING * max(np.abs([one, other]).max(initial=0.0), 1e-300)
    return [float(np.median(found))] * len(found) if np.ptp(found) <= rounding else [float(one) for one in found]


@dataclass(frozen=True)
class Paired:
    """A against B on common seeds."""

    seeds: int
    difference: float  # of the mean scores, A - B, and its interval
    low: float | None
    high: float | None
    p: float | None  # two-sided, of the paired t test; None with fewer than 2 seeds or without variation
    p_better: float  # share of seeds on which A is better, ties counting half, and its Clopper-Pearson interval
    p_better_low: float
    p_better_high: float


def paired(a: Sequence[float], b: Sequence[float], higher_is_better: bool = True) -> Paired:
    """Compare two methods seed by seed."""
    found = differences(a, b)
    signs = np.sign(found) * (1 if higher_is_better else -1)
    wins, n = float((signs > 0).sum() + (signs == 0).sum() / 2), len(found)
    p = float(stats.ttest_1samp(found, 0.0).pvalue) if len(set(found)) > 1 else None
    mean = mean_interval(found)
    return Paired(n, mean.mean, mean.low, mean.high, p, wins / n, *proportion_interval(wins, n))


def proportion_interval(wins: float, n: int) -> tuple[float, float]:
    """Clopper and Pearson's exact 95 % interval; halves (ties) are interpolated by the beta quantile."""
    tail = (1 - LEVEL) / 2
    low = 0.0 if wins == 0 else float(stats.beta.ppf(tail, wins, n - wins + 1))
    high = 1.0 if wins == n else float(stats.beta.ppf(1 - tail, wins + 1, n - wins))
    return low, high


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction for the number of comparisons; None stays None and does not count."""
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    running = 0.0
    for place, (p, i) in enumerate(known):
        running = max(running, min(1.0, p * (len(known) - place)))
        corrected[i] = running
    return corrected


Curve = list[tuple[float, float]]


def curve(points: Curve) -> Curve:
    """Ascending, distinct sizes with scores, from stages in order: of a size twice, what was trained last counts."""
    return sorted(dict(points).items())


def area(points: Curve, low: float, high: float) -> float | None:
    """Mean score over log size between two sizes: the trapezoid rule, divided by the range of log size."""
    if not low < high or points[0][0] > low or points[-1][0] < high:
        return None
    x = np.log([size for size, _ in points])
    y = [score for _, score in points]
    inside = [log(low), *(value for value in x if log(low) < value < log(high)), log(high)]
    return float(np.trapezoid(np.interp(inside, x, y), inside)) / log(high / low)


def size_to_reach(points: Curve, target: float, higher_is_better: bool = True) -> float | None:
    """The first size at which a curve, straight in log size, is as good as ``target``; None where it never is."""
    sign = 1.0 if higher_is_better else -1.0
    gaps = [(size, sign * (score - target)) for size, score in points]
    if gaps[0][1] >= 0:
        return gaps[0][0]
    for (before, lacking), (size, gap) in pairwise(gaps):
        if gap >= 0:
            return float(np.exp(log(before) + lacking / (lacking - gap) * log(size / before)))
    return None


def on_front(points: Curve, higher_is_better: bool = True) -> list[bool]:
    """For each (cost, score) whether no other is at most as dear and at least as good, and one of both strictly."""
    cost, score = np.asarray(points, dtype=float).T
    worse = -score if higher_is_better else score
    no_better = (cost <= cost[:, None]) & (worse <= worse[:, None])
    beaten = no_better & ((cost < cost[:, None]) | (worse < worse[:, None]))
    return [not any_better for any_better in beaten.any(axis=1)]


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Spearman's rank correlation; None with fewer than 3 pairs or where one side is constant."""
    if len(a) < FEWEST or len(set(a)) < 2 or len(set(b)) < 2:
        return None
    found = float(stats.spearmanr(a, b).statistic)
    return None if isnan(found) else found
