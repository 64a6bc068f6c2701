"""Statistics over several settings, with intervals of the stratified bootstrap: rliable's, by scipy.

R. Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice" (arXiv 2108.13264). A stratum
is the scores of one method in one setting, a value a seed; strata are resampled apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.report.analysis.statistics import LEVEL

Scores = NDArray[np.float64]
Statistic = Callable[..., Scores]
"""Of strata, each of shape ``(..., seeds)``, to ``(...)``; resamples lie along the dimensions before."""

RESAMPLES = 2000
TRIMMED = 0.25
"""Share left out at each end of the interquartile mean."""


@dataclass(frozen=True)
class Estimate:
    """A statistic with its percentile interval at 95 %; without one where a stratum has a single value."""

    value: float
    low: float | None
    high: float | None


def estimate(statistic: Statistic, strata: Sequence[Sequence[float]]) -> Estimate:
    """A statistic of strata, with its interval by the stratified bootstrap; the same for the same numbers."""
    data = [np.asarray(one, dtype=float) for one in strata]
    value = float(statistic(*data))
    if min(map(len, data)) < 2:
        return Estimate(value, None, None)
    found = stats.bootstrap(
        data,
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        vectorized=True,
        random_state=0,
    ).confidence_interval
    return Estimate(value, float(found.low), float(found.high))


def interquartile_mean(*strata: Scores, axis: int = -1) -> Scores:
    """Mean of the middle half of all values."""
    found: Scores = stats.trim_mean(np.concatenate(strata, axis=axis), TRIMMED, axis=axis)
    return found


def improvement(*strata: Scores, axis: int = -1) -> Scores:
    """``P(x > y) + P(x = y) / 2``, the mean over settings: the first half of the strata is x, the second y.

    In each setting that is the Mann-Whitney statistic over the number of pairs.
    """
    half = len(strata) // 2
    pairs = zip(strata[:half], strata[half:], strict=True)
    wins = [(np.sign(x[..., :, None] - y[..., None, :]) + 1).mean(axis=(-2, -1)) / 2 for x, y in pairs]
    found: Scores = np.mean(wins, axis=0)
    return found


def mean_rank(places: Sequence[int], methods: Sequence[int]) -> Statistic:
    """The rank of one method by its mean score in each setting, 1 for the highest, on average over settings.

    Args:
        places: Of the method among the strata of each setting.
        methods: How many strata each setting has; those of the first come first.
    """

    def statistic(*strata: Scores, axis: int = -1) -> Scores:
        means, ranks = [one.mean(axis=axis) for one in strata], []
        for place, count in zip(places, methods, strict=True):
            here, means = np.stack(means[:count]), means[count:]
            ranks.append(stats.rankdata(-here, axis=0)[place])
        found: Scores = np.mean(ranks, axis=0)
        return found

    return statistic
