"""The files of a question, and the index of all questions in a folder."""

from __future__ import annotations

import csv as reader
import gzip
from collections.abc import Collection, Iterator
from io import StringIO
from pathlib import Path

from bench.core.errors import StorageError, require
from bench.core.files import read_file, require_writable, write_atomic
from bench.core.survey import markdown as table
from bench.report.analysis.rungs import Row
from bench.report.write import csv, markdown
from bench.report.write.files import MANIFEST, figures_of, replace
from bench.study.page import CORES, Answer, build

LARGEST = 5 * 10**6
"""Bytes of a file."""

PAGE, SUMMARY = "README.md", "summary.csv"
COLUMNS = dict.fromkeys(("question", "asks", "runs", "of", "hours", "main")).keys()
"""Of a summary."""

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
    yield PAGE, markdown.render(report, "study").encode()
    for name, rows in {**report.data, "summary": [_summary(answer)]}.items():
        content = csv.render(rows).encode()
        is_long = len(content) > LARGEST
        yield f"{name}.csv{'.gz' * is_long}", gzip.compress(content, mtime=0) if is_long else content
    yield from figures_of(report)


def _summary(answer: Answer) -> Row:
    """What the index says of a question."""
    question, hours = answer.question, f"{answer.hours:.2g}"
    found = (question.name, question.asks, answer.done, len(answer.rows), hours, answer.main)
    return dict(zip(COLUMNS, found, strict=True))


def write(answer: Answer, out: Path) -> str:
    """Write the folder of a question, unless no run is done or more runs were when it was written.

    Returns:
        Why nothing was written, or nothing.

    Raises:
        StorageError: The folder cannot be written.
    """
    if not answer.done:
        return "so nothing is written"
    before = _read(out / answer.question.name / SUMMARY)
    if before and before["of"] == str(len(answer.rows)) and int(before["runs"]) > answer.done:
        return f"so the answer by {before['runs']} runs stays: {out / answer.question.name}"
    replace(out / answer.question.name, dict(files(answer)))
    return ""


def require_own(out: Path, names: Collection[str]) -> None:
    """Raise `BenchError` unless the folder can be written, and holds nothing of others where answers to these go.

    Summaries of other answers, of which the index is made, must be in order.
    """
    require_writable(out)
    page = out / PAGE
    is_own = not page.exists() or page.read_bytes().startswith("\n".join(ABOUT.splitlines()[:3]).encode())
    require(is_own, "out", out, f"a folder of bench.study's own; its {PAGE} is another's")
    for name in names:
        there = out / name
        is_own = not (there / PAGE).exists() or (there / MANIFEST).is_file()
        require(is_own, "out", out, f"a folder of bench.study's own; {there / PAGE} is another's")
    for path in out.glob(f"*/{SUMMARY}"):
        _read(path)


def write_index(out: Path) -> None:
    """Write ``README.md`` with a line for each question that has a folder here.

    Raises:
        StorageError: The folder cannot be written, or the summary of an answer is damaged.
    """
    rows = [
        {
            "question": f"[{row['question']}]({row['question']}/{PAGE})",
            "asks": row["asks"],
            "runs": f"{row['runs']} of {row['of']}",
            "hours": row["hours"],
            "clearest difference": row["main"],
        }
        for path in sorted(out.glob(f"*/{SUMMARY}"))
        if (row := _read(path))
    ]
    if rows:
        write_atomic(out / PAGE, f"{ABOUT}\n\n{table(rows)}\n")


def _read(path: Path) -> dict[str, str]:
    """What the summary of an answer says; nothing where there is none.

    Raises:
        StorageError: It is damaged.
    """
    if not path.exists():
        return {}
    try:
        (row,) = reader.DictReader(StringIO(read_file(path).decode(), newline=""))
        if row.keys() != COLUMNS or None in row.values() or not row["runs"].isdigit():
            raise ValueError
    except (ValueError, reader.Error):
        raise StorageError(f"{path} is damaged; without that file its question is answered anew") from None
    return row
