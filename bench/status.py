"""``python -m bench.status experiment=NAME``: a sweep's cells done, running, failed and missing, and the time left."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from statistics import mean

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.cli import guarded
from bench.core.provenance import outdated
from bench.core.record import RunState
from bench.grid import cells, require_right
from bench.run.cell import Cell

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
  python -m bench.status method=s2d,s3d seed=0,1,2 runs_dir=DIR    the arguments of python -m bench -m"""


def seconds_left(found: Sequence[Cell]) -> float | None:
    """One worker's time for what is missing, by the finished cells of the same method; None where none is finished."""
    spent: dict[str, list[float]] = {}
    for cell in found:
        if cell.record is not None and cell.state is RunState.DONE and not cell.changes:
            spent.setdefault(cell.name("method"), []).append(cell.record.seconds)
    if not spent:
        return None
    overall = mean(seconds for method in spent.values() for seconds in method)
    left = [cell.name("method") for cell in found if cell.record is None or cell.changes]
    return sum(mean(spent[name]) if name in spent else overall for name in left)


def show(arguments: Sequence[str]) -> None:
    """Print the state of the sweep that these arguments describe."""
    found = cells(arguments)
    require_right([cell for cell in found if cell.record is None])
    table = Table(box=SIMPLE_HEAD)
    table.add_column("method")
    for state in SHOWN:
        table.add_column(state, justify="right")
    for method in dict.fromkeys(cell.name("method") for cell in found):
        counts = Counter(map(_state, (cell for cell in found if cell.name("method") == method)))
        table.add_row(method, *(str(counts[state] or "") for state in SHOWN))
    totals = Counter(map(_state, found))
    table.add_row(f"all {len(found)}", *(str(totals[state] or "") for state in SHOWN), style="bold")
    console = Console()
    console.width = max(console.width, 100)
    console.print(table)
    for cell in found:
        if cell.changes:
            line = f"old: {cell.command}: {outdated(cell.changes, str(cell.folder.path))}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        elif cell.state in (RunState.FAILED, RunState.REFUSED, RunState.UNREADABLE):
            line = f"{cell.state}: {cell.command}: {cell.standing.reason}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    left = seconds_left(found)
    if totals[RunState.DONE] + totals[RunState.REFUSED] == len(found):
        console.print("every cell is done")
    elif left is not None:
        console.print(f"about {_duration(left)} left for one worker", highlight=False)
    else:
        console.print("no cell is done yet, so there is no estimate of the time left")


def _state(cell: Cell) -> str:
    return OLD if cell.changes else cell.state


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def main() -> None:
    """``python -m bench.status``."""
    arguments = [argument for argument in sys.argv[1:] if argument not in ("-m", "--multirun")]
    guarded(lambda: show(arguments), arguments, about=HELP)


if __name__ == "__main__":
    main()
