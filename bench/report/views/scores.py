"""Score against size and against each cost: tables and the chart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.report.analysis.findings import Findings
from bench.report.analysis.rungs import Rung
from bench.report.views.document import Axis, Cell, Chart, Point, Series, Table
from bench.report.views.numbers import DASH, count, engineering, plural, seconds, step_text


@dataclass(frozen=True)
class Cost:
    """What a score is set against."""

    key: str
    name: str
    text: Callable[[float], str]
    about: str


COSTS = (
    Cost("params", "parameters", count, "Below each score is the mean of the sizes that the runs really reached."),
    Cost("macs", "multiply-adds", engineering, "Below each score are the multiply-adds of one input."),
    Cost(
        "flops",
        "training cost",
        engineering,
        "Below each score are the floating-point operations spent by then: training and growing of all stages for "
        "grown networks; for those from scratch (static, static_matched) the training of that size alone, since "
        "nothing before it was needed.",
    ),
    Cost(
        "seconds",
        "seconds",
        seconds,
        "Below each score is the time spent by then, counted as the training cost is; evaluation is apart. Times "
        "depend on the machine and its load.",
    ),
)


def heading(findings: Findings, label: str) -> str:
    """A column's title: the method and its step."""
    column = next((c for c in findings.columns if c.label == label), None)
    return label if column is None or column.step is None else f"{label}, step {step_text(column.step)}"


def score_table(findings: Findings, cost: Cost) -> Table:
    """Rungs by methods."""
    score, empty = findings.score, findings.empty()
    labels = [column.label for column in findings.columns]
    depth = max((len(made) for made in findings.rungs.values()), default=0)
    rows = []
    for k in range(depth):
        made = {label: findings.rungs[label][k] for label in labels if k < len(findings.rungs[label])}
        pick = max if score.accuracy else min
        best = pick(one.score.mean for one in made.values())
        cells = [_cell(findings, label, made.get(label), cost, best) for label in labels]
        reasons = [Cell(why if k == 0 else DASH) for _, why in empty]
        rows.append((_rung(findings, k, next(iter(made.values()))), *cells, *reasons))
    about = (
        f"Mean over seeds ± half the 95 % t interval; n is the number of seeds. {cost.about} "
        "The best mean of a row is set off, which is no verdict: see the comparison by seed."
    )
    if any(one.stopped for made in findings.rungs.values() for one in made):
        about += " † marks rungs that runs could not fill, and of how many runs."
    return Table(
        key=f"score-{cost.key}",
        title=f"{score.title}, by rung and method, against {cost.name}",
        about=about,
        header=("Rung", *(heading(findings, label) for label in labels), *(v.label for v, _ in empty)),
        rows=tuple(rows),
        text_columns=(0, *range(1 + len(labels), 1 + len(labels) + len(empty))),
        folded=cost.key != "params",
    )


def _rung(findings: Findings, k: int, rung: Rung) -> Cell:
    unit = findings.setting.config["growth"].get("cost", "params")
    return Cell(f"{k}", f"up to {count(rung.target)} {unit}" if k else f"seed network, {count(rung.target)} {unit}")


def _cell(findings: Findings, label: str, rung: Rung | None, cost: Cost, best: float) -> Cell:
    if rung is None:
        return Cell(DASH)
    column = next(c for c in findings.columns if c.label == label)
    wanted = findings.seeds_wanted(column)
    seeds = f"n {rung.score.n}" if wanted <= rung.score.n else f"n {rung.score.n} of {wanted}"
    stopped = f" †{sum(rung.stopped.values())}" if rung.stopped else ""
    note = f"{cost.text(rung.cost(cost.key))} · {seeds}{stopped}"
    return Cell(findings.score.mean(rung.score), note, best=rung.score.mean == best and rung.rung > 0)


def score_chart(findings: Findings) -> Chart:
    """Score against size, or against one of the costs."""
    score = findings.score
    series = []
    for column in findings.columns:
        points = []
        for rung in findings.rungs[column.label]:
            tip = (
                f"{score.mean(rung.score)}{' %' if score.accuracy else ''}, {plural(rung.score.n, 'seed')}\n"
                f"rung {rung.rung}: {count(rung.params)} parameters, {engineering(rung.macs)} multiply-adds\n"
                f"{engineering(rung.flops)} operations, {seconds(rung.seconds)} spent"
            )
            x = {cost.key: rung.cost(cost.key) for cost in COSTS}
            points.append(Point(x, rung.score.mean, rung.score.low, rung.score.high, tip))
        series.append(Series(column.label, findings.styles[column.label], tuple(points)))
    axes = tuple(
        Axis(cost.key, label, log=True)
        for cost, label in zip(
            COSTS, ("Parameters", "Multiply-adds", "Training cost, operations", "Seconds"), strict=True
        )
    )
    return Chart(
        "score",
        f"{score.title}, against size and cost",
        "Means over seeds, with 95 % t intervals. Points are rungs.",
        axes,
        score.axis,
        tuple(series),
        front=1 if score.accuracy else -1,
    )


def area_note(findings: Findings) -> str:
    """The sizes that the area is taken over, and what limits them."""
    from bench.report.analysis.rungs import common_sizes, size_curve

    low, high = common_sizes(findings.columns)
    if low >= high:
        return "The runs have no range of sizes in common, so there is no area."
    last = min(
        (size_curve(run)[-1][0], column.label, seed) for column in findings.columns for seed, run in column.runs.items()
    )
    return (
        f"The area is the mean {findings.score.name} over the logarithm of the size, by the trapezoid rule, from "
        f"{count(low)} to {count(high)} parameters, which all runs cover; {last[1]}, seed {last[2]}, ends first."
    )
