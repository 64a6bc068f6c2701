"""Score against size and cost: the chart, the one table of scores, and what each rung cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.core.errors import require_choice
from bench.core.numbers import capital, duration, engineering, listed, plural
from bench.network.cost import cost, costs
from bench.report.analysis.findings import Findings
from bench.report.analysis.rungs import SPENT, Row, mean_of
from bench.report.analysis.score import INTERVAL
from bench.report.views.base import Block, View, views
from bench.report.views.chart import Axis, Chart
from bench.report.views.table import METHOD, Column, Pivot, Shown, Table, untitled

SPENDING = dict(zip(SPENT, ("Training operations", "Seconds"), strict=True))


@dataclass(frozen=True)
class Options:
    """``against``: what the chart begins with, a cost of one inference, flops or seconds; params where it is absent."""

    against: str = "params"

    def __post_init__(self) -> None:
        require_choice("scores.against", self.against, (*costs.names(), *SPENT))


@views.register("scores", Options)
class Scores(View):
    """Rungs by methods, and methods against each cost, from the same rows."""

    section, order = "Score against size and cost", 10
    options: Options

    def of_setting(self, findings: Findings) -> Iterator[Block]:
        titles = {name: capital(one.heading) for name, one in findings.costs.items()} | SPENDING
        title, accuracy = findings.score.title, findings.score.accuracy
        x = [Axis(f"{name}_mean", heading, log=True) for name, heading in titles.items()]
        x.sort(key=lambda axis: axis.name != f"{self.options.against}_mean")
        y = Axis("test_mean", title, scale=100.0, most=100.0) if accuracy else Axis("test_mean", title, log=True)
        about = (
            "Means over seeds; points are rungs. Bars are 95 % t intervals, of two seeds their range. Methods are set "
            "a little side by side, so that their bars can be told apart."
        )
        yield Chart(
            *("score", f"{title}, against size and cost", about, findings.rungs, tuple(x), y),
            interval=("test_low", "test_high"),
            tip=lambda row: _tip(findings, row),
            front=1 if accuracy else -1,
        )
        yield _score_table(findings)
        yield _cost_table(findings)


def _score_table(findings: Findings) -> Table:
    score, allowed, rows = findings.score, cost(findings.setting.cost), findings.rungs
    usual = max(row["seeds"] for row in rows)
    rungs = {row["rung"] for row in rows}
    best = {k: score.best([row["test_mean"] for row in rows if row["rung"] == k]) for k in rungs}

    def shown(row: Row) -> Shown:
        text, ends = score.mean(*mean_of(row, "test"))
        wanted = max(usual, row["seeds_wanted"])
        seeds = f"n {row['seeds']} of {wanted}" if row["seeds"] < wanted else ""
        stopped = f"†{row['stopped']}" if row["stopped"] else ""
        is_best = row["rung"] > 0 and row["test_mean"] == best[row["rung"]]
        return Shown(text, " · ".join(filter(None, (ends, seeds, stopped))), is_best)

    about = (
        f"Mean {score.name} over n = {plural(usual, 'seed')}. {INTERVAL} A rung allows each method the same cost, rung "
        "0 is the seed network; what methods really reached is in the next table. The best mean of a row is set off, "
        "which is no verdict: see the comparison by seed."
    )
    if any(row["stopped"] for row in rows):
        about += " † marks rungs that runs could not fill, and of how many runs."
    if findings.empty():
        about += f" Without a done run: {listed(findings.empty())}."
    titled = (Column("rung", "Rung"), Column("target_cost", f"Allowed {allowed.heading}", allowed.text))
    columns = (*titled, *untitled(name for row in rows for name in row if name not in ("rung", "target_cost")))
    headings = {one.label: one.heading for one in findings.contenders}
    pivot = Pivot("method", Column("test_mean", show=shown), headings.__getitem__)
    return Table("rungs", columns, rows, f"{score.title}, by rung and method", about, pivot=pivot)


def _cost_table(findings: Findings) -> Table:
    about = (
        "Means over seeds: what one inference costs at the size that was really reached, and what was spent by then. "
        "Grown networks have spent the training and growing of all stages; those from scratch (static, static_matched) "
        "the training of that size alone, since nothing before it was needed. Evaluation is apart. Times depend on the "
        "machine and its load."
    )
    columns = (
        METHOD,
        Column("rung", "Rung"),
        *(Column(f"{name}_mean", capital(one.heading), one.text) for name, one in findings.costs.items()),
        Column("flops_mean", SPENDING["flops"], engineering),
        Column("seconds_mean", "Time spent", duration),
    )
    return Table("costs", columns, findings.rungs, "What each rung cost", about, heads=2, folded=True)


def _tip(findings: Findings, row: Row) -> str:
    known = [(one, one.text(row[f"{name}_mean"])) for name, one in findings.costs.items()]
    sizes = ", ".join(" ".join(filter(None, (text, one.unit, one.title))) for one, text in known)
    return (
        f"{findings.score.sentence(*mean_of(row, 'test'))}, n {row['seeds']}\nrung {row['rung']}: {sizes}\n"
        f"{engineering(row['flops_mean'])} operations, {duration(row['seconds_mean'])} spent"
    )
