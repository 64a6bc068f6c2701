"""Methods against each other: paired by seed, and by the parameters that they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.report.analysis.rungs import Rung, common_sizes, size_curve
from bench.report.analysis.statistics import (
    FEWEST,
    LEVEL,
    Mean,
    Paired,
    area,
    curve,
    holm,
    mean_interval,
    on_front,
    paired,
    size_to_reach,
)
from bench.report.analysis.tuning import Column

LAST, AREA = "last rung", "area"
BASELINES = ("static", "random_split", "net2net")


@dataclass(frozen=True)
class Comparison:
    """A method against a baseline on one measure.

    Attributes:
        method: Its label.
        baseline: The baseline's label.
        measure: `LAST` or `AREA`.
        seeds: Seeds that both have.
        result: None without such seeds, or without a common range of sizes.
        p_holm: ``result.p`` corrected for the comparisons with this baseline on this measure.
        verdict: What can be concluded.
    """

    method: str
    baseline: str
    measure: str
    seeds: int
    result: Paired | None
    p_holm: float | None
    verdict: str


def choose_baseline(columns: Sequence[Column]) -> Column:
    """The control to compare with: ``static`` if it is there."""
    for name in BASELINES:
        for column in columns:
            if column.method == name:
                return column
    return columns[0]


def areas(columns: Sequence[Column]) -> dict[str, dict[int, float]]:
    """Area under score against log size by label and seed, over the sizes that all runs cover; empty without any."""
    low, high = common_sizes(columns)
    found: dict[str, dict[int, float]] = {}
    for column in columns:
        values = {seed: area(size_curve(run), low, high) for seed, run in column.runs.items()}
        found[column.label] = {seed: value for seed, value in values.items() if value is not None}
    return found


def compare(columns: Sequence[Column], baseline: Column, accuracy: bool) -> list[Comparison]:
    """Every other method against a baseline, on both measures."""
    of_area = areas(columns)
    last = {column.label: {seed: run.stages[-1].test for seed, run in column.runs.items()} for column in columns}
    made = []
    for measure, values in ((LAST, last), (AREA, of_area)):
        others = [column.label for column in columns if column is not baseline]
        results = [_paired(values[label], values[baseline.label], accuracy) for label in others]
        corrected = holm([result.p if result else None for result in results])
        for label, result, p in zip(others, results, corrected, strict=True):
            seeds = result.difference.n if result else 0
            verdict = _verdict(label, baseline.label, result, p, accuracy)
            made.append(Comparison(label, baseline.label, measure, seeds, result, p, verdict))
    return made


def _paired(a: dict[int, float], b: dict[int, float], accuracy: bool) -> Paired | None:
    seeds = sorted(set(a) & set(b))
    return paired([a[seed] for seed in seeds], [b[seed] for seed in seeds], accuracy) if seeds else None


def _verdict(label: str, baseline: str, result: Paired | None, p: float | None, accuracy: bool) -> str:
    if result is None:
        return "nothing in common"
    if result.difference.n < FEWEST:
        return f"too few seeds ({result.difference.n})"
    if p is None:
        return "no variation between seeds"
    if p >= 1 - LEVEL:
        return "no difference can be concluded"
    return f"{label} better" if (result.difference.mean > 0) == accuracy else f"{baseline} better"


@dataclass(frozen=True)
class Reached:
    """Parameters that a method needs for the control's mean score at one of its rungs.

    Attributes:
        rung: The control's rung.
        method: The method's label.
        target: The control's mean score there.
        params: The control's mean size there.
        needed: On the method's mean curve; None where it never gets there.
        at_once: Whether it is that good from its first size on.
        seeds: Seeds whose own curve reaches the control's score at the same seed.
        of: Seeds that both have.
    """

    rung: int
    method: str
    target: float
    params: float
    needed: float | None
    at_once: bool
    seeds: int
    of: int


def reached(columns: Sequence[Column], made: dict[str, list[Rung]], control: Column, accuracy: bool) -> list[Reached]:
    """How few parameters each method needs to be as good as the control at each rung above the seed network."""
    rows = []
    for rung in made[control.label][1:]:
        for column in columns:
            if column is control:
                continue
            points = curve([(one.params, one.score.mean) for one in made[column.label]])
            needed = size_to_reach(points, rung.score.mean, accuracy)
            seeds = sorted(set(column.runs) & set(control.runs))
            hits = [
                size_to_reach(size_curve(column.runs[s]), control.runs[s].stages[rung.rung].test, accuracy)
                for s in seeds
            ]
            count = sum(hit is not None for hit in hits)
            at_once = needed is not None and needed == points[0][0]
            rows.append(
                Reached(rung.rung, column.label, rung.score.mean, rung.params, needed, at_once, count, len(seeds))
            )
    return rows


@dataclass(frozen=True)
class FrontPoint:
    """A method at a rung, and the fronts that it is on."""

    method: str
    rung: Rung
    params_front: bool
    macs_front: bool


def fronts(made: dict[str, list[Rung]], accuracy: bool) -> list[FrontPoint]:
    """Which of all methods' rungs no other undercuts in size (or multiply-adds) at no worse a mean score."""
    every = [(label, rung) for label, rungs in made.items() for rung in rungs]
    by_params = on_front([(rung.params, rung.score.mean) for _, rung in every], accuracy)
    by_macs = on_front([(rung.macs, rung.score.mean) for _, rung in every], accuracy)
    return [FrontPoint(label, rung, p, m) for (label, rung), p, m in zip(every, by_params, by_macs, strict=True)]


def area_means(columns: Sequence[Column]) -> dict[str, Mean | None]:
    """Mean area with its interval by label; None where there is no common range of sizes."""
    return {label: mean_interval(list(values.values())) if values else None for label, values in areas(columns).items()}
