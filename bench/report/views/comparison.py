"""Methods against each other: paired by seed, and the area under each method's curve."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.core.numbers import count, p_value
from bench.report.analysis.compare import LAST
from bench.report.analysis.findings import Findings
from bench.report.analysis.rungs import Row, as_columns, common_sizes, mean_of, size_curve
from bench.report.analysis.score import beside
from bench.report.analysis.statistics import mean_interval
from bench.report.views.base import Block, View, views
from bench.report.views.table import METHOD, NOTHING, Column, Shown, Table, untitled


@views.register("comparison")
class Comparisons(View):
    """Pairs by seed, and areas; those of each seed are in the CSV alone."""

    section, order = "Comparison", 20

    def of_setting(self, findings: Findings) -> Iterator[Block]:
        yield _pairs(findings)
        found = findings.areas.items()
        areas = [{"method": label, "seed": s, "area": value} for label, one in found for s, value in one.items()]
        yield Table("areas", untitled("method seed area"), areas)
        yield _area_means(findings)


def _pairs(findings: Findings) -> Table:
    baseline, score = findings.baseline, findings.score
    shown = [row for row in findings.pairs if row["baseline"] == baseline]
    numbers = [row[name] for row in shown for name in ("difference", "low", "high")]
    span = max((abs(number) for number in numbers if number is not None), default=0.0)

    def ends(row: Row) -> Shown:
        text = score.ends(row["low"], row["high"])
        if row["low"] is None or not span:
            return Shown(text)
        low, middle, high = ((row[name] / span + 1) / 2 for name in ("low", "difference", "high"))
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
        Column("measure", "Measure", show=_measure, words=True),
        Column("seeds", "Seeds"),
        Column("difference", "Difference", lambda value: f"{score.text(value, True)}{score.unit}"),
        Column("low", "Interval", show=_known(ends)),
        *untitled("high p"),
        Column("p_holm", "p, Holm", p_value),
        Column("p_better", "P(better)", show=_known(_better)),
        *untitled("p_better_low p_better_high"),
        Column("verdict", "Conclusion", show=_verdict, words=True),
    )
    title = f"Paired by seed, against {baseline}"
    return Table("pairs", columns, findings.pairs, title, about, where=lambda row: row["baseline"] == baseline)


def _measure(row: Row) -> Shown:
    return Shown("at the last rung" if row["measure"] == LAST else "area over log size")


def _better(row: Row) -> Shown:
    return Shown(f"{row['p_better']:.2f}", f"{row['p_better_low']:.2f} to {row['p_better_high']:.2f}")


def _verdict(row: Row) -> Shown:
    return Shown(row["verdict"], best=row["verdict"] == f"{row['method']} better")


def _known(show: Callable[[Row], Shown]) -> Callable[[Row], Shown]:
    """A dash where there are no common seeds."""
    return lambda row: NOTHING if row["difference"] is None else show(row)


def _area_means(findings: Findings) -> Table:
    score, found = findings.score, findings.areas
    means = {label: mean_interval(list(values.values())) if values else None for label, values in found.items()}
    rows = [{"method": label, **as_columns(mean, "area")} for label, mean in means.items()]
    best = score.best([row["area_mean"] for row in rows if row["seeds"]])

    def shown(row: Row) -> Shown:
        is_best = row["area_mean"] == best
        return Shown(*score.mean(*mean_of(row, "area")), best=is_best) if row["seeds"] else NOTHING

    about = f"{_range(findings)} Mean over seeds. {beside(row['seeds'] for row in rows)}"
    area = Column("area_mean", score.title, show=shown)
    columns = (METHOD, area, *untitled("area_low area_high"), Column("seeds", "Seeds"))
    return Table("area_means", columns, rows, f"Area under {score.name} against log size", about)


def _range(findings: Findings) -> str:
    """The sizes that the area is taken over, and what limits them."""
    low, high = common_sizes(findings.contenders)
    if low >= high:
        return "The runs have no range of sizes in common, so there is no area."
    ends = [(size_curve(run)[-1][0], one.label, seed) for one in findings.contenders for seed, run in one.runs.items()]
    return (
        f"The area is the mean {findings.score.name} over the logarithm of the size, by the trapezoid rule, from "
        f"{count(low)} to {count(high)} parameters, which all runs cover; {min(ends)[1]}, seed {min(ends)[2]}, ends "
        "first."
    )
