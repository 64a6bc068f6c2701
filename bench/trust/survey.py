"""All cases, one after the other, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.core.errors import StorageError
from bench.core.files import write_atomic
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
    found = {one.case: one for one in read(out)}
    for case in wanted:
        if case in found and (rerun == "all" or (rerun == "failed" and found[case].failed)):
            del found[case]
    for case in wanted:
        note(f"{case.name} {case.activation} {case.pooling}")
        if case not in found:
            found[case] = measure(case)
            write_atomic(out / "trust.json", msgspec.json.format(msgspec.json.encode(list(found.values()))))
            write(out, list(found.values()))
    write(out, list(found.values()))
    note("")
    return list(found.values())


def read(out: Path) -> list[Found]:
    """What a folder has already.

    Raises:
        StorageError: The file is not one of ours.
    """
    path = out / "trust.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Found]) if path.exists() else []
    except msgspec.MsgspecError as error:
        raise StorageError(f"cannot read {path}: {error}; remove it to begin anew") from error
