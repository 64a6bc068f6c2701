"""All cases, one after the other, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.core.survey import read
from bench.core.survey import survey as survey_of
from bench.trust.cases import Case
from bench.trust.measure import Found, measure
from bench.trust.tables import write


def survey(wanted: Sequence[Case], out: Path, rerun: str, note: Callable[[str], None]) -> list[Found]:
    """Measure the cases that are not in ``out`` yet, and write its files anew after each.

    Args:
        wanted: The cases.
        out: Folder for ``trust.json``, which keeps what is found, and the tables made of it.
        rerun: Which to measure again: none, failed or all.
        note: Told of each case before it is measured, and an empty name at the end.

    Returns:
        What is found of all cases in ``out``.

    Raises:
        StorageError: The folder cannot be written, or ``trust.json`` cannot be read.
    """
    path = out / "trust.json"
    return survey_of(
        {case: f"{case.name} {case.activation} {case.pooling}" for case in wanted},
        {one.case: one for one in read(path, Found)},
        path,
        rerun,
        measure,
        lambda found: write(out, found),
        note,
    )
