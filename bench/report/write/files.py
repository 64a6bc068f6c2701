"""A report's files: all of them made first, then written; what an earlier report left over is removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from bench.core.files import write_atomic
from bench.report.views.chart import Chart
from bench.report.views.document import Report
from bench.report.views.table import Table
from bench.report.write import csv, figures, html, latex, markdown, palette

MANIFEST = "SHA256SUMS"
"""Names every file of a report, in the form that ``sha256sum -c`` reads."""


def figures_of(report: Report) -> Iterator[tuple[str, bytes]]:
    """The figures under a report's folder: the names that the page has for them, with their content."""
    for part in report.parts:
        for block in (block for section in part.sections for block in section.shown if isinstance(block, Chart)):
            for end, content in figures.render(block, palette.of(block, report)).items():
                yield f"figures/{part.slug}-{block.name}{end}", content


def files(report: Report) -> Iterator[tuple[str, bytes]]:
    """The name of every file under the report's folder, with its content."""
    yield "report.md", markdown.render(report).encode()
    yield "index.html", html.render(report).encode()
    for name, rows in report.data.items():
        yield f"data/{name}.csv", csv.render(rows).encode()
    yield from figures_of(report)
    for part in report.parts:
        for block in (block for section in part.sections for block in section.shown if isinstance(block, Table)):
            name = f"{part.slug}-{block.name}"
            yield f"tables/{name}.tex", latex.render(block, name).encode()


def write(report: Report, out: Path, note: Callable[[str], object] = str) -> None:
    """Write a report into a folder; files of an earlier one that are no part of it are removed.

    Args:
        report: What it says.
        out: Its folder.
        note: Told the name of each file once it is made, which takes minutes where there are many figures.
    """
    made = {}
    for name, content in files(report):
        made[name] = content
        note(name)
    replace(out, made)


def replace(out: Path, made: Mapping[str, bytes]) -> None:
    """Write files into a folder in place of those that the last call wrote, by their names below it."""
    made = dict(sorted(made.items()))
    for name in _earlier(out) - set(made):
        (out / name).unlink(missing_ok=True)
    for name, content in made.items():
        path = out / name
        if not path.exists() or path.read_bytes() != content:
            write_atomic(path, content)
    sums = "".join(f"{sha256(content).hexdigest()}  {name}\n" for name, content in made.items())
    write_atomic(out / MANIFEST, sums)


def _earlier(out: Path) -> set[str]:
    """The files that the last report in this folder wrote and nobody changed since."""
    try:
        lines = [line.partition("  ") for line in (out / MANIFEST).read_text().splitlines()]
    except (OSError, ValueError):
        return set()
    inside = [(digest, name) for digest, _, name in lines if (out / name).resolve().is_relative_to(out.resolve())]
    there = [(digest, name, out / name) for digest, name in inside if (out / name).is_file()]
    return {name for digest, name, path in there if sha256(path.read_bytes()).hexdigest() == digest}
