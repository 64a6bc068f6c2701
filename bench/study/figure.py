"""The figure of a setting: scores against what networks cost, or against a factor at the last rung."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import product
from statistics import fmean

from bench.core.numbers import DASH, listed
from bench.core.record import RunRecord
from bench.report.analysis.rungs import Row, as_columns, spent
from bench.report.analysis.statistics import mean_interval
from bench.report.read.arguments import value_text
from bench.report.views.chart import Axis, Chart
from bench.report.write.figures import PANELS
from bench.study.layout import Layout, number
from bench.study.question import CURVES, Figure

TITLES = {
    "params": "Parameters",
    "macs": "Multiply-adds of one input",
    "flops": "Operations spent to get there",
    "rung": "Rung",
}


def chart(layout: Layout, figure: Figure) -> Chart:
    """Mean test scores with their intervals over seeds; of combinations that a line does not tell apart, the mean."""
    axis = Axis(figure.x, TITLES.get(figure.x, figure.x), log=figure.x in ("params", "macs", "flops"))
    rows = list(_points(layout, figure))
    numbers = [row[figure.x] for row in rows]
    if figure.x not in CURVES and rows and min(numbers) > 0 and max(numbers) > 8 * min(numbers):
        axis = Axis(figure.x, figure.x, log=True)
    about = "Means over seeds with their 95 % t intervals (the range of two seeds)."
    if figure.x not in CURVES:
        about += f" At the last rung; values of {figure.x} that are no numbers are in the table alone."
    averaged = [one for one in layout.varied if one not in (*_series(layout, figure), figure.x, figure.panel)]
    if averaged:
        about += f" Each line is the mean over {listed(averaged)}."
    if len({row["panel"] for row in rows}) > PANELS:
        about += f" The first {PANELS} panels."
    if figure.only:
        about += f" Shown are {_only(figure)}; the tables have all."
    score = _axis(layout, figure)
    name = score.name.removesuffix("_mean")
    return Chart(
        "figure",
        f"{score.title} by {axis.title[:1].lower()}{axis.title[1:]}",
        about,
        [{**row, **_errors(row)} for row in rows] if name == "error" else rows,
        (axis,),
        score,
        series="series",
        panel="panel" if figure.panel else None,
        interval=(f"{name}_low", f"{name}_high"),
    )


def _axis(layout: Layout, figure: Figure) -> Axis:
    """Along what networks cost accuracies come close to each other where they come close to one: errors show that."""
    if not layout.score.accuracy:
        return Axis("test_mean", layout.score.title)
    if figure.x in CURVES:
        return Axis("error_mean", "Test error, %", log=True, scale=100.0)
    return Axis("test_mean", layout.score.title, scale=100.0, most=100.0)


def _errors(row: Row) -> Row:
    found = {"error_mean": row["test_mean"], "error_low": row["test_high"], "error_high": row["test_low"]}
    return {name: None if accuracy is None else 1 - accuracy for name, accuracy in found.items()}


def _only(figure: Figure) -> str:
    return listed([f"{factor}={','.join(map(value_text, values))}" for factor, values in figure.only.items()])


def _series(layout: Layout, figure: Figure) -> list[str]:
    """The factors that tell lines apart."""
    return [one for one in figure.series or layout.varied if one not in (figure.x, figure.panel)]


def _points(layout: Layout, figure: Figure) -> Iterator[Row]:
    """A row for each panel, series and place on the axis: over seeds, of means over what these leave open."""
    found: dict[tuple[str, str, float], dict[int, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for values, runs in layout.runs.items():
        series, named = layout.label(values, _series(layout, figure)), layout.named(values)
        if any(named[factor] not in (None, *map(value_text, shown)) for factor, shown in figure.only.items()):
            continue
        for panel, (seed, record) in product(_panels(layout, named, figure.panel), runs.items()):
            for key, x, score in _curve(record, figure.x, named):
                found[panel, series, key][seed].append((x, score))
    seen = {name: place for place, name in enumerate(dict.fromkeys(key[:2] for key in found))}
    for (panel, series, _), by_seed in sorted(found.items(), key=lambda one: (seen[one[0][:2]], one[0][2])):
        scores = [fmean(score for _, score in own) for own in by_seed.values()]
        place = fmean(x for own in by_seed.values() for x, _ in own)
        yield {"panel": panel, "series": series, figure.x: place, **as_columns(mean_interval(scores), "test")}


def _panels(layout: Layout, named: Mapping[str, str | None], factor: str | None) -> list[str]:
    """The panels that a combination is in: its own, or all where it has none, as controls may not."""
    if factor is None:
        return [""]
    known = dict.fromkeys(value for values in layout.runs if (value := layout.named(values)[factor]) is not None)
    return [f"{factor}={value}" for value in ([named[factor]] if named[factor] is not None else known or [DASH])]


def _curve(record: RunRecord, x: str, named: Mapping[str, str | None]) -> Iterator[tuple[float, float, float]]:
    """What of a run shares a mean with other runs, its place on the axis, and its score."""
    if x not in CURVES:
        if (place := number(named[x])) is not None:
            yield place, place, record.stages[-1].test
        return
    for k, (stage, (flops, _)) in enumerate(zip(record.stages, spent(record), strict=True)):
        yield k, float({"params": stage.params, "macs": stage.macs, "flops": flops, "rung": k}[x]), stage.test
