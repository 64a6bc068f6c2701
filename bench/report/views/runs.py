"""The runs themselves: every stage, where each cell stands, what was left out, and on what they ran."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from bench.core.errors import require
from bench.core.identity import unused_in
from bench.core.numbers import DASH
from bench.core.record import RunState
from bench.report.analysis.findings import Findings, Overview
from bench.report.analysis.rungs import Row
from bench.report.analysis.stages import stage_rows
from bench.report.analysis.tuning import step_text
from bench.report.read.command import anywhere
from bench.report.views.base import Block, Prose, View, views
from bench.report.views.table import METHOD, Column, Pivot, Shown, Table, untitled
from bench.run.cell import Cell

STATES = sorted(RunState, key=lambda state: state is not RunState.DONE)
MADE_ON = {"code": "Code", "torch": "PyTorch", "python": "Python", "device": "Device", "threads": "Threads"}


@dataclass(frozen=True)
class Options:
    """``most``: cells that are not done, listed one by one."""

    most: int = 200

    def __post_init__(self) -> None:
        require(self.most >= 0, "runs.most", self.most, "a number of cells, at least 0")


@views.register("runs", Options)
class Runs(View):
    """Stages in the CSV alone; cells with the commands that fill them, what is left out, and what runs were made on."""

    order = 80
    options: Options

    def of_setting(self, findings: Findings) -> Iterator[Block]:
        rows = list(stage_rows(findings.setting, findings.contenders))
        yield Table("stages", untitled(name for row in rows for name in row), rows)

    def of_report(self, overview: Overview) -> Iterator[Block]:
        sweep = overview.request.sweep
        if sweep and overview.done < len(overview.cells):
            fill = shlex.join(["python", "-m", "bench", "-m", *sweep, "rerun=failed"])
            yield Prose((f"All that is missing is filled by: {fill}",))
        yield _states(overview)
        yield _cells(overview, self.options.most)
        names = (Column("name", "Name"), Column("reason", "Reason", words=True))
        rows = [asdict(one) for one in overview.left_out]
        yield Table("left_out", names, rows, "Left out", "What lies in the runs folder and could not be used.")
        done = [cell.record.environment for cell in overview.cells if cell.record and cell.state is RunState.DONE]
        found = Counter(tuple(str(getattr(one, name)) or DASH for name in MADE_ON) for one in done)
        rows = [{**dict(zip(MADE_ON, key, strict=True)), "runs": number} for key, number in sorted(found.items())]
        columns = tuple(Column(name, title, words=name != "threads") for name, title in MADE_ON.items())
        columns += (Column("runs", "Runs"),)
        yield Table("environment", columns, rows, "Made on", "As the runs recorded it.", folded=True)


def _states(overview: Overview) -> Table:
    rows = [
        {"method": variant.label, "setting": findings.setting.title, "state": str(state), "runs": number}
        for findings in overview.findings
        for variant in findings.setting.variants
        for state, number in Counter(cell.state for cell in variant.cells).items()
    ]
    about = "A cell is one run: a method with its options, on a setting, with a seed. Only done ones enter numbers."
    columns = (METHOD, Column("setting", "Setting", words=True), *untitled("state runs"))
    pivot = Pivot("state", Column("runs"), order=lambda state: (False, STATES.index(state), ""))
    return Table("states", columns, rows, "Cells by state", about, pivot=pivot)


def _cells(overview: Overview, most: int) -> Table:
    rows = [
        _row(cell, variant.label, findings.setting.title)
        for findings in overview.findings
        for variant in findings.setting.variants
        for cell in variant.cells
    ]
    left = [cell.id for cell in overview.cells if cell.state is not RunState.DONE]
    shown = set(left[:most])
    stepless = {cell.id for cell in overview.cells if unused_in(cell.options, cell.id)}
    columns = (
        *untitled("data backbone method"),
        Column("label", "Method", show=lambda row: Shown(row["label"], row["setting"])),
        *untitled("setting"),
        Column("step", "Step", show=lambda row: Shown(step_text(None if row["id"] in stepless else row["step"]))),
        Column("seed", "Seed"),
        Column("state", "State", words=True),
        Column("reason", "Reason", words=True),
        Column("command", "Command", show=lambda row: Shown(row["command"] or DASH, code=True), words=True),
        *untitled("id"),
    )
    about = "The command fills the cell; a method that refuses it leaves none."
    about += f" The first {most} of {len(left)}; all are in cells.csv." if len(left) > most else ""
    return Table("cells", columns, rows, "Cells that are not done", about, lambda row: row["id"] in shown)


def _row(cell: Cell, label: str, setting: str) -> Row:
    is_done = cell.state is RunState.DONE
    command = anywhere(cell.options, cell.record) if is_done else cell.remedy  # `bench.reproduce` types it
    return {
        **{group: cell.name(group) for group in ("data", "backbone", "method")},
        **{"label": label, "setting": setting, "step": cell.options["growth"].get("epsilon"), "seed": cell.seed},
        **{"state": str(cell.state), "reason": cell.standing.reason, "command": command, "id": cell.id},
    }
