"""The figure of a setting: scores against what networks cost, or against a factor at the last rung."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from statistics import fmean

from bench.core.numbers import DASH
from bench.report.analysis.rungs import Row, as_columns, spent
from bench.report.analysis.statistics import mean_interval
from bench.report.views.chart import Axis, Chart
from bench.report.write.figures import PANELS
from bench.study.layout import Layout
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
    if figure.x not in CURVES and all(number > 0 for number in numbers) and max(numbers, default=1) > 8 * min(numbers):
        axis = Axis(figure.x, figure.x, log=True)
    about = "Means over seeds with their 95 % t intervals (the range of two seeds)."
    if figure.x not in CURVES:
        about += f" At the last rung; values of {figure.x} that are no numbers are in the table alone."
    if len({row["panel"] for row in rows}) > PANELS:
        about += f" The first {PANELS} panels."
    return Chart(
        "figure",
        f"{layout.score.title} by {axis.title[:1].lower()}{axis.title[1:]}",
        about,
        rows,
        (axis,),
        Axis("test_mean", layout.score.title, scale=100.0 if layout.score.accuracy else 1.0),
        series="series",
        panel="panel" if figure.panel else None,
        interval=("test_low", "test_high"),
    )


def _points(layout: Layout, figure: Figure) -> Iterator[Row]:
    """A row for each panel, series and place on the axis: over seeds, of means over what these leave open."""
    found: dict[tuple[str, str, float], dict[int, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for values, runs in layout.runs.items():
        named = layout.named(values)
        series = layout.label(values) if figure.series is None else f"{figure.series}={named[figure.series] or DASH}"
        series = series.removeprefix("method=")
        panel = f"{figure.panel}={named[figure.panel] or DASH}" if figure.panel else ""
        for seed, record in runs.items():
            costs = list(spent(record))
            for k, stage in enumerate(record.stages):
                places = {"params": stage.params, "macs": stage.macs, "flops": costs[k][0], "rung": k}
                if figure.x in places:
                    found[panel, series, k][seed].append((float(places[figure.x]), stage.test))
            if figure.x not in CURVES and (place := _number(named[figure.x])) is not None:
                found[panel, series, place][seed].append((place, record.stages[-1].test))
    seen = {name: place for place, name in enumerate(dict.fromkeys(key[:2] for key in found))}
    for (panel, series, _), by_seed in sorted(found.items(), key=lambda one: (seen[one[0][:2]], one[0][2])):
        scores = [fmean(score for _, score in own) for own in by_seed.values()]
        place = fmean(x for own in by_seed.values() for x, _ in own)
        yield {"panel": panel, "series": series, figure.x: place, **as_columns(mean_interval(scores), "test")}


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
