"""A report as plain data, before it is Markdown, LaTeX or HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
"""One line of a CSV file: column names and values."""


@dataclass(frozen=True)
class Cell:
    """A table's cell: text, never markup.

    Attributes:
        text: What it says.
        note: Said smaller, below or behind.
        best: Whether it is set off as the best of its row.
        code: Whether it is something to type.
        interval: Low, middle and high as shares of the column's axis, and where its zero is; drawn where that can be.
    """

    text: str
    note: str = ""
    best: bool = False
    code: bool = False
    interval: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Table:
    """A table with its caption.

    Attributes:
        key: For file names.
        title: Its caption.
        about: How to read it.
        header: Titles of the columns.
        rows: Cells; the first of a row is its header.
        text_columns: Columns, by number, that are words and not numbers.
        folded: Whether it is of the second rank, shown when asked for.
    """

    key: str
    title: str
    about: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    text_columns: tuple[int, ...] = (0,)
    folded: bool = False


@dataclass(frozen=True)
class Axis:
    """One of the axes that a chart can have.

    Attributes:
        key: Names the coordinate of the points.
        label: What it measures.
        log: Whether it is logarithmic to begin with.
        scale: What coordinates are multiplied with before they are shown, e.g. 100 for per cent.
        most: What no value can exceed, as shown; None where there is no such bound.
        whole: Whether only whole numbers have a meaning.
    """

    key: str
    label: str
    log: bool = False
    scale: float = 1.0
    most: float | None = None
    whole: bool = False


@dataclass(frozen=True)
class Point:
    """One point of a series.

    Attributes:
        x: Coordinates by axis.
        y: Its height.
        low: Lower end of its interval.
        high: Upper end.
        tip: What is said when one points at it.
    """

    x: Mapping[str, float]
    y: float
    low: float | None
    high: float | None
    tip: str


@dataclass(frozen=True)
class Series:
    """Points of one method.

    Attributes:
        name: The method's label.
        style: Number of its colour and marker, see ``bench.report.write.palette``.
        points: In order.
        panel: The panel that it belongs to; empty where there is one.
    """

    name: str
    style: int
    points: tuple[Point, ...]
    panel: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart with its caption.

    Attributes:
        key: For file names.
        title: Its caption.
        about: How to read it.
        x: Axes to choose from, the first to begin with.
        y: The other axis.
        series: What is drawn.
        lines: Whether points are joined.
        diagonal: Whether the line y = x is drawn.
        front: Whether a Pareto front can be shown: 1 where higher is better, -1 where lower is, 0 for none.
    """

    key: str
    title: str
    about: str
    x: tuple[Axis, ...]
    y: Axis
    series: tuple[Series, ...]
    lines: bool = True
    diagonal: bool = False
    front: int = 0

    @property
    def panels(self) -> tuple[str, ...]:
        """Names of the panels, in order."""
        return tuple(dict.fromkeys(one.panel for one in self.series))


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        slug: For anchors and file names.
        title: Its heading.
        lines: Paragraphs.
        blocks: Tables and charts.
    """

    slug: str
    title: str
    lines: tuple[str, ...] = ()
    blocks: tuple[Table | Chart, ...] = ()


@dataclass(frozen=True)
class Report:
    """The whole.

    Attributes:
        title: Its heading.
        lines: What it is about.
        settings: For each setting its name and its sections.
        closing: Sections on the runs themselves.
        data: Rows by name of the CSV file.
    """

    title: str
    lines: tuple[str, ...]
    settings: tuple[tuple[Section, ...], ...]
    closing: tuple[Section, ...]
    data: Mapping[str, tuple[Row, ...]]
