"""Markdown, with every value escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bench.report.views.document import Cell, Chart, Report, Section, Table


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


def render(report: Report) -> str:
    """The whole report."""
    lines = [f"# {escape(report.title)}", "", *_paragraphs(report.lines)]
    lines += ["The same, interactive: [index.html](index.html). Numbers in full: the CSV files in `data/`.", ""]
    for sections in report.settings:
        lines += [*_section(sections[0], 2)]
        for section in sections[1:]:
            lines += [*_section(section, 3, sections[0].slug)]
    for section in report.closing:
        lines += [*_section(section, 2)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _paragraphs(lines: tuple[str, ...]) -> Iterator[str]:
    for line in lines:
        yield escape(line)
        yield ""


def _section(section: Section, level: int, prefix: str = "") -> Iterator[str]:
    yield f"{'#' * level} {escape(section.title)}"
    yield ""
    if level == 2 and prefix == "" and len(section.lines) > 1:
        yield from (f"* {escape(line)}" for line in section.lines)
        yield ""
    else:
        yield from _paragraphs(section.lines)
    for block in section.blocks:
        yield from _chart(block, prefix) if isinstance(block, Chart) else _table(block)


def _chart(chart: Chart, prefix: str) -> Iterator[str]:
    yield f"![{escape(chart.title)}](figures/{prefix}-{chart.key}.svg)"
    yield ""
    if len(chart.x) > 1:
        yield f"![{escape(chart.title)}, other costs](figures/{prefix}-{chart.key}-costs.svg)"
        yield ""
    yield f"*{escape(chart.title)}.* {escape(chart.about)}"
    yield ""


def _table(table: Table) -> Iterator[str]:
    from tabulate import tabulate

    yield f"**{escape(table.title)}**"
    yield ""
    yield escape(table.about)
    yield ""
    align = ["left" if i in table.text_columns else "right" for i in range(len(table.header))]
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    header = [escape(title) for title in table.header]
    yield tabulate(rows, header, tablefmt="pipe", colalign=align if rows else None, disable_numparse=True)
    yield ""


def _cell(cell: Cell) -> str:
    text = code(cell.text) if cell.code else escape(cell.text)
    if cell.best:
        text = f"**{text}**"
    return f"{text}<br>{escape(cell.note)}" if cell.note else text
