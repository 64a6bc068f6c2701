"""One HTML file: no network, interactive, every value escaped."""

from __future__ import annotations

from functools import partial

from bench.report.analysis.rungs import Row
from bench.report.views.chart import Chart
from bench.report.views.document import Report
from bench.report.write import palette
from bench.report.write.palette import STYLES
from bench.report.write.template import FOLDER, template


def render(report: Report) -> str:
    """The page."""
    style, script = ((FOLDER / name).read_text() for name in ("style.css", "chart.js"))
    found = {"report": report, "styles": STYLES, "style": style, "script": script}
    return template("report.html.j2").render(found, drawn=partial(_chart, report=report))


def _chart(chart: Chart, report: Report) -> dict[str, object]:
    """What the script needs to draw a chart."""
    styles = palette.of(chart, report)
    return {
        **{name: getattr(chart, name) for name in ("title", "lines", "markers", "diagonal", "front", "panels")},
        "x": [{"label": axis.title, "log": axis.log, "whole": axis.whole} for axis in chart.x],
        "y": {"label": chart.y.title, "log": chart.y.log, "most": chart.y.most},
        "series": [
            {
                **{"name": one.name, "panel": one.panel, "style": styles[one.name], "dodge": chart.dodge[one.name]},
                **{name: getattr(STYLES[styles[one.name]], name) for name in ("marker", "dashed")},
                "points": [_point(chart, row) for row in one.points],
            }
            for one in chart.drawn
        ],
    }


def _point(chart: Chart, row: Row) -> list[object]:
    """Coordinates by axis, height, ends of the interval, and what to say, as far as there is any; six digits each."""
    ends = chart.ends(row)
    point: list[object] = [[_short(axis.of(row)) for axis in chart.x], _short(chart.y.of(row))]
    point += [ends and [_short(end) for end in ends]] if ends or chart.tip else []
    return [*point, chart.tip(row)] if chart.tip else point


def _short(value: float) -> float:
    return float(f"{value:.6g}")
