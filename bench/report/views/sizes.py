"""The sizes that methods need: to be as good as training from scratch, and to be on the Pareto front."""

from __future__ import annotations

from collections.abc import Iterator

from bench.core.numbers import TIMES, capital, count
from bench.report.analysis.compare import fronts
from bench.report.analysis.findings import Findings
from bench.report.analysis.rungs import Row
from bench.report.views.base import Block, View, views
from bench.report.views.table import METHOD, Column, Pivot, Shown, Table, untitled


@views.register("sizes")
class Sizes(View):
    """Parameters needed, and the fronts."""

    section, order = "Comparison", 21

    def of_setting(self, findings: Findings) -> Iterator[Block]:
        if findings.control is not None:
            yield _reach(findings, findings.control.label)
        yield _front(findings)


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
    title, pivot = (
        f"Parameters needed to reach {control}'s {score.name}",
        Pivot("method", Column("needed", show=_needed)),
    )
    return Table("reach", columns, findings.reached, title, about, pivot=pivot)


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
    return Table("front", columns, rows, "Pareto front", about, lambda row: bool(on(row).text), folded=True)
