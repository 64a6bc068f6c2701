"""CSV: one row per thing, full precision, columns in a fixed order."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from bench.report.analysis.rungs import Row


def render(rows: Sequence[Row]) -> str:
    """Rows as CSV; the columns are those of all rows, in the order in which they appear."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _value(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _value(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"  # a spreadsheet would run it as a formula
    return value
