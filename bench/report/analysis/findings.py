"""All that is computed for one setting, once; and what a report is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.core.record import RunState
from bench.network.cost import Cost, cost
from bench.report.analysis import compare
from bench.report.analysis.rungs import Row, rungs
from bench.report.analysis.score import ACCURACY, LOSS, Score
from bench.report.analysis.tuning import Contender, contenders
from bench.report.read.arguments import Request
from bench.report.read.folder import LeftOut
from bench.report.read.settings import Setting, Variant
from bench.run.cell import Cell


@dataclass(frozen=True, eq=False)
class Findings:
    """A setting and what its runs say; ``wanted`` is the baseline that was asked for, if one was."""

    setting: Setting
    wanted: str | None = None

    @property
    def score(self) -> Score:
        """The measure."""
        return ACCURACY if self.setting.accuracy else LOSS

    @cached_property
    def contenders(self) -> list[Contender]:
        """Methods with done runs, at their chosen steps."""
        return contenders(self.setting)

    @cached_property
    def rungs(self) -> list[Row]:
        """The rungs of all methods, one method after the other."""
        return [row for one in self.contenders for row in rungs(one)]

    @cached_property
    def costs(self) -> dict[str, Cost]:
        """The costs that are shown, by name: parameters, multiply-adds, and what the ladder counts."""
        names = dict.fromkeys(("params", "macs", self.setting.cost))
        return {name: cost(name) for name in names if all(f"{name}_mean" in row for row in self.rungs)}

    @cached_property
    def baseline(self) -> str:
        """What methods are compared with."""
        return compare.choose_baseline(self.contenders, self.wanted).label

    @cached_property
    def areas(self) -> dict[str, dict[int, float]]:
        """Area under score against log size by label and seed."""
        return compare.areas(self.contenders)

    @cached_property
    def pairs(self) -> list[Row]:
        """Every method against every other."""
        accuracy = self.setting.accuracy
        return [r for one in self.contenders for r in compare.compare(self.contenders, one, self.areas, accuracy)]

    @property
    def control(self) -> Contender | None:
        """The control from scratch."""
        return next((one for one in self.contenders if one.method == "static"), None)

    @cached_property
    def reached(self) -> list[Row]:
        """How few parameters methods need to be as good as the control from scratch; empty without one."""
        control, accuracy = self.control, self.setting.accuracy
        return list(compare.reached(self.contenders, self.rungs, control, accuracy)) if control else []

    def empty(self) -> list[str]:
        """Variants without a done run, and why."""
        filled = {one.label for one in self.contenders}
        return [f"{one.label} ({_why(one)})" for one in self.setting.variants if one.label not in filled]


@dataclass(frozen=True, eq=False)
class Overview:
    """What a report is of: the findings of each setting, what was asked for or begun, and what could not be read."""

    request: Request
    findings: Sequence[Findings]
    cells: Sequence[Cell]
    left_out: Sequence[LeftOut]

    @property
    def done(self) -> int:
        """Cells that are done."""
        return sum(cell.state is RunState.DONE for cell in self.cells)


def _why(variant: Variant) -> str:
    """The state of a variant's cells, and the reason where there is one."""
    states = {cell.state for cell in variant.cells}
    if states == {RunState.REFUSED}:
        return f"refused: {variant.cells[0].standing.reason}"
    return ", ".join(f"{sum(cell.state is state for cell in variant.cells)} {state}" for state in sorted(states))
