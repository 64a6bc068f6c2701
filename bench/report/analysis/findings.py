"""All that is computed for one setting, once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bench.report.analysis.compare import Comparison, choose_baseline, compare
from bench.report.analysis.growing import Prediction
from bench.report.analysis.rungs import Rung, rungs
from bench.report.analysis.tuning import Column, columns
from bench.report.read.settings import Setting, Variant
from bench.report.views.numbers import Score


@dataclass(frozen=True, eq=False)
class Findings:
    """A setting and what its runs say.

    Attributes:
        setting: The setting.
        styles: Number of each method's colour and marker, the same in all settings.
    """

    setting: Setting
    styles: dict[str, int]

    @property
    def score(self) -> Score:
        """The measure."""
        return Score(self.setting.accuracy)

    @cached_property
    def columns(self) -> list[Column]:
        """Methods with done runs, at their chosen steps."""
        return columns(self.setting)

    @cached_property
    def rungs(self) -> dict[str, list[Rung]]:
        """Rungs by label."""
        return {column.label: rungs(column) for column in self.columns}

    @cached_property
    def baseline(self) -> Column:
        """The control that methods are compared with."""
        return choose_baseline(self.columns)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Every method against the baseline."""
        return compare(self.columns, self.baseline, self.setting.accuracy)

    @cached_property
    def predictions(self) -> list[Prediction]:
        """Growth events with predictions."""
        return growing.predictions(self.columns)

    @property
    def control(self) -> Column | None:
        """The control from scratch."""
        return next((column for column in self.columns if column.method == "static"), None)

    def seeds_wanted(self, column: Column) -> int:
        """Seeds asked for or begun at a column's step."""
        if column.step is None:
            return len({cell.seed for cell in column.variant.cells})
        step = column.step
        return len({cell.seed for cell in column.variant.cells if cell.config["growth"].get("epsilon") == step})

    def empty(self) -> list[tuple[Variant, str]]:
        """Variants without a done run, and why."""
        filled = {column.label for column in self.columns}
        return [(v, _why(v)) for v in self.setting.variants if v.label not in filled]


def _why(variant: Variant) -> str:
    """The state of a variant's cells, and the reason where there is one."""
    states = {cell.state for cell in variant.cells}
    if states == {"refused"}:
        return f"refused: {variant.cells[0].reason}"
    found = sorted(states)
    return ", ".join(f"{sum(cell.state == state for cell in variant.cells)} {state}" for state in found)
