"""A table carries its rows: raw numbers for the CSV, and how each column shows them on the page and in print."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bench.core.numbers import DASH
from bench.report.analysis.rungs import Row


@dataclass(frozen=True)
class Shown:
    """What a table shows in one place: text, never markup."""

    text: str
    note: str = ""  # said smaller, below or behind
    best: bool = False  # set off
    code: bool = False  # something to type
    interval: tuple[float, float, float, float] | None = None  # low, middle, high, zero: shares of an axis


NOTHING = Shown(DASH)


@dataclass(frozen=True)
class Column:
    """A column."""

    name: str  # in the CSV
    title: str = ""  # its heading; without one, it is in the CSV alone
    format: Callable[[float], str] = "{:g}".format  # writes numbers; words stand as they are, and a dash for None
    show: Callable[[Row], Shown] | None = None  # what a row shows here, where that is more than the number or word
    words: bool = False  # set to the left, as words are

    def shown(self, row: Row) -> Shown:
        """What a row shows in this column."""
        value = row[self.name]
        if value is None:
            return NOTHING
        return self.show(row) if self.show else Shown(value if isinstance(value, str) else self.format(value))


METHOD = Column("method", "Method", words=True)


def untitled(names: str | Iterable[str]) -> tuple[Column, ...]:
    """Columns that are in the CSV alone, from their names, each once; or from these with spaces between."""
    return tuple(map(Column, dict.fromkeys(names.split() if isinstance(names, str) else names)))


@dataclass(frozen=True)
class Pivot:
    """Shows long rows as a matrix: a line for each value of the table's titled columns, a column for each of ``by``."""

    by: str  # the column whose values become columns
    value: Column  # what stands in them
    title: Callable[[Any], str] = str  # heading of a value's column
    order: Callable[[Any], tuple[bool, float, str]] | None = None  # sorts the values, which else stand as they come


@dataclass(frozen=True)
class Table:
    """A table with its caption; one without titled columns, or rows to show, is in the CSV alone."""

    name: str  # of the CSV, into which the rows of all settings come, and of the LaTeX file, after the setting's name
    columns: tuple[Column, ...]  # in the order of the CSV; the first that is shown heads its lines
    rows: Sequence[Row] = field(repr=False)
    title: str = ""
    about: str = ""  # how to read it
    where: Callable[[Row], bool] | None = None  # which rows are shown; all without it
    pivot: Pivot | None = None
    heads: int = 1  # columns that name a line where there is no matrix, repeated where a table is set in pieces
    folded: bool = False  # of the second rank, shown when asked for

    @property
    def is_shown(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.titled and self._kept)

    @cached_property
    def titled(self) -> list[Column]:
        """Columns that are shown, the matrix apart."""
        return [column for column in self.columns if column.title]

    @cached_property
    def header(self) -> list[Column]:
        """All columns that are shown, those of the matrix with its headings."""
        if self.pivot is None:
            return self.titled
        words = self.pivot.value.words
        return [*self.titled, *(Column(str(one), self.pivot.title(one), words=words) for one in self._across)]

    @cached_property
    def lines(self) -> list[list[Shown]]:
        """What is shown, line by line."""
        places: dict[object, list[Row]] = {}
        for i, row in enumerate(self._kept):
            places.setdefault(tuple(row[one.name] for one in self.titled) if self.pivot else i, []).append(row)
        return [self._line(rows) for rows in places.values()]

    def _line(self, rows: list[Row]) -> list[Shown]:
        line = [column.shown(rows[0]) for column in self.titled]
        if self.pivot:
            here = {row[self.pivot.by]: self.pivot.value.shown(row) for row in rows}
            line += [here.get(one, NOTHING) for one in self._across]
        return line

    @cached_property
    def _kept(self) -> list[Row]:
        return [row for row in self.rows if self.where is None or self.where(row)]

    @cached_property
    def _across(self) -> list[object]:
        assert self.pivot is not None
        values = dict.fromkeys(row[self.pivot.by] for row in self._kept)
        return sorted(values, key=self.pivot.order) if self.pivot.order else list(values)
