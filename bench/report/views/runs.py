"""The runs themselves: where each cell stands, what was left out, and on what they ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.report.analysis.tuning import Step
from bench.report.read.cells import STATES
from bench.report.read.cells import Cell as Run
from bench.report.read.folder import LeftOut
from bench.report.read.settings import Setting
from bench.report.views.document import Cell, Table
from bench.report.views.numbers import DASH, step_text

MOST = 200
"""Cells that a table lists one by one."""


def state_table(settings: Sequence[Setting]) -> Table:
    """How many cells of each method stand where."""
    states = [s for s in STATES if s == "done" or any(c.state == s for one in settings for c in one.cells)]
    rows = []
    for setting in settings:
        for variant in setting.variants:
            found = Counter(cell.state for cell in variant.cells)
            numbers = [Cell(str(found[state] or DASH)) for state in states]
            rows.append((Cell(variant.label), Cell(setting.title), *numbers))
    return Table(
        key="states",
        title="Cells by state",
        about="A cell is one run: a method with its options, on a setting, with a seed. Only done ones enter numbers.",
        header=("Method", "Setting", *states),
        rows=tuple(rows),
        text_columns=(0, 1),
    )


def open_table(settings: Sequence[Setting]) -> Table | None:
    """Cells that are not done, why, and what to type."""
    found = [
        (variant.label, setting.title, cell)
        for setting in settings
        for variant in setting.variants
        for cell in variant.cells
        if cell.state != "done"
    ]
    if not found:
        return None
    rows = tuple(
        (
            Cell(label, title),
            Cell(_step(cell)),
            Cell(str(cell.seed)),
            Cell(cell.state),
            Cell(cell.reason),
            Cell(cell.command, code=True) if cell.command else Cell(DASH),
        )
        for label, title, cell in found[:MOST]
    )
    more = f" The first {MOST} of {len(found)}; all are in cells.csv." if len(found) > MOST else ""
    return Table(
        key="open",
        title="Cells that are not done",
        about=f"The command fills the cell; a refused one has none, because the method declines it.{more}",
        header=("Method", "Step", "Seed", "State", "Reason", "Command"),
        rows=rows,
        text_columns=(0, 3, 4, 5),
    )


def _step(cell: Run) -> str:
    if cell.config["method"].get("step") is False:
        return DASH
    step: Step | None = cell.config["growth"].get("epsilon")
    return step_text(step)


def left_out_table(left_out: Sequence[LeftOut]) -> Table | None:
    """What lies in the runs folder and is not used."""
    if not left_out:
        return None
    return Table(
        key="left-out",
        title="Left out",
        about="What lies in the runs folder and could not be used.",
        header=("Name", "Reason"),
        rows=tuple((Cell(one.name), Cell(one.reason)) for one in left_out),
        text_columns=(0, 1),
    )


def environment_table(cells: Sequence[Run]) -> Table | None:
    """On what the done runs ran."""
    names = ("code", "torch", "python", "device", "threads")
    found = Counter(
        tuple(str(cell.record.environment.get(name, DASH)) for name in names)
        for cell in cells
        if cell.record and cell.state == "done"
    )
    if not found:
        return None
    return Table(
        key="environment",
        title="Made on",
        about="As the runs recorded it.",
        header=("Code", "PyTorch", "Python", "Device", "Threads", "Runs"),
        rows=tuple((*map(Cell, key), Cell(str(number))) for key, number in sorted(found.items())),
        text_columns=(0, 1, 2, 3),
        folded=True,
    )
