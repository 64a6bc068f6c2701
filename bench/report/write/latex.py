"""LaTeX tables for booktabs that fit the text of an article, with every value escaped.

A table takes the largest type in which its columns fit. Where none does, columns of words are wrapped, or the columns
are set in several tabulars below each other, the first ones repeated. A long table goes on in further floats.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

from bench.report.views.table import Shown, Table
from bench.report.write.template import template

LINE = 345.0
"""Points of a line in the article class."""

SIZES = (("normalsize", 1.0, 6), ("small", 0.925, 4), ("footnotesize", 0.85, 3))
"""Commands, how wide their type is, and the points on either side of a column."""

MOST_LINES, BOLD = 38, 1.15  # lines of a table in one float, and how much wider bold type is

_SPECIAL = {
    **{character: rf"\{character}" for character in "{}$&#%_"},
    **{"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "`": r"\textasciigrave{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "'": r"\textquotesingle{}"},
    **{"±": r"\ensuremath{\pm}", "\u00d7": r"\ensuremath{\times}", "≤": r"\ensuremath{\leq}"},
    **{"\u2212": r"\ensuremath{-}", "·": r"\ensuremath{\cdot}", "\u2013": "--", "†": r"\dag{}", "…": r"\dots{}"},
    **{'"': r"{\char34}"},
}


def escape(text: str, breaks: bool = False) -> str:
    """Text that LaTeX sets as it is; control characters are dropped. With ``breaks``, lines may end within words."""
    plain = "".join(c for c in " ".join(text.split()) if unicodedata.category(c)[0] != "C")
    after = dict.fromkeys("/=,_", r"\allowbreak{}") if breaks else {}
    return "".join(_SPECIAL.get(character, character) + after.get(character, "") for character in plain)


def points(text: str) -> float:
    """About how wide a text is at ten points, rather more than less."""
    return sum(8.4 if c.isupper() or c in "mw" or c > "~" else 3.5 if c in " ijl.,:;()[]'" else 5.4 for c in text)


@dataclass(frozen=True)
class _Column:
    """A column as it is set, in type of some ``scale``; ``room`` is its width in points where it is wrapped."""

    title: str
    words: bool
    cells: Sequence[Shown]
    scale: float = 1.0
    room: float | None = None

    @cached_property
    def each(self) -> list[float]:
        """Points of its cells on one line."""
        texts = (f"{one.text} ({one.note})" if one.note else one.text for one in self.cells)
        bold = self.scale * (BOLD if any(one.best for one in self.cells) else 1.0)
        return [bold * points(text) for text in texts]

    def height(self, line: int) -> int:
        """Lines of type that a cell has, rather more than less."""
        return ceil(self.each[line] / self.room) if self.room else 1

    @property
    def lines(self) -> list[str]:
        """Its heading, broken where it would be wider than what stands below it."""
        words = re.split(r"(?<=[ _])", self.title)
        lines, room = [""], max(*self.each, *(self.scale * points(word) for word in words))
        for word in words:
            fits = self.scale * points(lines[-1] + word) <= room
            lines = [*lines[:-1], lines[-1] + word] if fits else [*lines, word]
        return lines

    @property
    def width(self) -> float:
        """Its points."""
        return self.room or max(*self.each, *(self.scale * points(line) for line in self.lines))

    @property
    def least(self) -> float:
        """Points of the longest piece that cannot be broken; of all where nothing may."""
        texts = " ".join([*(f"{one.text} ({one.note})" for one in self.cells), self.title])
        widest = max(map(points, re.split(r"\s+|(?<=[/=,_])", texts)))
        return min(self.width, BOLD * self.scale * widest) if self.words else self.width

    @property
    def kind(self) -> str:
        """In the tabular's specification."""
        return f"p{{{self.room:.1f}pt}}" if self.room else "rl"[self.words]

    @property
    def heading(self) -> str:
        """Set in as many lines as it has."""
        lines = [escape(line) for line in self.lines]
        if self.room or len(lines) < 2:
            return (r"\raggedright " if self.room else "") + " ".join(lines)
        return rf"\begin{{tabular}}[b]{{@{{}}{self.kind}@{{}}}}" + r" \\ ".join(lines) + r"\end{tabular}"

    def cell(self, line: int) -> str:
        """One cell, set."""
        one, breaks = self.cells[line], self.room is not None
        text = escape(one.text, breaks)
        text = rf"\texttt{{{text}}}" if one.code else text
        text = rf"\textbf{{{text}}}" if one.best else text
        text += rf" {{\footnotesize({escape(one.note, breaks)})}}" if one.note else ""
        return rf"\raggedright {text}" if breaks else text


def render(table: Table, label: str) -> str:
    """One or more ``table`` environments."""
    (size, _, beside), tabulars = _arranged(table)
    pages, used = list[list[int]](), 0
    for line in range(len(table.lines)):
        height = len(tabulars) * max(column.height(line) for one in tabulars for column in one)
        if not pages or used + height > MOST_LINES - 8 * (len(tabulars) - 1):
            pages, used = [*pages, []], 0
        pages[-1].append(line)
        used += height
    found = {"table": table, "label": label, "size": size, "beside": beside, "tabulars": tabulars, "pages": pages}
    return template("table.tex.j2", escape, "<>").render(found)


def _arranged(table: Table) -> tuple[tuple[str, float, int], list[list[_Column]]]:
    """The type, and the columns of each tabular."""
    found = zip(table.header, zip(*table.lines, strict=True), strict=True)
    plain = [_Column(column.title, column.words, cells) for column, cells in found]
    for size in SIZES:
        columns = [replace(one, scale=size[1]) for one in plain]
        if _excess(columns, size[2]) <= 0:
            return size, [columns]
    fixed, tabulars = len(table.titled) if table.pivot else table.heads, [_wrapped(columns, size[2])]
    for parts in range(2, len(columns) - fixed + 1):
        if all(_excess(one, size[2]) < 0.1 for one in tabulars):
            break
        each = ceil((len(columns) - fixed) / parts)
        pieces = (columns[:fixed] + columns[i : i + each] for i in range(fixed, len(columns), each))
        tabulars = [_wrapped(one, size[2]) for one in pieces]
    return size, tabulars


def _excess(columns: Sequence[_Column], beside: float) -> float:
    """Points by which a tabular is wider than a line."""
    return sum(one.width for one in columns) + 2 * beside * (len(columns) - 1) - LINE


def _wrapped(columns: list[_Column], beside: float) -> list[_Column]:
    """Columns of words as narrow as they must be, and can."""
    slack = sum(one.width - one.least for one in columns)
    share = min(1.0, max(0.0, _excess(columns, beside)) / slack) if slack else 0.0
    rooms = [one.width - share * (one.width - one.least) for one in columns]
    return [replace(one, room=room) if room < one.width else one for one, room in zip(columns, rooms, strict=True)]
