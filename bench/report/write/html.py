"""One HTML file: no network, interactive, every value escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.report.views.document import Chart, Report
from bench.report.write.palette import STYLES

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES = Path(__file__).parent / "templates"
POINTS = 300
"""Points of a series that a chart draws at most, taken evenly."""


def render(report: Report) -> str:
    """The page."""
    return _template().render(
        report=report,
        styles=STYLES,
        style=(TEMPLATES / "style.css").read_text(),
        script=(TEMPLATES / "chart.js").read_text(),
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["chart"] = _chart
    environment.tests["chart"] = lambda block: isinstance(block, Chart)
    return environment.get_template("report.html.j2")


def _chart(chart: Chart) -> dict[str, Any]:
    """What the script needs to draw a chart."""
    return {
        "title": chart.title,
        "x": [{"key": axis.key, "label": axis.label, "log": axis.log, "whole": axis.whole} for axis in chart.x],
        "y": {"label": chart.y.label, "log": chart.y.log, "most": chart.y.most},
        "lines": chart.lines,
        "diagonal": chart.diagonal,
        "front": chart.front,
        "panels": list(chart.panels),
        "series": [
            {
                "name": one.name,
                "style": one.style,
                "marker": STYLES[one.style].marker,
                "dashed": STYLES[one.style].dashed,
                "panel": one.panel,
                "points": [
                    {
                        "x": {axis.key: _round(point.x[axis.key] * axis.scale) for axis in chart.x},
                        "y": _round(point.y * chart.y.scale),
                        "low": None if point.low is None else _round(point.low * chart.y.scale),
                        "high": None if point.high is None else _round(point.high * chart.y.scale),
                        "tip": point.tip,
                    }
                    for point in one.points[:: -(-len(one.points) // POINTS) or 1]
                ],
            }
            for one in chart.series
        ],
    }


def _round(value: float) -> float:
    """Six digits: more than a screen shows."""
    return float(f"{value:.6g}")
