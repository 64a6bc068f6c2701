"""Many things measured one after the other, what is found kept in a file, and tables made of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from bench.core.errors import StorageError
from bench.core.files import write_atomic
from bench.core.record import Unreadable, decode

Row = dict[str, str]


class Outcome(Protocol):
    """What is found of a subject."""

    @property
    def failed(self) -> str | None:
        """Why it could not be measured; None if it was."""
        ...


S = TypeVar("S")
O = TypeVar("O", bound=Outcome)  # noqa: E741


def survey(
    wanted: Mapping[S, str],
    kept: Mapping[S, O],
    path: Path,
    rerun: str,
    measure: Callable[[S], O],
    write: Callable[[Sequence[O]], None],
    note: Callable[[str], None],
) -> list[O]:
    """Measure the subjects of which nothing is kept yet, and write the files anew after each.

    Args:
        wanted: The subjects, and what they are called.
        kept: What was found before (`read`).
        path: The file that keeps what is found.
        rerun: Which to measure again: none, failed or all.
        measure: Measures a subject; whatever fails is in the result.
        write: Makes tables of all that is found.
        note: Told of each subject before it is measured, and an empty name at the end.

    Returns:
        All that is kept.

    Raises:
        StorageError: The folder cannot be written.
    """
    due = {one for one in wanted if one in kept and (rerun == "all" or (rerun == "failed" and kept[one].failed))}
    found = {one: outcome for one, outcome in kept.items() if one not in due}
    write(list(found.values()))
    for one, name in wanted.items():
        note(name)
        if one not in found:
            found[one] = measure(one)
            write_atomic(path, msgspec.json.format(msgspec.json.encode(list(found.values()))))
            write(list(found.values()))
    note("")
    return list(found.values())


def read(path: Path, kind: type[O]) -> list[O]:
    """What a file keeps already; nothing where there is none.

    Raises:
        StorageError: The file is not one of ours.
    """
    try:
        return decode(path.read_bytes(), list[kind]) if path.exists() else []  # type: ignore[valid-type]
    except Unreadable as error:
        raise StorageError(f"cannot read {path}: {error}; remove it to begin anew") from error


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write rows as CSV.

    Raises:
        StorageError: The file cannot be written.
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, file.getvalue())


def markdown(rows: Sequence[Row]) -> str:
    """Rows as a table in Markdown."""
    if not rows:
        return "None."
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
