"""What a score costs: the whole front against its control, one size against its own, and the cost to get to a score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.core.errors import require
from bench.core.numbers import TIMES, duration, engineering
from bench.report.analysis.budget import FRONT, SIZE, answers, fronts_by_cost, times
from bench.report.analysis.findings import Findings
from bench.report.analysis.rungs import Row, mean_of
from bench.report.views.base import Block, View, views
from bench.report.views.chart import Axis, Chart
from bench.report.views.table import METHOD, Column, Pivot, Shown, Table, untitled

QUESTIONS = {
    FRONT: (
        "Whole front: is a ladder of sizes better grown, or trained size by size?",
        "Growing passes through all sizes, so its whole front costs what its last network does, and training each size "
        "from scratch (static) costs about as much for the same front. The score is the mean over the grown rungs; the "
        "cost is that of all sizes, the seed network's among them.",
    ),
    SIZE: (
        "One size: is a network of the last size better grown, or trained from scratch for as much?",
        "Whoever needs one size can spend on it alone what growing would cost (static_matched). The score is that at "
        "the last rung; the cost is that of this network alone.",
    ),
}
WAYS = {FRONT: " (all sizes)", SIZE: " (one size)"}
SHARED = (
    " Differences are on common seeds, method less control, with the paired t interval at 95 %, or the range of two "
    "seeds. Costs are means, training and growing together, beside them the ratio to the control's."
)


@dataclass(frozen=True)
class Options:
    """``targets``: scores to get to, accuracies as shares of 1; those of ``static`` at each grown rung without any."""

    targets: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require(len(self.targets) <= 100, "budget.targets", f"{len(self.targets)} scores", "at most 100")
        object.__setattr__(self, "targets", tuple(self.targets))  # a list is handed over


@views.register("budget", Options)
class Budgets(View):
    """A chart over what was spent, a table for each question, and the cost to get to a score."""

    section, order = "What a score costs", 15
    options: Options

    def of_setting(self, findings: Findings) -> Iterator[Block]:
        yield _chart(findings)
        for question in QUESTIONS:
            yield _answers(findings, question)
        yield _times(findings, self.options.targets)


def _chart(findings: Findings) -> Chart:
    score = findings.score
    rows = [row for one in findings.contenders for row in fronts_by_cost(one)]
    titles = {"flops": "Operations of all sizes so far", "seconds": "Seconds of all sizes so far"}
    x = tuple(Axis(f"{name}_mean", title, log=True) for name, title in titles.items())
    per_cent, loss = Axis("test_mean", score.title, scale=100.0, most=100.0), Axis("test_mean", score.title, log=True)
    about = (
        "Means over seeds; points are rungs, at what all sizes so far have cost in training and growing. Controls "
        "from scratch pay each size anew. Bars are 95 % t intervals, of two seeds their range."
    )

    def tip(row: Row) -> str:
        spent = f"{engineering(row['flops_mean'])} operations, {duration(row['seconds_mean'])}"
        return f"{score.sentence(*mean_of(row, 'test'))}\nrung {row['rung']}: {spent}"

    title = f"{score.title}, against what was spent"
    y = per_cent if score.accuracy else loss
    return Chart("budget", title, about, rows, x, y, interval=("test_low", "test_high"), tip=tip)


def _answers(findings: Findings, question: str) -> Table:
    score, (title, about) = findings.score, QUESTIONS[question]
    rows = list(answers(findings.contenders, question, score.accuracy))

    def difference(row: Row) -> Shown:
        ends = [score.text(row[name], True) for name in ("low", "high") if row[name] is not None]
        return Shown(f"{score.text(row['difference'], True)}{score.unit}", " to ".join(ends))

    columns = (
        METHOD,
        Column("control", "Against", words=True),
        Column("seeds", "Seeds"),
        Column("score", score.title, score.text),
        Column("difference", "Difference", show=difference),
        *untitled("low high p"),
        Column("p_better", "P(better)", "{:.2f}".format),
        *untitled("p_better_low p_better_high"),
        Column("flops", "Operations", show=lambda row: _cost(engineering(row["flops"]), row["flops_ratio"])),
        *untitled("flops_ratio"),
        Column("seconds", "Time", show=lambda row: _cost(duration(row["seconds"]), row["seconds_ratio"])),
        *untitled("seconds_ratio"),
    )
    return Table(f"cost_of_{question}", columns, rows, title, about + SHARED, heads=2)


def _cost(text: str, ratio: float | None) -> Shown:
    return Shown(text, "" if ratio is None else f"{ratio:.2f}{TIMES}")


def _times(findings: Findings, given: tuple[float, ...]) -> Table:
    score, control = findings.score, findings.control
    means = [row["test_mean"] for row in findings.rungs if control and row["method"] == control.label and row["rung"]]
    found = list(times(findings.contenders, given or means, score.accuracy))
    afresh = {row["method"] for row in found if row["question"] == SIZE}
    rows = [{**row, "way": row["method"] + (WAYS[row["question"]] if row["method"] in afresh else "")} for row in found]
    about = (
        f"What had been spent when a stage first ended with this {score.name}: the median over seeds of operations, "
        "and of the time; never where half of the seeds or more do not get there. "
    )
    about += "" if given else f"The targets are the means of {control.label if control else ''} at each grown rung. "
    about += "Controls from scratch pay for all sizes so far, or for that size alone."
    columns = (
        Column("target", score.title, score.text),
        *untitled("method question way flops seconds seeds of"),
    )
    title = f"Cost to get to a {score.name}"
    return Table("time_to_score", columns, rows, title, about, pivot=Pivot("way", Column("seeds", show=_spent)))


def _spent(row: Row) -> Shown:
    seeds = f"{row['seeds']} of {row['of']}"
    if row["flops"] is None:
        return Shown("never", seeds)
    return Shown(engineering(row["flops"]), f"{duration(row['seconds'])}, {seeds}")
