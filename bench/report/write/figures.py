"""Figures by matplotlib: SVG and PNG, the same bytes for the same numbers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from math import ceil, log10
from typing import TYPE_CHECKING

from bench.report.views.chart import Axis, Chart, Series
from bench.report.write import ticks
from bench.report.write.palette import STYLES
from bench.report.write.template import FOLDER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS, DODGE = 12, 2.4
"""Panels that a figure has at most (the HTML file has all), and points between methods that stand side by side."""


def render(chart: Chart, styles: Mapping[str, int]) -> dict[str, bytes]:
    """The figures of a chart by the end of their names: the first axis alone, and the others together."""
    made = _files(chart, styles, [(chart.x[0], name) for name in chart.panels][:PANELS])
    if len(chart.x) > 1:
        others = _files(chart, styles, [(axis, chart.panels[0]) for axis in chart.x[1:]])
        made |= {f"-costs{end}": content for end, content in others.items()}
    return made


def _files(chart: Chart, styles: Mapping[str, int], panels: Sequence[tuple[Axis, str]]) -> dict[str, bytes]:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    found = {}
    with mpl.rc_context(fname=FOLDER / "figure.mplstyle"):
        figure = Figure()
        _draw(figure, chart, styles, panels)
        for end, metadata in (("svg", {"Date": None, "Creator": None}), ("png", {"Software": None})):
            file = io.BytesIO()
            figure.savefig(file, format=end, dpi=160, metadata=metadata)
            found[f".{end}"] = file.getvalue()
    return found


def _draw(figure: Figure, chart: Chart, styles: Mapping[str, int], panels: Sequence[tuple[Axis, str]]) -> None:
    """Panels in rows of three and the legend below, placed by hand, since finding a layout takes as long as drawing."""
    across = min(len(panels), 3)
    down = ceil(len(panels) / across)
    width, height = (7.2, 4.0) if len(panels) == 1 else (3.7 * across, 2.9 * down)
    names = {name for _, name in panels}
    heights = _heights(chart, [one for one in chart.drawn if one.panel in names])
    for i, (axis, name) in enumerate(panels):
        axes = figure.add_subplot(down, across, i + 1)
        series = [one for one in chart.drawn if one.panel == name]
        for one in series:
            _series(axes, chart, axis, one, styles[one.name])
        _axes(axes, chart, axis, series, heights)
        axes.set_title(name, fontsize=9, loc="left")
        axes.set_ylabel("" if i % across else chart.y.title)
    legends = [axes.get_legend_handles_labels() for axes in figure.axes]
    found = {label: handle for handles, labels in legends for handle, label in zip(handles, labels, strict=True)}
    columns = max(1, min(len(found), int(width / (0.6 + 0.08 * max(map(len, found))))))
    legend = 0.15 + 0.22 * ceil(len(found) / columns)
    height += legend
    figure.set_size_inches(width, height)
    top = 1 - (0.3 if panels[0][1] else 0.12) / height
    figure.subplots_adjust(0.68 / width, (legend + 0.5) / height, 1 - 0.15 / width, top, wspace=0.2, hspace=0.42)
    figure.legend(list(found.values()), list(found), loc="lower center", ncols=columns)


def _series(axes: Axes, chart: Chart, axis: Axis, one: Series, number: int) -> None:
    from matplotlib.transforms import ScaledTranslation

    style, figure = STYLES[number], axes.get_figure(root=True)
    assert figure is not None
    beside = ScaledTranslation(chart.dodge[one.name] * DODGE / 72, 0, figure.dpi_scale_trans)  # on any scale the same
    place = axes.transData + beside
    if bars := [(axis.of(row), *ends) for row in one.points if (ends := chart.ends(row))]:
        axes.vlines(*zip(*bars, strict=True), color=style.light, alpha=0.55, linewidth=1.4, transform=place)
    axes.plot(
        [axis.of(row) for row in one.points],
        [chart.y.of(row) for row in one.points],
        marker=style.marker if chart.markers else "",
        markersize=5,
        markeredgewidth=0,
        linewidth=1.6 if chart.markers else 1.2,
        linestyle=("--" if style.dashed else "-") if chart.lines else "none",
        alpha=1.0 if chart.lines else 0.7,
        label=one.name if one.name[:1] != "_" else f" {one.name}",  # matplotlib hides names that begin so
        color=style.light,
        transform=place,
    )


def _heights(chart: Chart, series: Sequence[Series]) -> tuple[float, float]:
    """The range that holds all points and intervals, the same in all panels, so that these can be compared."""
    rows = [row for one in series for row in one.points]
    heights = [chart.y.of(row) for row in rows]
    ends = [*heights, *(end for row in rows for end in chart.ends(row) or ())]
    lowest = max(min(ends), min(heights) / 10) if chart.y.log and min(heights) > 0 else min(ends)  # not down to zero
    return lowest, max(ends) if chart.y.most is None else min(max(ends), chart.y.most)


def _axes(axes: Axes, chart: Chart, axis: Axis, series: Sequence[Series], heights: tuple[float, float]) -> None:
    """Limits, ticks, and the diagonal."""
    places = [axis.of(row) for one in series for row in one.points]
    x = _scale(axes, "x", axis, min(places), max(places))
    y = _scale(axes, "y", chart.y, *heights)
    if chart.diagonal:
        both = [max(x[0], y[0]), min(x[1], y[1])]
        axes.plot(both, both, color="#8b949e", linewidth=1, linestyle=":")
    axes.set_xlabel(axis.title)


def _scale(axes: Axes, name: str, axis: Axis, low: float, high: float) -> tuple[float, float]:
    """Set the scale, limits and ticks for a range, and give the limits, with some room."""
    log = axis.log and low > 0
    low, high = (log10(low), log10(high)) if log else (low, high)
    pad = 0.05 * (high - low) or (0.2 if log else 0.5)
    limits = (10 ** (low - pad), 10 ** (high + pad)) if log else (low - pad, high + pad)
    marks = (ticks.logarithmic if log else ticks.linear)(*limits)
    marks = [mark for mark in marks if mark == int(mark)] if axis.whole else marks
    axes.set(**{f"{name}scale": "log" if log else "linear", f"{name}lim": limits})
    getattr(axes, f"set_{name}ticks")(marks, ticks.labels(marks))
    getattr(axes, f"set_{name}ticks")([], minor=True)
    return limits
