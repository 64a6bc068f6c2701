"""Markdown, with every value escaped."""

from __future__ import annotations

import re

from bench.report.views.document import Report
from bench.report.views.table import Shown, Table
from bench.report.write.template import template


def escape(text: str) -> str:
    """Text that Markdown (and the HTML inside it) shows as it is."""
    text = " ".join(text.split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", text)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # within a word it is no emphasis


def code(text: str) -> str:
    """A code span, for a table's cell."""
    text = " ".join(text.split()).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def render(report: Report, page: str = "report") -> str:
    """The whole report, by the template of a page: ``report``, or ``study``, whose lines are Markdown already."""
    return template(f"{page}.md.j2", escape).render(report=report, grid=_grid).rstrip("\n") + "\n"


def _grid(table: Table) -> str:
    from tabulate import tabulate

    align = ["left" if column.words else "right" for column in table.header]
    lines = [[_shown(one) for one in line] for line in table.lines]
    header = [escape(column.title) for column in table.header]
    return tabulate(lines, header, tablefmt="pipe", colalign=align, disable_numparse=True)


def _shown(one: Shown) -> str:
    text = code(one.text) if one.code else escape(one.text)
    text = f"**{text}**" if one.best else text
    return f"{text}<br>{escape(one.note)}" if one.note else text
