"""A report's files: all of them made first, then written; what an earlier report left over is removed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from bench.core.files import write_atomic
from bench.report.views.chart import Chart
from bench.report.views.document import Report
from bench.report.views.table import Table
from bench.report.write import csv, figures, html, latex, markdown, palette

MANIFEST = "SHA256SUMS"
"""Names every file of a report, in the form that ``sha256sum -c`` reads."""


def files(report: Report) -> dict[str, bytes]:
    """The content of every file, by its name under the report's folder."""
    made = {"report.md": markdown.render(report).encode(), "index.html": html.render(report).encode()}
    made |= {f"data/{name}.csv": csv.render(rows).encode() for name, rows in report.data.items()}
    return dict(sorted([*made.items(), *_of_blocks(report)]))


def _of_blocks(report: Report) -> Iterator[tuple[str, bytes]]:
    for part in report.parts:
        for block in (block for section in part.sections for block in section.blocks):
            if isinstance(block, Chart):
                for end, content in figures.render(block, palette.of(block, report)).items():
                    yield f"figures/{part.slug}-{block.name}{end}", content
            elif isinstance(block, Table):
                yield f"tables/{part.slug}-{block.name}.tex", latex.render(block, f"{part.slug}-{block.name}").encode()


def write(report: Report, out: Path) -> list[str]:
    """Write a report into a folder; files of an earlier one that are no part of it are removed.

    Returns:
        The names of its files.
    """
    made = files(report)
    for name in _earlier(out) - set(made):
        (out / name).unlink(missing_ok=True)
    for name, content in made.items():
        path = out / name
        if not path.exists() or path.read_bytes() != content:
            write_atomic(path, content)
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in made.items())
    write_atomic(out / MANIFEST, sums)
    return list(made)


def _earlier(out: Path) -> set[str]:
    """The files that the last report in this folder wrote and nobody changed since."""
    try:
        lines = (out / MANIFEST).read_text().splitlines()
    except (OSError, ValueError):
        return set()
    found = set()
    for line in lines:
        digest, _, name = line.partition("  ")
        path = out / name
        inside = name and path.resolve().is_relative_to(out.resolve())
        if inside and path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            found.add(name)
    return found
