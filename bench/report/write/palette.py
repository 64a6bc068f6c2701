"""Colours and markers: told apart without colour vision, in print, and on light and dark ground."""

from __future__ import annotations

from dataclasses import dataclass

from bench.report.read.settings import CONTROLS
from bench.report.views.chart import Chart
from bench.report.views.document import Report


@dataclass(frozen=True)
class Style:
    """How a series is drawn: colours on light and dark ground, matplotlib's letter of the marker, and its line."""

    light: str
    dark: str
    marker: str
    dashed: bool = False


_LIGHT = ("#0072b2", "#d55e00", "#008060", "#a8428f", "#806000", "#4b45b0")
_DARK = ("#56b4e9", "#ff8f52", "#2fd0a0", "#ec9bd8", "#e6c34d", "#a9a6ff")
_MARKERS = ("o", "s", "^", "D", "v", "p", "h", "P")
_CONTROLS = (
    *(Style("#4d6b57", "#a9cdb5", "P", True), Style("#6b5d86", "#c6b8e0", "h", True)),
    *(Style("#59616b", "#c3c9d1", "X", True), Style("#8a6f5c", "#cbb09c", "*", True)),
)

STYLES = tuple(Style(_LIGHT[i % 6], _DARK[i % 6], _MARKERS[i % 8], i >= 6) for i in range(24)) + _CONTROLS
"""Styles by number: 24 for methods, then one for each control from scratch."""


def of(chart: Chart, report: Report) -> dict[str, int]:
    """The style's number of each of a chart's series: a method's is the same in all charts."""
    drawn = [one.name for one in chart.drawn]
    names = [name for name in (report.labels if set(drawn) <= set(report.labels) else drawn) if name not in CONTROLS]
    return {name: i % 24 for i, name in enumerate(dict.fromkeys(names))} | {n: 24 + i for i, n in enumerate(CONTROLS)}
