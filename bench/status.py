"""``python -m bench.status experiment=NAME``: a sweep's cells done, running, failed and missing, and the time left."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from bench.cli import guarded
from bench.core.provenance import outdated
from bench.core.record import RunState
from bench.core.table import Folding, screen
from bench.grid import cells, require_right, runs_dirs
from bench.run.cell import Cell, counted, differ, run_folder
from bench.run.forecast import in_words, work

OLD = "old"
"""Ended, but made by what has changed since."""

SHOWN = (
    *(RunState.DONE, OLD, RunState.RUNNING, RunState.INTERRUPTED, RunState.FAILED, RunState.REFUSED),
    *(RunState.UNREADABLE, RunState.MISSING),
)
"""States in the order of the table's columns."""

HELP = """\
The cells of a sweep: done, running, failed and missing, with an estimate of the time left.

  python -m bench.status experiment=mnist
  python -m bench.status method=s2d,s3d seed=0,1,2 runs_dir=DIR    the arguments of python -m bench -m
  python -m bench.status experiment=mnist runs_dir=here,there      folders of several machines, each run once"""


def work_left(found: Sequence[Cell]) -> float | None:
    """One worker's seconds for what is missing, by what is done; None where nothing tells."""
    ended = {cell.id: cell.state for cell in found if cell.record is not None and not cell.changes}
    spent = {cell.id: cell.folder.seconds() for cell in found if not cell.changes}
    return work(found, spent, ended).left


def show(arguments: Sequence[str]) -> None:
    """Print the state of the sweep that these arguments describe."""
    folders, others = runs_dirs(arguments)
    everywhere = [_in_all(cell, folders[1:]) for cell in cells(others)]
    found = [counted(same) for same in everywhere]
    require_right([cell for cell in found if cell.record is None])
    totals = Counter(map(_state, found))
    states = [state for state in SHOWN if totals[state]]
    table = Folding()
    table.add_column("method")
    for state in states:
        table.add_column(state, "right")
    for method in dict.fromkeys(cell.name("method") for cell in found):
        counts = Counter(map(_state, (cell for cell in found if cell.name("method") == method)))
        table.add_row(method, *(str(counts[state] or "") for state in states))
    table.add_row(f"all {len(found)}", *(str(totals[state]) for state in states), style="bold")
    console = screen()
    console.print(table)
    for cell, same in zip(found, everywhere, strict=True):
        for other in same:
            if differ(cell, other):
                line = f"twice: {cell.folder.path}, the newer, counts; {other.folder.path} has other numbers"
                console.print(line, markup=False, highlight=False, soft_wrap=True)
        if cell.changes:
            line = f"old: {cell.command}: {outdated(cell.changes, str(cell.folder.path))}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        elif cell.state in (RunState.FAILED, RunState.REFUSED, RunState.UNREADABLE):
            line = f"{cell.state}: {cell.command}: {cell.standing.reason}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    left = work_left(found)
    if totals[RunState.DONE] + totals[RunState.REFUSED] == len(found):
        console.print("every cell is done")
    elif not any(cell.standing.is_due(cell.options["rerun"]) for cell in found):
        again = "rerun=failed tries again what failed, rerun=all makes all anew"
        console.print(f"nothing is left to do; {again}", highlight=False, soft_wrap=True)
    elif left is None:
        console.print("no stage is done yet, so there is no estimate of the time left")
    else:
        console.print(f"{in_words(left)} for one worker", highlight=False)
        if (running := totals[RunState.RUNNING]) > 1:
            console.print(f"{in_words(left / running)} for the {running} that are running", highlight=False)


def _in_all(cell: Cell, others: Sequence[str]) -> list[Cell]:
    """A cell in its own folder of runs, and in others."""
    elsewhere = [run_folder({**cell.options, "runs_dir": folder}) for folder in others]
    return [cell, *(replace(cell, folder=folder) for folder in elsewhere)]


def _state(cell: Cell) -> str:
    return OLD if cell.changes else cell.state


def main() -> None:
    """``python -m bench.status``."""
    arguments = [argument for argument in sys.argv[1:] if argument not in ("-m", "--multirun")]
    guarded(lambda: show(sys.argv[1:]), arguments, about=HELP)


if __name__ == "__main__":
    main()
