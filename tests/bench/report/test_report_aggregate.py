"""Statistics over settings, each against a slow plain form and scipy's of one setting."""

from __future__ import annotations

import random
from statistics import fmean

import numpy as np
import pytest
from scipy import stats

from bench.report.analysis.aggregate import Estimate, Scores, estimate, improvement, interquartile_mean, mean_rank

STRATA = [[0.9, 0.7, 0.95, 0.4, 0.8], [0.3, 0.5, 0.5], [0.85, 0.7, 0.6, 0.65], [0.2, 0.5, 0.45]]


def arrays(strata: list[list[float]]) -> list[Scores]:
    return [np.asarray(one) for one in strata]


def plain_middle(strata: list[list[float]]) -> float:
    values = sorted(value for one in strata for value in one)
    cut = len(values) // 4
    return fmean(values[cut : len(values) - cut])


def plain_improvement(strata: list[list[float]]) -> float:
    half, found = len(strata) // 2, []
    for x, y in zip(strata[:half], strata[half:], strict=True):
        found.append(fmean(1.0 if a > b else 0.5 if a == b else 0.0 for a in x for b in y))
    return fmean(found)


def plain_rank(strata: list[list[float]], places: list[int], methods: list[int]) -> float:
    found, start = [], 0
    for place, count in zip(places, methods, strict=True):
        means = [fmean(one) for one in strata[start : start + count]]
        start += count
        better = sum(mean > means[place] for mean in means)
        found.append(better + (sum(mean == means[place] for mean in means) + 1) / 2)
    return fmean(found)


def test_values_are_those_by_hand() -> None:
    assert float(interquartile_mean(*arrays(STRATA))) == pytest.approx(plain_middle(STRATA))
    assert float(improvement(*arrays(STRATA))) == pytest.approx(plain_improvement(STRATA))
    for places, methods in (([1, 0], [2, 2]), ([3], [4]), ([0, 2], [1, 3])):
        found = float(mean_rank(places, methods)(*arrays(STRATA)))
        assert found == pytest.approx(plain_rank(STRATA, places, methods))
    assert float(mean_rank([0], [3])(*arrays([[0.5], [0.5], [0.1]]))) == 1.5  # ties share their ranks


def test_improvement_in_one_setting_is_the_mann_whitney_statistic() -> None:
    x, y = STRATA[0], STRATA[2]
    expected = stats.mannwhitneyu(x, y).statistic / (len(x) * len(y))
    assert float(improvement(*arrays([x, y]))) == pytest.approx(expected)


def test_many_resamples_at_once_are_as_each_alone() -> None:
    generator = np.random.default_rng(0)
    drawn = [generator.choice(one, size=(7, len(one))) for one in arrays(STRATA)]
    for statistic in (interquartile_mean, improvement, mean_rank([1, 0], [2, 2])):
        alone = [float(statistic(*(one[k] for one in drawn))) for k in range(7)]
        assert statistic(*drawn, axis=-1) == pytest.approx(alone)


@pytest.mark.parametrize(
    ("statistic", "plain"),
    [
        (interquartile_mean, plain_middle),
        (improvement, plain_improvement),
        (mean_rank([1, 0], [2, 2]), lambda strata: plain_rank(strata, [1, 0], [2, 2])),
    ],
    ids=["middle", "improvement", "rank"],
)
def test_intervals_are_those_of_resampling_each_stratum(statistic, plain) -> None:  # type: ignore[no-untyped-def]
    found, draw = estimate(statistic, STRATA), random.Random(0)
    values = sorted(plain([draw.choices(one, k=len(one)) for one in STRATA]) for _ in range(4000))
    assert found.value == pytest.approx(plain(STRATA))
    span = values[-1] - values[0]
    assert found.low == pytest.approx(values[100], abs=0.05 * span)
    assert found.high == pytest.approx(values[-100], abs=0.05 * span)


def test_the_same_numbers_have_the_same_interval_whatever_the_random_state() -> None:
    first = estimate(interquartile_mean, STRATA)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert estimate(interquartile_mean, STRATA) == first


def test_one_seed_has_no_interval() -> None:
    assert estimate(interquartile_mean, [[0.5, 0.7], [0.6]]) == Estimate(pytest.approx(0.6), None, None)
