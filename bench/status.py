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
from bench.store import State, seconds_of
from bench.sweep import Cell, cells

HELP = """\
The cells of a sweep: done, running, failed and missing, with an estimate of the time left.

  python -m bench.status experiment=mnist
  python -m bench.status method=s2d,s3d seed=0,1,2 runs_dir=DIR    the arguments of python -m bench -m"""


def state_of(cell: Cell) -> str:
    """The cell's state in words: done, refused, failed, running, interrupted or missing."""
    state = cell.run.state()
    if state is State.ABSENT:
        return "missing"
    if state is not State.INCOMPLETE:
        return str(state.value)
    return "running" if cell.run.is_busy() else "interrupted"


def seconds_left(states: Sequence[tuple[Cell, str]]) -> float | None:
    """One worker's time for what is missing, by the finished cells of the same method; None where none is finished."""
    spent: dict[str, list[float]] = {}
    for cell, state in states:
        record = cell.run.record() if state == "done" else None
        if record is not None:
            spent.setdefault(cell.options["method"]["name"], []).append(seconds_of(record))
    if not spent:
        return None
    overall = mean(seconds for found in spent.values() for seconds in found)
    left = [cell.options["method"]["name"] for cell, state in states if state in ("missing", "interrupted", "running")]
    return sum(mean(spent[name]) if name in spent else overall for name in left)


def show(arguments: Sequence[str]) -> None:
    """Print the state of the sweep that these arguments describe."""
    states = [(cell, state_of(cell)) for cell in cells(arguments)]
    columns = ("done", "running", "interrupted", "failed", "refused", "missing")
    table = Table(box=SIMPLE_HEAD)
    table.add_column("method")
    for column in columns:
        table.add_column(column, justify="right")
    methods = dict.fromkeys(cell.options["method"]["name"] for cell, _ in states)
    for method in methods:
        counts = Counter(state for cell, state in states if cell.options["method"]["name"] == method)
        table.add_row(method, *(str(counts[column] or "") for column in columns))
    totals = Counter(state for _, state in states)
    table.add_row(f"all {len(states)}", *(str(totals[column] or "") for column in columns), style="bold")
    console = Console()
    console.width = max(console.width, 100)
    console.print(table)
    for cell, state in states:
        if state in ("failed", "refused"):
            reason = (cell.run.record() or {}).get("reason")
            console.print(f"{state}: {cell.command}: {reason}", markup=False, highlight=False, soft_wrap=True)
    left = seconds_left(states)
    if totals["done"] + totals["refused"] == len(states):
        console.print("every cell is done")
    elif left is not None:
        console.print(f"about {_duration(left)} left for one worker", highlight=False)
    else:
        console.print("no cell is done yet, so there is no estimate of the time left")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def main() -> None:
    """``python -m bench.status``."""
    arguments = [argument for argument in sys.argv[1:] if argument not in ("-m", "--multirun")]
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return
    guarded(lambda: show(arguments), arguments)


if __name__ == "__main__":
    main()
