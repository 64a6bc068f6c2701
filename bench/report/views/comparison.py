"""Methods against each other: paired by seed, by area, by the sizes that they need, and on the Pareto front."""

from __future__ import annotations

from collections.abc import Iterator

from bench.core.numbers import TIMES, capital, count, p_value
from bench.report.analysis.compare import AREA, LAST, fronts
from bench.report.analysis.findings import Findings
from bench.report.analysis.rungs import Row, as_columns, common_sizes, mean_of, size_curve
from bench.report.analysis.score import INTERVAL
from bench.report.analysis.statistics import mean_interval
from bench.report.views.base import Block, View, views
from bench.report.views.table import METHOD, Column, Pivot, Shown, Table, untitled

MEASURES = {LAST: "at the last rung", AREA: "area over log size"}


@views.register("comparison")
class Comparisons(View):
    """Four tables; the areas of each seed are in the CSV alone."""

    section, order = "Comparison", 20

    def of_setting(self, findings: Findings) -> Iterator[Block]:
        yield _pairs(findings)
        found = findings.areas.items()
        areas = [{"method": label, "seed": s, "area": value} for label, one in found for s, value in one.items()]
        yield Table("areas", untitled("method seed area"), areas)
        yield _area_means(findings)
        if findings.control is not None:
            yield _reach(findings, findings.control.label)
        yield _front(findings)


def _pairs(findings: Findings) -> Table:
    baseline, score = findings.baseline, findings.score
    shown = [row for row in findings.pairs if row["baseline"] == baseline]
    numbers = [row[name] for row in shown for name in ("difference", "low", "high")]
    span = max((abs(number) for number in numbers if number is not None), default=0.0)

    def ends(row: Row) -> Shown:
        text = f"{score.text(row['low'], True)} to {score.text(row['high'], True)}"
        low, middle, high = ((row[name] / (span or 1.0) + 1) / 2 for name in ("low", "difference", "high"))
        return Shown(text, interval=(low, middle, high, 0.5))

    about = (
        f"Difference of the {score.name} on the same seeds, method less {baseline}, with its paired t interval at 95 "
        "%, or the range of two seeds. P(better) is the share of seeds on which the method is better, ties counting "
        "half, with the exact interval of Clopper and Pearson. p is of the paired t test, after Holm's correction for "
        "the methods compared. The area is described at the next table. Every other pair is in pairs.csv; "
        "baseline=NAME sets another against all."
    )
    columns = (
        METHOD,
        *untitled("baseline"),
        Column("measure", "Measure", show=lambda row: Shown(MEASURES[row["measure"]]), words=True),
        Column("seeds", "Seeds"),
        Column("difference", "Difference", lambda value: f"{score.text(value, True)}{score.unit}"),
        Column("low", "Interval", show=ends),
        *untitled("high p"),
        Column("p_holm", "p, Holm", p_value),
        Column("p_better", "P(better)", show=_better),
        *untitled("p_better_low p_better_high"),
        Column("verdict", "Conclusion", show=_verdict, words=True),
    )
    title = f"Paired by seed, against {baseline}"
    return Table("pairs", columns, findings.pairs, title, about, lambda row: row["baseline"] == baseline, heads=2)


def _better(row: Row) -> Shown:
    return Shown(f"{row['p_better']:.2f}", f"{row['p_better_low']:.2f} to {row['p_better_high']:.2f}")


def _verdict(row: Row) -> Shown:
    return Shown(row["verdict"], best=row["verdict"] == f"{row['method']} better")


def _area_means(findings: Findings) -> Table:
    score, found = findings.score, findings.areas
    means = {label: mean_interval(list(values.values())) if values else None for label, values in found.items()}
    rows = [{"method": label, **as_columns(mean, "area")} for label, mean in means.items()]
    best = score.best([row["area_mean"] for row in rows if row["seeds"]])

    def shown(row: Row) -> Shown:
        return Shown(*score.mean(*mean_of(row, "area")), best=row["area_mean"] == best)

    about = f"{_range(findings)} Mean over seeds. {INTERVAL}"
    area = Column("area_mean", score.title, show=shown)
    columns = (METHOD, area, *untitled("area_low area_high"), Column("seeds", "Seeds"))
    return Table("area_means", columns, rows, f"Area under {score.name} against log size", about)


def _range(findings: Findings) -> str:
    """The sizes that the area is taken over, and what limits them."""
    low, high = common_sizes(run for one in findings.contenders for run in one.runs.values())
    if low >= high:
        return "The runs have no range of sizes in common, so there is no area."
    ends = [(size_curve(run)[-1][0], one.label, seed) for one in findings.contenders for seed, run in one.runs.items()]
    _, label, seed = min(ends)
    return (
        f"The area is the mean {findings.score.name} over the logarithm of the size, by the trapezoid rule, from "
        f"{count(low)} to {count(high)} parameters, which all runs cover; {label}, seed {seed}, ends first."
    )


def _reach(findings: Findings, control: str) -> Table:
    score = findings.score
    about = (
        f"Where a method's mean curve, straight between rungs in log size, first is as good as the mean of {control} "
        "at a rung. Beside it the ratio of the sizes, and on how many of the common seeds the method's own curve gets "
        f"to what {control} has on that seed. Never: not at any size run."
    )
    columns = (
        Column("rung", "Rung"),
        Column("target", f"{score.title}, {control}", score.text),
        Column("params", f"Parameters, {control}", count),
        *untitled("method needed at_once seeds of"),
    )
    title = f"Parameters needed to reach {control}'s {score.name}"
    return Table("reach", columns, findings.reached, title, about, pivot=Pivot("method", Column("seeds", show=_needed)))


def _needed(row: Row) -> Shown:
    seeds = f"{row['seeds']} of {row['of']}"
    if row["needed"] is None:
        return Shown("never", seeds)
    ratio = f"{row['needed'] / row['params']:.2f}{TIMES}, {seeds}"
    return Shown(f"{'≤ ' if row['at_once'] else ''}{count(row['needed'])}", ratio)


def _front(findings: Findings) -> Table:
    costs = findings.costs

    def on(row: Row) -> Shown:
        return Shown(", ".join(one.title for name, one in costs.items() if row[f"front_{name}"]))

    about = (
        "Means that no other rung of any method undercuts in a cost at no worse a score. It is drawn from means: "
        "neighbours on it may differ by chance."
    )
    *others, last = (f"front_{name}" for name in costs)
    columns = (
        METHOD,
        Column("rung", "Rung"),
        *(Column(name, capital(one.heading), one.text) for name, one in costs.items()),
        Column("test_mean", findings.score.title, findings.score.text),
        *untitled(others),
        Column(last, "On the front in", show=on, words=True),
    )
    rows = fronts(findings.rungs, costs, findings.score.accuracy)
    return Table("front", columns, rows, "Pareto front", about, lambda row: bool(on(row).text), heads=2, folded=True)
