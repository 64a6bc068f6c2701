"""The cells of a sweep and where each stands: done, refused, failed, incomplete, unreadable or missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.report.command import command
from bench.report.reading import Found
from bench.report.records import Record
from bench.store import identity

STATES = ("done", "refused", "failed", "incomplete", "unreadable", "missing")


@dataclass(frozen=True)
class Expected:
    """A cell that an experiment asks for.

    Attributes:
        options: Its resolved options.
        command: What to type for it; empty for a command made from the options.
    """

    options: Mapping[str, Any]
    command: str = ""


@dataclass(frozen=True)
class Cell:
    """One run that was asked for or begun.

    Attributes:
        id: The run's name by content.
        config: Its resolved options.
        state: One of `STATES`.
        reason: Why it is not done.
        record: Its record, if it has ended.
        command: What to type so that it becomes done; empty where nothing helps or nothing is needed.
    """

    id: str
    config: Mapping[str, Any]
    state: str
    reason: str
    record: Record | None
    command: str

    def name(self, group: str) -> str:
        """The chosen plugin of a group."""
        return str(self.config[group]["name"])

    @property
    def seed(self) -> int:
        """Its seed."""
        return int(self.config["seed"])


def cells(found: Found, runs_dir: str, expected: Iterable[Expected] | None = None) -> list[Cell]:
    """All cells, sorted by content.

    Args:
        found: What lies in the runs folder.
        runs_dir: As the user types it.
        expected: The cells of an experiment; with it, other runs are no cells. None takes what was found.
    """
    known = {record.id: _ended(record, runs_dir) for record in found.records}
    for one in found.unfinished:
        if one.id not in known:
            reason = f"{one.stages} of {_stages(one.config)} stages done; stopped, or still going on"
            known[one.id] = Cell(one.id, one.config, "incomplete", reason, None, command(one.config, runs_dir))
    if expected is not None:
        left_out = {one.name.rsplit("-", 1)[-1]: one.reason for one in found.left_out}
        wanted = {identity(one.options): one for one in expected}
        known = {
            key: _known(known[key], one) if key in known else _absent(key, one, left_out.get(key), runs_dir)
            for key, one in wanted.items()
        }
    return sorted(known.values(), key=_order)


def _order(cell: Cell) -> tuple[str, str, str, int, str]:
    return cell.name("data"), cell.name("backbone"), cell.name("method"), cell.seed, cell.id


def _ended(record: Record, runs_dir: str) -> Cell:
    text = command(record.config, runs_dir, "rerun=failed") if record.status == "failed" else ""
    return Cell(record.id, record.config, record.status, record.reason, record, text)


def _known(cell: Cell, expected: Expected) -> Cell:
    """The cell with the experiment's own command, where it has one and a command helps."""
    if not (cell.command and expected.command):
        return cell
    again = " rerun=failed" if cell.state == "failed" else ""
    return replace(cell, command=expected.command + again)


def _absent(key: str, expected: Expected, left_out: str | None, runs_dir: str) -> Cell:
    text = expected.command or command(expected.options, runs_dir)
    if left_out is None:
        return Cell(key, expected.options, "missing", "not begun", None, text)
    return Cell(key, expected.options, "unreadable", left_out, None, f"{text} rerun=all")


def _stages(config: Mapping[str, Any]) -> str:
    growth = config["growth"]
    return "?" if growth.get("budget") is not None else str(int(growth.get("stages", 0)) + 1)
