"""Figures by matplotlib: SVG and PNG, the same bytes for the same numbers."""

from __future__ import annotations

import io
from math import ceil
from typing import TYPE_CHECKING, Any

from bench.report.document import Axis, Chart, Series
from bench.report.palette import STYLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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
    """The figure of a chart, by suffix."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(LOOK):
        figure = Figure(layout="constrained")
        _draw(figure, chart)
        svg, png = io.BytesIO(), io.BytesIO()
        FigureCanvasSVG(figure)
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        FigureCanvasAgg(figure)
        figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
    return {"svg": svg.getvalue(), "png": png.getvalue()}


def _draw(figure: Figure, chart: Chart) -> None:
    """One panel for each axis to choose from, or for each panel of the chart."""
    panels = [(axis, name) for axis in chart.x for name in chart.panels][:PANELS]
    across = min(len(panels), 2 if len(chart.x) > 1 else 3)
    down = ceil(len(panels) / across)
    figure.set_size_inches((7.2, 4.2) if len(panels) == 1 else (4.4 * across, 3.2 * down))
    for i, (axis, name) in enumerate(panels):
        axes = figure.add_subplot(down, across, i + 1)
        for one in chart.series:
            if one.panel == name:
                _series(axes, chart, axis, one)
        _axes(axes, chart, axis, name)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4))


def _series(axes: Axes, chart: Chart, axis: Axis, one: Series) -> None:
    style, scale = STYLES[one.style], chart.y.scale
    x = [point.x[axis.key] * axis.scale for point in one.points]
    y = [point.y * scale for point in one.points]
    intervals = [(p.low * scale, p.high * scale) for p in one.points if p.low is not None and p.high is not None]
    if chart.lines and len(intervals) == len(x) > 0:
        low, high = zip(*intervals, strict=True)
        axes.fill_between(x, low, high, color=style.light, alpha=0.12, linewidth=0)
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
    from matplotlib.ticker import EngFormatter, MaxNLocator

    if chart.diagonal:
        axes.axline((1.0, 1.0), slope=1, color="#8b949e", linewidth=1, linestyle=":")
    if axis.log:
        axes.set_xscale("log")
        if not chart.diagonal:
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            axes.xaxis.set_minor_formatter(EngFormatter(sep="") if _narrow(axes) else "")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if chart.y.log:
        axes.set_yscale("log")
    axes.set_xlabel(axis.label)
    axes.set_ylabel(chart.y.label)
    if name:
        axes.set_title(name, fontsize=9, loc="left")


def _narrow(axes: Axes) -> bool:
    """Whether a logarithmic axis spans so little that it needs labels between powers of ten."""
    low, high = axes.get_xlim()
    return high < 12 * low
