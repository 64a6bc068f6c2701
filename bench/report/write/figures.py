"""Figures by matplotlib: SVG and PNG, the same bytes for the same numbers."""

from __future__ import annotations

import io
from math import ceil
from typing import TYPE_CHECKING, Any

from bench.report.views.document import Axis, Chart, Series
from bench.report.views.numbers import engineering
from bench.report.write.palette import STYLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis as MatplotlibAxis
    from matplotlib.figure import Figure

PANELS = 12
"""Panels that a figure has at most; the HTML file has them all."""

LOOK: dict[Any, Any] = {
    "svg.hashsalt": "growth-bench",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8b949e",
    "axes.labelcolor": "#24292f",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e9ed",
    "grid.linewidth": 0.7,
    "xtick.color": "#57606a",
    "ytick.color": "#57606a",
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def render(chart: Chart) -> dict[str, bytes]:
    """The figures of a chart, by the end of their names: the first axis alone, and the others together."""
    first = [(chart.x[0], name) for name in chart.panels][:PANELS]
    made = _files(chart, first)
    if len(chart.x) > 1:
        others = [(axis, chart.panels[0]) for axis in chart.x[1:]]
        made |= {f"-costs{end}": content for end, content in _files(chart, others).items()}
    return made


def _files(chart: Chart, panels: list[tuple[Axis, str]]) -> dict[str, bytes]:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(LOOK):
        figure = Figure()
        _draw(figure, chart, panels)
        svg, png = io.BytesIO(), io.BytesIO()
        FigureCanvasSVG(figure)
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        FigureCanvasAgg(figure)
        figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
    return {".svg": svg.getvalue(), ".png": png.getvalue()}


def _draw(figure: Figure, chart: Chart, panels: list[tuple[Axis, str]]) -> None:
    """Panels in rows of three and the legend below, placed by hand, since finding a layout takes as long as drawing."""
    across = min(len(panels), 3)
    down = ceil(len(panels) / across)
    width, height = (7.2, 4.0) if len(panels) == 1 else (3.7 * across, 2.9 * down)
    for i, (axis, name) in enumerate(panels):
        axes = figure.add_subplot(down, across, i + 1)
        for one in chart.series:
            if one.panel == name:
                _series(axes, chart, axis, one)
        _axes(axes, chart, axis, name)
        if i % across:
            axes.set_ylabel("")
    found = dict(zip(*reversed(figure.axes[0].get_legend_handles_labels()), strict=True))
    columns = min(len(found), 3 + 2 * across)
    legend = 0.15 + 0.22 * ceil(len(found) / columns)
    height += legend
    figure.set_size_inches(width, height)
    top = 1 - (0.3 if panels[0][1] else 0.12) / height
    figure.subplots_adjust(0.68 / width, (legend + 0.5) / height, 1 - 0.15 / width, top, wspace=0.2, hspace=0.42)
    figure.legend(list(found.values()), list(found), loc="lower center", ncols=columns)


def _series(axes: Axes, chart: Chart, axis: Axis, one: Series) -> None:
    style, scale = STYLES[one.style], chart.y.scale
    x = [point.x[axis.key] * axis.scale for point in one.points]
    y = [point.y * scale for point in one.points]
    known = [p for p in one.points if p.low is not None and p.high is not None]
    if known:
        places = [p.x[axis.key] * axis.scale for p in known]
        lows, highs = [(p.low or 0.0) * scale for p in known], [(p.high or 0.0) * scale for p in known]
        axes.vlines(places, lows, highs, color=style.light, alpha=0.4, linewidth=1.4)
    axes.plot(
        x,
        y,
        color=style.light,
        marker=style.marker,
        markersize=5,
        markeredgewidth=0,
        linewidth=1.6,
        linestyle=("--" if style.dashed else "-") if chart.lines else "none",
        alpha=1.0 if chart.lines else 0.7,
        label=one.name if one.name[:1] != "_" else f" {one.name}",  # matplotlib hides names that begin so
    )


def _axes(axes: Axes, chart: Chart, axis: Axis, name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    if chart.y.log:
        axes.set_yscale("log")
        _log_ticks(axes.yaxis, axes.get_ylim())
    else:
        axes.set_ylim(*_limits(chart))
    if axis.log:
        axes.set_xscale("log")
        _log_ticks(axes.xaxis, axes.get_xlim())
    elif axis.whole:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if chart.diagonal:
        axes.autoscale(False)
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        ends = [max(left, bottom), min(right, top)]
        axes.plot(ends, ends, color="#8b949e", linewidth=1, linestyle=":")
    axes.set_xlabel(axis.label)
    axes.set_ylabel(chart.y.label)
    if name:
        axes.set_title(name, fontsize=9, loc="left")


def _limits(chart: Chart) -> tuple[float, float]:
    """The means, and their intervals as far as they leave the means room."""
    points = [point for one in chart.series for point in one.points]
    low, high = min(point.y for point in points), max(point.y for point in points)
    room = 0.35 * (high - low) or 1.0 / chart.y.scale
    lowest = max(min(point.y if point.low is None else point.low for point in points), low - room)
    highest = min(max(point.y if point.high is None else point.high for point in points), high + room)
    pad = 0.04 * (highest - lowest) or room
    top = (highest + pad) * chart.y.scale
    return (lowest - pad) * chart.y.scale, top if chart.y.most is None else min(top, chart.y.most + pad * chart.y.scale)


def _log_ticks(axis: MatplotlibAxis, limits: tuple[float, float]) -> None:
    """Round numbers on a logarithmic axis, as many as have room."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ticks: list[float] = []
    for steps in ((1, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1, 3), (1,)):
        found = [step * 10.0**k for k in range(-18, 22) for step in steps]
        ticks = [tick for tick in found if limits[0] <= tick <= limits[1]]
        if len(ticks) <= 5:
            break
    ticks = ticks[:: ceil(len(ticks) / 6) or 1]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FixedFormatter([_tick(tick) for tick in ticks]))
    axis.set_minor_locator(NullLocator())


def _tick(value: float) -> str:
    if value < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-")
    return engineering(value).replace(" ", "") if value >= 1e3 else f"{value:g}"
