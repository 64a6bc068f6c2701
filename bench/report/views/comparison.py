"""Comparison by seed, area, front and parameters needed: tables."""

from __future__ import annotations

from bench.report.analysis.compare import LAST, Comparison, area_means, fronts, reached
from bench.report.analysis.findings import Findings
from bench.report.views.document import Cell, Table
from bench.report.views.numbers import DASH, TIMES, count, engineering, p_value
from bench.report.views.scores import area_note


def paired_table(findings: Findings) -> Table | None:
    """Every method against the baseline on common seeds."""
    if len(findings.columns) < 2:
        return None
    span = max(
        (
            abs(end)
            for one in findings.comparisons
            if one.result
            for end in (one.result.difference.low, one.result.difference.high, one.result.difference.mean)
            if end is not None
        ),
        default=0.0,
    )
    rows = tuple(_paired_row(findings, one, span) for one in findings.comparisons)
    baseline = findings.baseline.label
    return Table(
        key="paired",
        title=f"Paired by seed, against {baseline}",
        about=(
            f"Difference of the {findings.score.name} on the same seeds, method less {baseline}, with its paired t "
            "interval at 95 %. P(better) is the share of seeds on which the method is better, ties counting half, with "
            "the exact interval of Clopper and Pearson. p is of the paired t test, after Holm's correction for the "
            "methods compared. The area is described at the next table. Every other pair is in pairs.csv."
        ),
        header=("Method", "Measure", "Seeds", "Difference", "95 % interval", "P(better)", "p, Holm", "Conclusion"),
        rows=rows,
        text_columns=(0, 1, 7),
    )


def _paired_row(findings: Findings, one: Comparison, span: float) -> tuple[Cell, ...]:
    name = Cell(one.method)
    measure = Cell("at the last rung" if one.measure == LAST else "area over log size")
    if one.result is None:
        dash = Cell(DASH)
        return name, measure, Cell("0"), dash, dash, dash, dash, Cell(one.verdict)
    result, score = one.result, findings.score
    mean = result.difference
    interval = None
    if mean.low is not None and mean.high is not None and span:
        low, middle, high = ((value / span + 1) / 2 for value in (mean.low, mean.mean, mean.high))
        interval = (low, middle, high, 0.5)
    return (
        name,
        measure,
        Cell(str(one.seeds)),
        Cell(f"{score.text(mean.mean, True)}{score.unit}"),
        Cell(score.range(mean), interval=interval),
        Cell(f"{result.better:.2f}", f"{result.better_low:.2f} to {result.better_high:.2f}"),
        Cell(p_value(one.p_holm)),
        Cell(one.verdict, best=one.verdict == f"{one.method} better"),
    )


def area_table(findings: Findings) -> Table:
    """Area under score against log size."""
    means = area_means(findings.columns)
    known = [mean.mean for mean in means.values() if mean]
    best = (max if findings.score.accuracy else min)(known, default=None)
    rows = []
    for label, mean in means.items():
        text = findings.score.mean(mean) if mean else DASH
        rows.append(
            (Cell(label), Cell(text, best=mean is not None and mean.mean == best), Cell(str(mean.n if mean else 0)))
        )
    return Table(
        key="area",
        title=f"Area under {findings.score.name} against log size",
        about=f"{area_note(findings)} Mean over seeds ± half the 95 % t interval.",
        header=("Method", findings.score.title, "Seeds"),
        rows=tuple(rows),
    )


def front_table(findings: Findings) -> Table:
    """The Pareto fronts in size and in multiply-adds."""
    found = [one for one in fronts(findings.rungs, findings.score.accuracy) if one.params_front or one.macs_front]
    found.sort(key=lambda one: (one.rung.params, one.method))
    rows = tuple(
        (
            Cell(one.method),
            Cell(str(one.rung.rung)),
            Cell(count(one.rung.params)),
            Cell(engineering(one.rung.macs)),
            Cell(findings.score.mean(one.rung.score)),
            Cell(" and ".join(n for n, on in (("size", one.params_front), ("multiply-adds", one.macs_front)) if on)),
        )
        for one in found
    )
    return Table(
        key="front",
        title="Pareto front",
        about=(
            "Means that no other rung of any method undercuts in parameters, or in multiply-adds, at no worse a score. "
            "It is drawn from means: neighbours on it may differ by chance."
        ),
        header=("Method", "Rung", "Parameters", "Multiply-adds", findings.score.title, "On the front in"),
        rows=rows,
        text_columns=(0, 5),
        folded=True,
    )


def reach_table(findings: Findings) -> Table | None:
    """Parameters needed to be as good as the control from scratch."""
    control = findings.control
    if control is None or len(findings.columns) < 2:
        return None
    found = reached(findings.columns, findings.rungs, control, findings.score.accuracy)
    labels = list(dict.fromkeys(one.method for one in found))
    rows = []
    for rung in dict.fromkeys(one.rung for one in found):
        here = {one.method: one for one in found if one.rung == rung}
        any_one = next(iter(here.values()))
        target = Cell(findings.score.text(any_one.target), f"{control.label} at {count(any_one.params)}")
        cells = []
        for label in labels:
            one = here[label]
            note = f"on {one.seeds} of {one.of} seeds"
            if one.needed is None:
                cells.append(Cell("never", note))
            else:
                sign = "≤ " if one.at_once else ""
                cells.append(Cell(f"{sign}{count(one.needed)}", f"{one.needed / one.params:.2f}{TIMES} · {note}"))
        rows.append((target, *cells))
    return Table(
        key="reach",
        title=f"Parameters needed to reach {control.label}'s {findings.score.name}",
        about=(
            "Where a method's mean curve, straight between rungs in log size, first is as good as the mean of "
            f"{control.label} at a rung, and the ratio of the sizes. Below, on how many seeds the method's own curve "
            f"gets to what {control.label} has on that seed. Never: not at any size run."
        ),
        header=(f"{findings.score.title}, {control.label}", *labels),
        rows=tuple(rows),
    )
