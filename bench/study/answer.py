"""What the runs of a setting say: means over seeds, differences paired by seed, and shares of variance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.core.record import RunRecord
from bench.report.analysis.rungs import Row, as_columns, size_curve, spent
from bench.report.analysis.statistics import FEWEST, LEVEL, Mean, area, holm, mean_interval, paired
from bench.report.read.arguments import value_text
from bench.study.layout import Layout, Values

POWER = 0.8
LAST, AREA = "last rung", "area"
MEASURES = (LAST, AREA)

Scores = Mapping[Values, Mapping[int, float]]
"""Of runs, by values of the factors and seed."""


def scores(layout: Layout, measure: str) -> Scores:
    """Test scores at the last rung, or the area under them against log size over the sizes that all runs cover.

    Without sizes in common there are no areas.
    """
    runs = [run for own in layout.runs.values() for run in own.values()]
    low, high = common_sizes(runs)
    found = {}
    for values, own in layout.runs.items():
        if measure == LAST:
            found[values] = {seed: run.stages[-1].test for seed, run in own.items()}
        else:
            areas = {seed: area(size_curve(run), low, high) for seed, run in own.items()}
            found[values] = {seed: one for seed, one in areas.items() if one is not None}
    return found


def common_sizes(runs: Sequence[RunRecord]) -> tuple[float, float]:
    """The range of parameters that all runs cover; empty where the first is not below the second."""
    curves = [size_curve(run) for run in runs]
    return max(points[0][0] for points in curves), min(points[-1][0] for points in curves)


def means(layout: Layout) -> Iterator[Row]:
    """A row for each combination of values: scores, sizes and cost at the last rung, over its seeds.

    ``chosen`` is whether its mean validation score is the best.
    """
    last, areas = scores(layout, LAST), scores(layout, AREA)
    held_out = {values: fmean(r.stages[-1].validation for r in own.values()) for values, own in layout.runs.items()}
    best = layout.score.best(list(held_out.values()))
    for values, own in layout.runs.items():
        runs = list(own.values())
        yield {
            **layout.named(values),
            **as_columns(mean_interval(list(last[values].values())), "test"),
            **_area(mean_interval(list(areas[values].values())) if areas[values] else None),
            "validation_mean": held_out[values],
            "chosen": held_out[values] == best,
            "params_mean": fmean(run.stages[-1].params for run in runs),
            "flops_mean": fmean(list(spent(run))[-1][0] for run in runs),
        }


def _area(mean: Mean | None) -> Row:
    return {name: value for name, value in as_columns(mean, "area").items() if name != "seeds"}


def pairs(layout: Layout, baseline: Mapping[str, object]) -> Iterator[Row]:
    """Each combination less its counterpart, on the seeds of both, by measure.

    ``p_holm`` is corrected for the comparisons of a measure in this setting; ``resolves`` is `resolved` of the
    differences.
    """
    others = {values: other for values in layout.runs if (other := counterpart(layout, values, baseline))}
    for measure in MEASURES:
        found = scores(layout, measure)
        rows = [row for values, other in others.items() if (row := _pair(layout, found, values, other))]
        for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
            yield {**row, "measure": measure, "p_holm": p}


def _pair(layout: Layout, found: Scores, values: Values, other: Values) -> Row | None:
    seeds = sorted(set(found[values]) & set(found[other]))
    if not seeds:
        return None
    a, b = ([found[one][seed] for seed in seeds] for one in (values, other))
    result = paired(a, b, layout.score.accuracy)
    return {
        **layout.named(values),
        "baseline": layout.label(other),
        **{name: getattr(result, name) for name in ("seeds", "difference", "low", "high", "p")},
        "resolves": resolved(differences(found, values, other)),
    }


def counterpart(layout: Layout, values: Values, baseline: Mapping[str, object]) -> Values | None:
    """What a combination is compared with: the baseline's values, and else its own or, where there are none, none."""
    wanted = {factor: value_text(value) for factor, value in baseline.items()}
    target = tuple(wanted.get(factor, value) for factor, value in layout.named(values).items())

    def fits(other: Values) -> bool:
        cells = zip(layout.factors, target, other, strict=True)
        return all(mine == its or (its is None and factor not in wanted) for factor, mine, its in cells)

    there = [other for other in layout.runs if fits(other)] if wanted else []
    best = target if target in there else there[0] if len(there) == 1 else None
    return None if best == values else best


def resolved(found: Sequence[float]) -> float | None:
    """The smallest difference that so many pairs show with `POWER` at a level of 5 %, two-sided.

    None for few pairs, or where no two of the differences are apart.

    ``(t_{0.975, n-1} + t_{0.8, n-1}) * s / sqrt(n)`` with ``s`` the standard deviation of the differences.
    """
    n = len(found)
    if n < FEWEST or np.ptp(found) == 0:
        return None
    quantiles = stats.t.ppf((1 + LEVEL) / 2, n - 1) + stats.t.ppf(POWER, n - 1)
    return float(quantiles * np.std(found, ddof=1) / sqrt(n))


def resolutions(layout: Layout, measure: str) -> list[float]:
    """`resolved` for every two combinations, ascending."""
    found = scores(layout, measure)
    all_pairs = (resolved(differences(found, *two)) for two in combinations(layout.runs, 2))
    return sorted(one for one in all_pairs if one is not None)


def differences(found: Scores, values: Values, other: Values) -> list[float]:
    """Scores of one combination less those of another, on the seeds of both."""
    return [found[values][seed] - found[other][seed] for seed in sorted(set(found[values]) & set(found[other]))]


@dataclass(frozen=True)
class Design:
    """A full factorial design: every combination with the same seeds.

    Attributes:
        factors: Those with several values, at least two.
        y: Scores at the last rung, an axis for each factor and the last for seeds.
        left_out: Combinations that lack one of the factors, and so are no part of it.
    """

    factors: tuple[str, ...]
    y: NDArray[np.float64]
    left_out: int


def design(layout: Layout) -> Design | None:
    """The design of those combinations that have all factors; None where it is not full or has one factor alone."""
    places = [layout.factors.index(factor) for factor in layout.varied]
    whole = [values for values in layout.runs if all(values[place] is not None for place in places)]
    levels = {place: list(dict.fromkeys(values[place] for values in whole)) for place in places}
    places = [place for place in places if len(levels[place]) > 1]
    seeds = sorted(set.intersection(*(set(layout.runs[values]) for values in whole))) if whole else []
    shape = [len(levels[place]) for place in places]
    if len(places) < 2 or len(seeds) < 2 or len(whole) != np.prod(shape):
        return None
    last, y = scores(layout, LAST), np.empty((*shape, len(seeds)))
    for values in whole:
        y[tuple(levels[place].index(values[place]) for place in places)] = [last[values][seed] for seed in seeds]
    return Design(tuple(layout.factors[place] for place in places), y, len(layout.runs) - len(whole))


def shares(found: Design) -> Iterator[Row]:
    """The share of the sum of squares that each factor, each pair of them, seeds as blocks, and the rest explain.

    ``chance`` is what each would be on average if scores were noise alone: its degrees of freedom over all.
    """
    y, seeds = found.y, found.y.ndim - 1
    total = float(((y - y.mean()) ** 2).sum())
    single = [_squares(y, (axis,)) for axis in range(y.ndim)]
    effects: list[tuple[tuple[int, ...], float]] = [((axis,), single[axis]) for axis in range(seeds)]
    effects += [((i, j), _squares(y, (i, j)) - single[i] - single[j]) for i, j in combinations(range(seeds), 2)]
    names, rows = (*found.factors, "seed"), list[Row]()
    for axes, squares in [*effects, ((seeds,), single[seeds])]:
        freedom = np.prod([y.shape[axis] - 1 for axis in axes])
        effect = " and ".join(names[axis] for axis in axes)
        share = squares / total if total else 0.0
        rows.append({"effect": effect, "share": share, "chance": float(freedom / (y.size - 1)), "runs": y.size})
    left = {name: 1 - sum(row[name] for row in rows) if total else 0.0 for name in ("share", "chance")}
    yield from (*rows, {"effect": "the rest", **left, "runs": y.size})


def _squares(y: NDArray[np.float64], axes: tuple[int, ...]) -> float:
    """Sum of squares of the means over all other axes, about the grand mean."""
    others = tuple(axis for axis in range(y.ndim) if axis not in axes)
    means_there = y.mean(axis=others)
    return float(((means_there - y.mean()) ** 2).sum() * y.size / means_there.size)
