"""A runs folder: the runs in it, ended or not, and what is left out and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.core.defaults import completed, name_now
from bench.core.errors import one_line
from bench.core.identity import identities
from bench.core.record import RunState, Unreadable
from bench.core.store import RunFolder, read_config
from bench.report.read.command import overrides
from bench.report.read.versions import outdated
from bench.run.cell import Cell, counted, differ

OWN, LONGEST = ("seeds",), 200
"""Folders of the store that hold no run, and the characters of a reason that are shown."""


DIFFERENT = ", with other numbers; the newer one counts"
"""Ends the reason of a run that was done twice, with different results."""


@dataclass(frozen=True)
class LeftOut:
    """A file or folder in the runs folder that the report does not use, and why."""

    name: str
    reason: str


@dataclass
class Found:
    """All that lies in a runs folder: a cell for each run, by the run's name by content, and what is no run."""

    cells: dict[str, Cell] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)


def read(*runs_dirs: str) -> Found:
    """Read folders of runs, as the user types them, in the order of the names in each.

    Nothing there stops the reading; the same run in several places counts once (`bench.run.cell.counted`).
    """
    found = Found()
    for runs_dir in runs_dirs:
        folder = Path(runs_dir)
        entries = sorted(folder.iterdir(), key=lambda path: path.name) if folder.is_dir() else []
        for path in entries:
            if path.name.startswith(".") or path.name in OWN:
                continue
            try:
                _read_one(path, runs_dir, found)
            except (Unreadable, OSError, ValueError, RecursionError) as error:
                found.left_out.append(LeftOut(path.name, _shortened(error)))
    for id_, what in outdated(list(found.cells.values())).items():
        cell = found.cells.pop(id_)
        found.left_out.append(LeftOut(cell.folder.path.name, f"another version of {what} made newer runs"))
    return found


def _read_one(path: Path, runs_dir: str, found: Found) -> None:
    if not path.is_dir():
        raise Unreadable("not a run's folder")
    folder = RunFolder.at(path)
    standing = folder.standing()
    if standing.record is not None:
        options, name = standing.record.config, standing.record.id
    else:
        unreadable = Unreadable(standing.reason) if standing.state is RunState.UNREADABLE else None
        if not folder.config_path.exists():
            raise unreadable or Unreadable("neither run.json nor config.yaml")
        if unreadable:
            found.left_out.append(LeftOut(path.name, _shortened(unreadable)))
        options = read_config(folder.config_path)
        names = identities(options)
        name = next((one for one in names if path.name.endswith(one)), names[0])
    folder.id, now = name_now(options, name), completed(options)
    cell = Cell(now, folder, overrides(now, runs_dir))
    vars(cell)["standing"] = standing  # which is not read again
    if (other := found.cells.get(folder.id)) is None:
        found.cells[folder.id] = cell
        return
    kept = found.cells[folder.id] = counted([other, cell])
    dropped = other if kept is cell else cell
    how = DIFFERENT if differ(other, cell) else ""
    found.left_out.append(LeftOut(_place(dropped, kept), f"the same run as {_place(kept, dropped)}{how}"))


def _place(cell: Cell, other: Cell) -> str:
    """A run's folder, named as far as it takes to tell it from another's."""
    path = cell.folder.path
    return str(path) if path.name == other.folder.path.name else path.name


def cells(found: Found, expected: Iterable[Cell] | None = None) -> list[Cell]:
    """All cells that lie there, or those that an experiment expects, wherever they lie there, sorted by content."""
    there = found.cells
    if expected is not None:
        wanted = {name_now(one.options, one.id): one for one in expected}
        there = {
            name: replace(one, folder=there[name].folder) if name in there else one for name, one in wanted.items()
        }
    names = ("data", "backbone", "method")
    return sorted(there.values(), key=lambda cell: (*map(cell.name, names), cell.seed, cell.id))


def _shortened(error: Exception) -> str:
    text = str(error) if isinstance(error, Unreadable) else one_line(error)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
