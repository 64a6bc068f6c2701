"""A cell: one run that a sweep asks for, or that lies in a runs folder."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.core.errors import BenchError
from bench.core.identity import UNUSED
from bench.core.loading import load_torch
from bench.core.options import Options
from bench.core.places import as_flags
from bench.core.provenance import changes
from bench.core.record import RunRecord, RunState, numbers
from bench.core.store import RunFolder, Standing

ORDER = (
    *(RunState.MISSING, RunState.UNREADABLE, RunState.INTERRUPTED, RunState.RUNNING),
    *(RunState.FAILED, RunState.REFUSED, RunState.DONE),
)
"""States, the best last."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One run.

    Attributes:
        options: Its resolved options.
        folder: Its folder.
        overrides: What to type for it after ``python -m bench``.
    """

    options: Options
    folder: RunFolder
    overrides: Sequence[str]

    def name(self, group: str) -> str:
        """The chosen plugin of a group."""
        return str(self.options[group]["name"])

    @property
    def seed(self) -> int:
        """Its seed."""
        return int(self.options["seed"])

    @property
    def id(self) -> str:
        """Its name by content."""
        return self.folder.id

    @property
    def command(self) -> str:
        """The command that fills the cell."""
        return shlex.join(["python", "-m", "bench", *as_flags(), *self.overrides])

    @cached_property
    def standing(self) -> Standing:
        """Where it stood when this was first asked."""
        return self.folder.standing()

    @property
    def state(self) -> RunState:
        """The state of `standing`."""
        return self.standing.state

    @property
    def record(self) -> RunRecord | None:
        """The record of `standing`."""
        return self.standing.record

    @cached_property
    def changes(self) -> list[str]:
        """What is not as it was when its record was made, as far as the code tells; empty for a run not ended."""
        return [] if self.record is None else changes(self.record.provenance)

    @property
    def remedy(self) -> str:
        """What to type so that it becomes done; empty where nothing helps or nothing is needed."""
        if self.state in (RunState.DONE, RunState.REFUSED):
            return ""
        return f"{self.command} rerun=failed" if self.state is RunState.FAILED else self.command


def counted(same: Sequence[Cell]) -> Cell:
    """Of the same run in several folders the one that counts: one that is done before others, then the first.

    Of those that are done and have different numbers (`differ`) it is the newest.
    """
    best = max(same, key=lambda cell: ORDER.index(cell.state))
    rivals = [cell for cell in same if differ(cell, best)]
    return max([best, *rivals], key=lambda cell: cell.folder.record_path.stat().st_mtime) if rivals else best


def differ(one: Cell, other: Cell) -> bool:
    """Whether two cells are done and have different numbers."""
    if one.record is None or other.record is None or {one.state, other.state} != {RunState.DONE}:
        return False
    return numbers(one.record) != numbers(other.record)


def run_folder(options: Options) -> RunFolder:
    """The folder of a run with these options, or of one that lacks only what was added since.

    A method without a step has one run for all of ``growth.epsilon``, under a name of its own, and one that starts
    afresh has one for all ways to condition. Which name holds can be seen from what is there; the method is asked, and
    PyTorch loaded, only where none is.
    """
    folders = {without: RunFolder(options["runs_dir"], options, without) for without in UNUSED}
    for folder in folders.values():
        if folder.path.exists():
            return folder
    for before in (one for folder in folders.values() for one in folder.made_before()):
        if not before.standing().is_due(str(options["rerun"])):
            return before
    return folders[_unused(options["method"])]


def _unused(chosen: Options) -> tuple[str, ...]:
    """Options that the chosen method makes no use of; one that cannot be made is left for its run to complain of."""
    load_torch()
    from bench.growth.method import make, unused

    try:
        return unused(make(chosen))
    except BenchError:
        return ()
