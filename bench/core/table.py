"""Tables on a terminal, however narrow: columns that do not fit go on below, beside the first one again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table

LOG = 100
"""Cells of a line in a log, which has no width of its own."""

FRAME = 1
"""Cells on either side of a table."""


class Screen(Console):
    """Standard output, which may be closed; `bench.core.output.standard_output` then says so."""

    def on_broken_pipe(self) -> None:
        """Called where `BrokenPipeError` is handled: let it pass."""
        raise


def screen() -> Console:
    """Standard output, as wide as the terminal, or as the environment's ``COLUMNS``, or `LOG`."""
    console = Screen()
    return console if console.is_terminal or "COLUMNS" in os.environ else Screen(width=LOG)


@dataclass
class Column:
    """A column.

    Attributes:
        heading: May have several lines.
        justify: Left or right.
        no_wrap: Whether its cells must not be broken.
        cells: One for each row.
    """

    heading: str
    justify: Literal["left", "right"]
    no_wrap: bool
    cells: list[RenderableType] = field(default_factory=list)

    def width(self, console: Console, options: ConsoleOptions) -> int:
        """Cells that it needs."""
        found = [Measurement.get(console, options, one) for one in (self.heading, *self.cells)]
        return max(one.maximum if self.no_wrap else one.minimum for one in found)


class Folding:
    """A table that folds where the terminal ends.

    Args:
        title: Stands above it.
        gap: Cells between two columns.
    """

    def __init__(self, title: str | None = None, gap: int = 2) -> None:
        self.title, self.gap = title, gap
        self.caption: str | None = None
        self.columns: list[Column] = []
        self.styles: list[str | None] = []

    def add_column(self, heading: str, justify: Literal["left", "right"] = "left", no_wrap: bool = True) -> None:
        """Add a column, before any row."""
        self.columns.append(Column(heading, justify, no_wrap))

    def add_row(self, *cells: RenderableType, style: str | None = None) -> None:
        """Add a row, a cell for each column."""
        for column, cell in zip(self.columns, cells, strict=True):
            column.cells.append(cell)
        self.styles.append(style)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        folds = list(self._folds(console, options))
        for number, columns in enumerate(folds):
            table = Table(
                title=self.title if number == 0 else None,
                caption=self.caption if number == len(folds) - 1 else None,
                box=SIMPLE_HEAD,
                padding=(0, self.gap - 1, 0, 0),
            )
            for column in columns:
                table.add_column(column.heading, justify=column.justify, no_wrap=column.no_wrap)
            for i, style in enumerate(self.styles):
                table.add_row(*(column.cells[i] for column in columns), style=style)
            yield table

    def _folds(self, console: Console, options: ConsoleOptions) -> Iterator[Sequence[Column]]:
        """The columns in as few tables as fit, each with the first column."""
        first, *others = self.columns
        start = 2 * FRAME + first.width(console, options) + self.gap - 1
        fold, room = [first], options.max_width - start
        for column in others:
            needed = self.gap + column.width(console, options)
            if needed > room and len(fold) > 1:
                yield fold
                fold, room = [first], options.max_width - start
            fold.append(column)
            room -= needed
        yield fold
