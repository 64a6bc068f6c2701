"""The measurements as tables: on a terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.core.files import write_atomic

Value = str | int | float | None
"""What a cell holds; None for what was not measured or not reached."""

Row = dict[str, Value]
Rows = Sequence[Row]

Tables = Mapping[str, tuple[str, Rows]]
"""Title and rows of each table, by the name of its CSV file."""


def show(console: Console, title: str, rows: Rows) -> None:
    """Print one table."""
    drawn = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title=title)
    for column in rows[0]:
        drawn.add_column(column, justify="left" if isinstance(rows[0][column], str) else "right", no_wrap=True)
    for row in rows:
        drawn.add_row(*map(text, row.values()))
    console.print(drawn)


def write(folder: Path, tables: Tables, machine: Mapping[str, Value]) -> None:
    """Write ``speed.md`` with all tables, and each as CSV.

    Args:
        folder: Created if absent.
        tables: The tables.
        machine: What they were measured on.
    """
    parts = ["# Speed", ", ".join(f"{key} {value}" for key, value in machine.items())]
    for name, (title, rows) in tables.items():
        parts += [f"## {title}", _markdown(rows)]
        write_atomic(folder / f"{name}.csv", _csv(rows))
    write_atomic(folder / "speed.md", "\n\n".join(parts) + "\n")


def _markdown(rows: Rows) -> str:
    columns = list(rows[0])
    cells = [columns, ["---"] * len(columns), *([text(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _csv(rows: Rows) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def text(value: Value) -> str:
    """A cell; a dash for None."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)
