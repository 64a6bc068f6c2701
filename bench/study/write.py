"""The files of a question, and the index of all questions in a folder."""

from __future__ import annotations

import csv as reader
import gzip
from collections.abc import Iterator
from pathlib import Path

from bench.core.files import write_atomic
from bench.core.survey import markdown as table
from bench.report.analysis.rungs import Row
from bench.report.write import csv, markdown
from bench.report.write.files import figures_of, replace
from bench.study.page import CORES, Answer, build

LARGEST = 5 * 10**6
"""Bytes of a file."""

SUMMARY = "summary.csv"

ABOUT = f"""\
# Study

Each folder answers a question: tables, a figure, every run with the command to type, and every stage's numbers.
Hours are of {CORES} cores. `python -m bench.study` makes all of it; with `run=false`, from the runs on disk;
`python -m bench.reproduce` does some runs again and compares.

The clearest difference is the largest against what its seeds resolve, picked afterwards: its interval is of it alone,
Holm's p is corrected for the rows of its table. One that is less than they show at 80 % power is not resolved."""


def files(answer: Answer) -> Iterator[tuple[str, bytes]]:
    """The name of every file of a question under its folder, with its content; what is too long is packed."""
    report = build(answer)
    yield "README.md", markdown.render(report, "study").encode()
    for name, rows in {**report.data, "summary": [_summary(answer)]}.items():
        content = csv.render(rows).encode()
        is_long = len(content) > LARGEST
        yield f"{name}.csv{'.gz' * is_long}", gzip.compress(content, mtime=0) if is_long else content
    yield from figures_of(report)


def _summary(answer: Answer) -> Row:
    """What the index says of a question."""
    question = answer.question
    head = {"question": question.name, "asks": question.asks, "runs": answer.done, "of": len(answer.rows)}
    return {**head, "hours": f"{answer.hours:.2g}", "main": answer.main}


def write(answer: Answer, out: Path) -> bool:
    """Write the folder of a question; nothing where no run is done, so that an answer that is there stays.

    Raises:
        StorageError: The folder cannot be written.
    """
    if not answer.done:
        return False
    replace(out / answer.question.name, dict(files(answer)))
    return True


def write_index(out: Path) -> None:
    """Write ``README.md`` with a line for each question that has a folder here.

    Raises:
        StorageError: The folder cannot be written.
    """
    rows = []
    for path in sorted(out.glob(f"*/{SUMMARY}")):
        with path.open(newline="") as file:
            (row,) = reader.DictReader(file)
        link = f"[{row['question']}]({row['question']}/README.md)"
        number = f"{row['runs']} of {row['of']}"
        rows.append(
            {
                "question": link,
                "asks": row["asks"],
                "runs": number,
                "hours": row["hours"],
                "clearest difference": row["main"],
            }
        )
    if rows:
        write_atomic(out / "README.md", f"{ABOUT}\n\n{table(rows)}\n")
