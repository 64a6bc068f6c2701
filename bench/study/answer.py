"""What the runs of a setting say: means over seeds, differences paired by seed, and shares of variance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf, prod, sqrt
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.report.analysis.choice import Choice, choose
from bench.report.analysis.compare import AREA, LAST
from bench.report.analysis.rungs import Row, as_columns, common_sizes, size_curve, spent
from bench.report.analysis.statistics import (
    FEWEST,
    LEVEL,
    ROUNDING,
    Mean,
    area,
    differences,
    holm,
    mean_interval,
    paired,
)
from bench.report.read.arguments import value_text
from bench.study.layout import Layout, Values

POWER = 0.8

Scores = Mapping[Values, Mapping[int, float]]
"""Of runs, by values of the factors and seed."""


def measures(layout: Layout) -> dict[str, str | None]:
    """What is compared, by name: scores at the last rung, and areas along a cost, which the values are."""
    return {LAST: None, **{AREA if cost == "params" else f"{AREA} along {cost}": cost for cost in layout.areas}}


def covered(layout: Layout, cost: str) -> tuple[float, float]:
    """The range of a cost that all runs cover; empty where the first is not below the second."""
    return common_sizes((run for own in layout.runs.values() for run in own.values()), cost)


def scores(layout: Layout, measure: str) -> Scores:
    """Test scores at the last rung, or the area under them against the log of a cost over what all runs cover of it.

    Without sizes in common there are no areas.
    """
    if (cost := measures(layout)[measure]) is None:
        return {values: {seed: run.stages[-1].test for seed, run in own.items()} for values, own in layout.runs.items()}
    low, high = covered(layout, cost)
    found: dict[Values, dict[int, float]] = {}
    for values, own in layout.runs.items():
        areas = {seed: area(size_curve(run, cost), low, high) for seed, run in own.items()}
        found[values] = {seed: one for seed, one in areas.items() if one is not None}
    return found


def means(layout: Layout) -> Iterator[Row]:
    """A row for each combination of values: scores, sizes and cost at the last rung, over its seeds.

    ``chosen`` is whether it is the best on validation (`chosen`); ``cells`` counts its seeds, done or not. Of one
    without a seed that is done there are the values and that number alone.
    """
    last = scores(layout, LAST)
    areas = {cost: scores(layout, measure) for measure, cost in measures(layout).items() if cost}
    best = chosen(layout, layout.runs).best if layout.runs else []
    for values, cells in layout.cells.items():
        runs = list(layout.runs.get(values, {}).values())
        yield {
            **layout.named(values),
            **as_columns(_interval(last.get(values, {})), "test"),
            **{k: v for cost, found in areas.items() for k, v in _area(cost, found.get(values, {})).items()},
            "validation_mean": _mean(run.stages[-1].validation for run in runs),
            "chosen": values in best,
            "cells": len(cells),
            "params_mean": _mean(run.stages[-1].params for run in runs),
            "flops_mean": _mean(list(spent(run))[-1][0] for run in runs),
            "front_mean": _mean(list(spent(run, front=True))[-1][0] for run in runs),
        }


def _interval(own: Mapping[int, float]) -> Mean | None:
    return mean_interval(list(own.values())) if own else None


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return fmean(found) if found else None


def chosen(layout: Layout, among: Collection[Values]) -> Choice[Values]:
    """The best of some combinations by their mean validation score at the last rung."""
    found = {values: layout.runs[values] for values in among}
    of_seeds = {values: {seed: run.stages[-1].validation for seed, run in own.items()} for values, own in found.items()}
    return choose(of_seeds, [values for values in among if layout.failed(values)], layout.score.accuracy)


def tuned(layout: Layout, factor: str) -> Iterator[Row]:
    """Each value of a factor at its best on validation (`chosen`), less the best of these, best first.

    ``p_holm`` is corrected for these comparisons; the best of all has none.
    """
    last, bests = scores(layout, LAST), [chosen(layout, own).best[0] for own in layout.by(factor).values()]
    choice = chosen(layout, bests)
    first, worst = choice.best[0], -inf if layout.score.accuracy else inf
    others = [values for values in bests if values != first]
    others.sort(key=lambda values: choice.means.get(values, worst), reverse=layout.score.accuracy)
    rows = [_pair(layout, last, values, first) or {} for values in others]
    corrected = holm([row.get("p") for row in rows])
    for values, row, p in zip((first, *others), ({}, *rows), (None, *corrected), strict=True):
        yield {
            **layout.named(values),
            **as_columns(mean_interval(list(last[values].values())), "test"),
            "cells": len(layout.cells[values]),
            "validation_mean": choice.means.get(values),
            "baseline": layout.label(first) if row else None,
            **{name: row.get(name) for name in ("difference", "low", "high", "p")},
            "p_holm": p,
            "resolves": row.get("resolves"),
        }


def area_column(cost: str) -> str:
    """How the columns of an area along a cost begin."""
    return "area" if cost == "params" else f"area_{cost}"


def _area(cost: str, own: Mapping[int, float]) -> Row:
    found = as_columns(_interval(own), area_column(cost))
    return {name: value for name, value in found.items() if name != "seeds"}


def pairs(layout: Layout, baselines: Sequence[Mapping[str, object]]) -> Iterator[Row]:
    """Each combination less its counterpart by each baseline, on the seeds of both, by measure.

    ``p_holm`` is corrected for the comparisons of a measure in this setting; ``resolves`` is `resolved` of the
    differences.
    """
    compared = comparisons(layout, baselines)
    for measure in measures(layout):
        found = scores(layout, measure)
        rows = [row for values, other in compared if (row := _pair(layout, found, values, other))]
        for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
            yield {**row, "measure": measure, "p_holm": p}


def comparisons(layout: Layout, baselines: Sequence[Mapping[str, object]]) -> list[tuple[Values, Values]]:
    """Combinations and what each is compared with; no two the other way round as well."""
    found = list[tuple[Values, Values]]()
    for baseline in baselines:
        for values in layout.cells:
            other = counterpart(layout, values, baseline)
            if other is not None and (other, values) not in found and (values, other) not in found:
                found.append((values, other))
    return found


def alone(layout: Layout, baselines: Sequence[Mapping[str, object]]) -> list[Values]:
    """Combinations that are compared with none."""
    compared = {values for pair in comparisons(layout, baselines) for values in pair}
    return [values for values in layout.cells if values not in compared] if baselines else []


def _pair(layout: Layout, found: Scores, values: Values, other: Values) -> Row | None:
    a, b = on_common_seeds(found, values, other)
    if not a:
        return None
    result = paired(a, b, layout.score.accuracy)
    return {
        **layout.named(values),
        "baseline": layout.label(other),
        **{name: getattr(result, name) for name in ("seeds", "difference", "low", "high", "p")},
        "resolves": resolved(differences(a, b)),
    }


def counterpart(layout: Layout, values: Values, baseline: Mapping[str, object]) -> Values | None:
    """What a combination is compared with: the baseline's values, and else its own or, where there are none, none."""
    wanted = {factor: value_text(value) for factor, value in baseline.items()}
    target = tuple(wanted.get(factor, value) for factor, value in layout.named(values).items())

    def fits(other: Values) -> bool:
        cells = zip(layout.factors, target, other, strict=True)
        return all(mine == its or (its is None and factor not in wanted) for factor, mine, its in cells)

    there = [other for other in layout.cells if fits(other)]
    best = target if target in there else there[0] if len(there) == 1 else None
    return None if best == values else best


def resolved(found: Sequence[float]) -> float | None:
    """The smallest difference that so many pairs show with `POWER` at a level of 5 %, two-sided.

    None for few pairs, or where no two of the differences are apart.

    ``(t_{0.975, n-1} + t_{0.8, n-1}) * s / sqrt(n)`` with ``s`` the standard deviation of the differences.
    """
    n = len(found)
    if n < FEWEST or len(set(found)) == 1:
        return None
    quantiles = stats.t.ppf((1 + LEVEL) / 2, n - 1) + stats.t.ppf(POWER, n - 1)
    return float(quantiles * np.std(found, ddof=1) / sqrt(n))


def resolutions(layout: Layout, measure: str) -> list[float]:
    """`resolved` for every two combinations, ascending."""
    found = scores(layout, measure)
    on_both = (on_common_seeds(found, *two) for two in combinations(layout.runs, 2))
    all_pairs = (resolved(differences(*two)) for two in on_both if two[0])
    return sorted(one for one in all_pairs if one is not None)


def on_common_seeds(found: Scores, values: Values, other: Values) -> tuple[list[float], list[float]]:
    """Scores of two combinations, pair by pair, on the seeds of both."""
    seeds = sorted({*found.get(values, ())} & {*found.get(other, ())})
    return [found[values][seed] for seed in seeds], [found[other][seed] for seed in seeds]


@dataclass(frozen=True)
class Design:
    """A full factorial design: every combination with the same seeds.

    Attributes:
        factors: Those with several values, at least two.
        y: Scores at the last rung, an axis for each factor and the last for seeds.
        left_out: Combinations that lack one of the factors, and so are no part of it.
        unpaired: Runs of its combinations with seeds that not all have, and so are no part of it.
        dropped: Values of factors that are no part of it, as some of their combinations have no runs.
    """

    factors: tuple[str, ...]
    y: NDArray[np.float64]
    left_out: int
    unpaired: int
    dropped: tuple[str, ...] = ()


def design(layout: Layout, among: Collection[Values] | None = None) -> Design | None:
    """The design of those combinations that have all factors, or a full part of it; None where there is none.

    Where combinations have no runs, the value of a factor that lacks most of its own is dropped, the later of two,
    until all are there.

    Args:
        layout: The setting.
        among: These combinations, which may have one factor alone; else all, which have two at least.
    """
    places = [layout.factors.index(factor) for factor in layout.varied]
    there = [values for values in layout.runs if among is None or values in among]
    whole = [values for values in there if all(values[place] is not None for place in places)]
    full, dropped = whole, list[str]()
    while prod(len(own) for own in _by_level(full, places).values()) > len(full):
        place, level = _barest(full, places)
        full = [values for values in full if values[place] != level]
        dropped.append(f"{layout.factors[place]}={level}")
    levels = {place: list(own) for place, own in _by_level(full, places).items() if len(own) > 1}
    seeds = sorted(set.intersection(*(set(layout.runs[values]) for values in full))) if full else []
    if len(levels) < (2 if among is None else 1) or len(seeds) < 2:
        return None
    last, y = scores(layout, LAST), np.empty((*map(len, levels.values()), len(seeds)))
    for values in full:
        y[tuple(own.index(values[place]) for place, own in levels.items())] = [last[values][seed] for seed in seeds]
    unpaired = sum(len(layout.runs[values]) for values in full) - y.size
    names = tuple(layout.factors[place] for place in levels)
    return Design(names, y, len(there) - len(whole), unpaired, tuple(dropped))


def _by_level(among: Sequence[Values], places: Sequence[int]) -> dict[int, Counter[str | None]]:
    """How many combinations have each value of the factors at these places."""
    return {place: Counter(values[place] for values in among) for place in places}


def _barest(among: Sequence[Values], places: Sequence[int]) -> tuple[int, str | None]:
    """The place and the value that lacks most of its combinations with those of the other factors."""
    levels = _by_level(among, places)
    cells = prod(map(len, levels.values()))
    there = {(at, level): n * len(own) / cells for at, own in levels.items() for level, n in own.items()}
    return min(reversed(there), key=lambda one: there[one])


def shares(found: Design) -> Iterator[Row]:
    """The share of the sum of squares that each factor, each pair of them, seeds as blocks, and the rest explain.

    ``noise`` is what each would be on average without any effect of its own: its degrees of freedom times the rest's
    mean square. ``f`` and ``p`` are of the F test against the rest; where that is none but rounding there is no test.
    """
    y, seeds = found.y, found.y.ndim - 1
    rounding = y.size * (ROUNDING * float(np.abs(y).max())) ** 2
    total = _above(rounding, float(((y - y.mean()) ** 2).sum()))
    rounding = max(rounding, ROUNDING * total)
    single = [_squares(y, (axis,)) for axis in range(y.ndim)]
    effects: list[tuple[tuple[int, ...], float]] = [((axis,), single[axis]) for axis in range(seeds)]
    effects += [((i, j), _squares(y, (i, j)) - single[i] - single[j]) for i, j in combinations(range(seeds), 2)]
    names = (*found.factors, "seed")
    parts = [*effects, ((seeds,), single[seeds])]
    freedom = [prod(y.shape[axis] - 1 for axis in axes) for axes, _ in parts]
    parts = [(axes, _above(rounding, squares)) for axes, squares in parts]
    left, rest = y.size - 1 - sum(freedom), _above(rounding, total - sum(squares for _, squares in parts))
    for (axes, squares), own in zip(parts, freedom, strict=True):
        f = squares / own / (rest / left) if rest and left else None
        yield {
            "effect": " and ".join(names[axis] for axis in axes),
            "share": squares / total if total else 0.0,
            "noise": own * rest / left / total if total and left else None,
            "f": f,
            "p": None if f is None else float(stats.f.sf(f, own, left)),
            "runs": y.size,
        }
    share = rest / total if total else 0.0
    yield {"effect": "the rest", "share": share, "noise": None, "f": None, "p": None, "runs": y.size}


def _above(rounding: float, squares: float) -> float:
    """A sum of squares, or none where it is rounding."""
    return squares if squares > rounding else 0.0


def _squares(y: NDArray[np.float64], axes: tuple[int, ...]) -> float:
    """Sum of squares of the means over all other axes, about the grand mean."""
    others = tuple(axis for axis in range(y.ndim) if axis not in axes)
    means_there = y.mean(axis=others)
    return float(((means_there - y.mean()) ** 2).sum() * y.size / means_there.size)
