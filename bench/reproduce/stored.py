"""The finished runs in the tables of a folder by `bench.study` or `bench.report`."""

from __future__ import annotations

import csv
import gzip
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path

from bench.core.errors import BenchError, StorageError
from bench.core.files import read_file
from bench.core.record import RunState

SIZES = ("params", "macs")
SCORES = ("val_accuracy", "test_accuracy", "val_loss", "test_loss")
RUNS = ("runs.csv", "cells.csv")
"""Names of the table of runs: of a question, of a report."""

OWN = ("id", "seed", "state", "seconds", "environment", "reason", "command")
"""Columns of a run that do not say what it shares with others."""
PLACES = ("setting", "data", "backbone")
"""Of those that do, the ones that its name does without."""

Row = Mapping[str, str]


@dataclass(frozen=True)
class Stage:
    """A stage as a table has it.

    Attributes:
        rung: Its number.
        numbers: Of `SIZES` and `SCORES`; what is empty there is absent.
        widths: Neurons by group; empty where the table has none.
    """

    rung: int
    numbers: Mapping[str, float]
    widths: str


@dataclass(frozen=True)
class Stored:
    """A finished run.

    Attributes:
        place: The folder of its table.
        row: Its row.
        stages: In order; empty where the table of stages lacks it.
        machines: Rows of what it may have been made on; empty where that is not said.
        alike: Stages of the runs that differ from it in the seed alone, itself among them.
    """

    place: Path
    row: Row
    stages: Sequence[Stage]
    machines: Sequence[Row]
    alike: Sequence[Sequence[Stage]]

    @property
    def command(self) -> str:
        """What made it; empty where that is not said."""
        return self.row.get("command", "")

    @cached_property
    def name(self) -> str:
        """Words for it: the values that tell it apart, and its seed."""
        values = dict.fromkeys(value for key, value in kind(self.row) if value and key not in PLACES)
        return f"{self.place.name}: {' '.join(values)} seed {self.row['seed']}"


def kind(row: Row) -> tuple[tuple[str, str], ...]:
    """What a run shares with those that differ in the seed alone."""
    return tuple((key, value) for key, value in row.items() if key not in OWN)


def stored(folder: Path) -> list[Stored]:
    """The finished runs of all tables below a folder, by place and name.

    Raises:
        BenchError: A table lacks a column or a rung, or holds what is no number; the message names it.
        StorageError: A file cannot be read.
    """
    places = {path.parent for path in folder.rglob("stages.csv*") if any(_named(path.parent, name) for name in RUNS)}
    return [run for place in sorted(places) for run in _of_folder(place)]


def _of_folder(place: Path) -> list[Stored]:
    own = next(path for name in RUNS if (path := _named(place, name)))
    rows = [row for row in table(own, ("id", "seed", "state")) if row["state"] == RunState.DONE]
    stages = _stages(place)
    made_on = _named(place, "environment.csv")
    machines = table(made_on, ("torch", "python", "device", "threads")) if made_on else []
    alike: dict[tuple[tuple[str, str], ...], list[Sequence[Stage]]] = defaultdict(list)
    for row in rows:
        alike[kind(row)].append(stages.get(row["id"], []))
    made = []
    for row in sorted(rows, key=lambda row: row["id"]):
        on = [one for one in machines if one.get("environment") in (None, row.get("environment"))]
        made.append(Stored(place, row, stages.get(row["id"], []), on, alike[kind(row)]))
    return made


def _stages(place: Path) -> dict[str, list[Stage]]:
    path = _named(place, "stages.csv")
    assert path is not None, "looked for before"
    found: dict[str, list[Stage]] = defaultdict(list)
    for row in table(path, ("id", "rung", *SIZES)):
        try:
            numbers = {name: _number(row[name]) for name in (*SIZES, *SCORES) if name in SIZES or row.get(name)}
            found[row["id"]].append(Stage(int(row["rung"]), numbers, row.get("widths", "")))
        except ValueError as error:
            raise BenchError(f"{path}: run {row['id']}: {error}") from None
    for name, own in found.items():
        own.sort(key=lambda stage: stage.rung)
        if [stage.rung for stage in own] != list(range(len(own))):
            rungs = ", ".join(str(stage.rung) for stage in own)
            raise BenchError(f"{path}: run {name}: rungs {rungs}; expected each from 0 to {len(own) - 1}")
    return dict(found)


def _number(text: str) -> float:
    """A finite number, for no comparison finds fault with another."""
    if not isfinite(number := float(text)):
        raise ValueError(f"expected a finite number, not {text}")
    return number


def table(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows of a CSV file that has these columns.

    Raises:
        BenchError: It lacks one.
        StorageError: It cannot be read.
    """
    try:
        content = read_file(path)
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), restval="")
        rows: list[Row] = list(reader)
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise StorageError(f"cannot read {path}: {error}") from None
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise BenchError(f"{path}: expected a column {missing[0]}")
    return rows


def _named(place: Path, name: str) -> Path | None:
    """A table, or the packed one."""
    return next((path for end in ("", ".gz") if (path := place / f"{name}{end}").is_file()), None)
