"""A chart of rows: axes name the columns that they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from bench.report.analysis.rungs import Row

MOST_POINTS, IN_ALL, LEAST_POINTS = 300, 3000, 50
"""Points of a series that a chart draws at most, and those of all series together as long as each keeps the least."""


@dataclass(frozen=True)
class Axis:
    """One of the axes that a chart can have."""

    name: str  # the column with the coordinates
    title: str
    log: bool = False
    scale: float = 1.0  # what coordinates are multiplied with before they are shown, e.g. 100 for per cent
    most: float | None = None  # what no value can exceed, as shown
    whole: bool = False  # only whole numbers have a meaning

    def of(self, row: Row) -> float:
        """A row's coordinate, as shown."""
        return float(row[self.name]) * self.scale


@dataclass(frozen=True)
class Series:
    """Rows that belong together, under a method's label or what else tells them apart."""

    name: str
    panel: str
    points: Sequence[Row]


@dataclass(frozen=True)
class Chart:
    """A chart with its caption; without rows, it is not shown."""

    name: str  # for file names
    title: str
    about: str  # how to read it
    rows: Sequence[Row] = field(repr=False)
    x: tuple[Axis, ...]  # to choose from, the first to begin with
    y: Axis
    series: str = "method"  # the column that tells series apart
    panel: str | None = None  # the column that tells panels apart, if there are several
    interval: tuple[str, str] | None = None  # the columns with both ends of intervals
    tip: Callable[[Row], str] | None = None  # what is said when one points at a row; else the coordinates are
    lines: bool = True  # joined
    markers: bool = True
    diagonal: bool = False  # the line y = x
    front: int = 0  # a Pareto front can be shown: 1 where higher is better, -1 where lower is

    @property
    def is_shown(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.rows)

    @property
    def panels(self) -> list[str]:
        """Names of the panels, in order; one without a name where there are no panels."""
        return list(dict.fromkeys(one.panel for one in self.drawn))

    @cached_property
    def drawn(self) -> list[Series]:
        """What is drawn, with as many points as can be told apart."""
        found: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            found.setdefault((str(row[self.series]), str(row[self.panel]) if self.panel else ""), []).append(row)
        most = max(LEAST_POINTS, min(MOST_POINTS, IN_ALL // max(len(found), 1)))
        return [Series(name, panel, _thinned(points, most)) for (name, panel), points in found.items()]

    @cached_property
    def dodge(self) -> dict[str, float]:
        """Places of the series side by side, around 0, in steps of 1; all 0 where there are no intervals."""
        names = list(dict.fromkeys(one.name for one in self.drawn))
        return {name: i - (len(names) - 1) / 2 if self.interval else 0.0 for i, name in enumerate(names)}

    def ends(self, row: Row) -> tuple[float, float] | None:
        """The ends of a row's interval, as shown, where it has one."""
        if self.interval is None or row[self.interval[0]] is None:
            return None
        low, high = (float(row[name]) * self.y.scale for name in self.interval)
        return low, high


def _thinned(points: Sequence[Row], most: int) -> Sequence[Row]:
    """At most so many points, evenly, the first and the last among them."""
    if len(points) <= most:
        return points
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]
