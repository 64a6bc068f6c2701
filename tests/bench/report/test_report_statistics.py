"""Statistics with known answers: scipy's and pandas', and by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.report.analysis import statistics as ours

VALUES = [0.91, 0.935, 0.90, 0.95, 0.92]
OTHERS = [0.90, 0.93, 0.91, 0.93, 0.90]


@pytest.mark.parametrize("n", [3, 5])
def test_mean_interval_is_that_of_scipy(n: int) -> None:
    found = ours.mean_interval(VALUES[:n])
    series = pd.Series(VALUES[:n])
    low, high = stats.t.interval(0.95, n - 1, loc=series.mean(), scale=series.sem())
    assert (found.mean, found.low, found.high) == pytest.approx((series.mean(), low, high))


def test_two_values_have_their_range() -> None:
    assert ours.mean_interval([0.7, 0.5]) == ours.Mean(pytest.approx(0.6), 0.5, 0.7, 2)
    low, high = stats.t.interval(0.95, 1, loc=0.6, scale=np.std([0.7, 0.5], ddof=1) / math.sqrt(2))
    assert high - low > 12 * 0.2  # what would be shown instead


def test_one_value_has_no_interval() -> None:
    assert ours.mean_interval([0.5]) == ours.Mean(0.5, None, None, 1)


def test_paired_is_scipys_paired_t_test() -> None:
    found = ours.paired(VALUES, OTHERS)
    expected = stats.ttest_rel(VALUES, OTHERS)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    exact = stats.binomtest(4, 5).proportion_ci(0.95, "exact")
    assert (found.p_better, found.p_better_low, found.p_better_high) == pytest.approx((0.8, exact.low, exact.high))


def test_lower_is_better_for_losses() -> None:
    assert ours.paired(VALUES, OTHERS, higher_is_better=False).p_better == pytest.approx(0.2)


def test_equal_seeds_are_half_a_win_and_give_no_p() -> None:
    found = ours.paired([0.5, 0.6, 0.7], [0.5, 0.6, 0.7])
    assert (found.p_better, found.p, found.difference) == (0.5, None, 0.0)


def test_few_seeds_that_agree_leave_the_probability_open() -> None:
    found = ours.paired([0.9, 0.91, 0.95], [0.8, 0.82, 0.83])
    assert found.p_better == 1.0
    assert found.p_better_low == pytest.approx(0.025 ** (1 / 3))


def test_holm_by_hand() -> None:
    assert ours.holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]
    assert ours.holm([0.9, 0.8]) == [1.0, 1.0]
    assert ours.holm([]) == []


def test_area_of_a_straight_line_in_log_size_is_its_middle() -> None:
    line = [(size, 0.1 * math.log(size)) for size in (100.0, 150.0, 400.0, 800.0)]
    assert ours.area(line, 120, 700) == pytest.approx(0.1 * (math.log(120) + math.log(700)) / 2)


def test_area_is_numpys_trapezoid_over_the_whole_range() -> None:
    points = [(100.0, 0.5), (200.0, 0.7), (800.0, 0.8)]
    logs = np.log([size for size, _ in points])
    expected = np.trapezoid([score for _, score in points], logs) / (logs[-1] - logs[0])
    assert ours.area(points, 100, 800) == pytest.approx(expected)


def test_no_area_beyond_what_was_run() -> None:
    points = [(100.0, 0.5), (200.0, 0.7)]
    assert ours.area(points, 100, 300) is None
    assert ours.area(points, 200, 200) is None


def test_size_to_reach() -> None:
    points = [(100.0, 0.5), (400.0, 0.7), (800.0, 0.6), (1600.0, 0.9)]
    assert ours.size_to_reach(points, 0.6) == pytest.approx(200)  # half-way in log size
    assert ours.size_to_reach(points, 0.5) == 100
    assert ours.size_to_reach(points, 0.95) is None
    losses = [(size, 1 - score) for size, score in points]
    assert ours.size_to_reach(losses, 0.4, higher_is_better=False) == pytest.approx(200)


def test_a_size_twice_counts_as_trained_last() -> None:
    assert ours.curve([(100, 0.5), (200, 0.6), (200, 0.7)]) == [(100, 0.5), (200, 0.7)]


@pytest.mark.parametrize("sign", [1, -1])
def test_front_is_that_of_its_definition(sign: int) -> None:
    generator = np.random.default_rng(0)
    points = [(float(c), float(s)) for c, s in generator.integers(0, 6, (40, 2))]

    def beaten(cost: float, score: float) -> bool:
        return any(c <= cost and sign * s >= sign * score and (c, s) != (cost, score) for c, s in points)

    assert ours.on_front(points, sign > 0) == [not beaten(*point) for point in points]


def test_rank_correlation_is_scipys() -> None:
    a, b = [1.0, 2.0, 2.0, 4.0, 5.0], [2.0, 1.0, 3.0, 3.5, 9.0]
    assert ours.rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert ours.rank_correlation(a[:2], b[:2]) is None
    assert ours.rank_correlation([1.0, 1.0, 1.0], b[:3]) is None


@given(
    st.lists(st.integers(0, 10_000), min_size=2, max_size=6), st.integers(-500, 500), st.sampled_from([10, 360, 10_000])
)
def test_differences_that_are_equal_but_for_rounding_are_no_variation(counts: list[int], less: int, of: int) -> None:
    one, other = [(k + less) / of for k in counts], [k / of for k in counts]
    assert len(set(ours.differences(one, other))) == 1
    result = ours.paired(one, other)
    assert result.p is None
    assert result.difference == pytest.approx(less / of)
    if len(counts) > 2:
        assert (result.low, result.high) == pytest.approx((less / of, less / of), rel=1e-12)


def test_small_differences_of_small_scores_are_some() -> None:
    assert ours.paired([1e-20, 2e-20, 4e-20], [1e-20, 1e-20, 1e-20]).p is not None
