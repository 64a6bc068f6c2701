"""The step of each method: chosen on validation, never on test, and the same budget stated for all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import fmean

from bench.core.identity import unused_in
from bench.core.numbers import DASH
from bench.core.record import RunRecord, RunState
from bench.report.analysis.choice import choose
from bench.report.read.settings import Setting, Variant
from bench.run.cell import Cell

Step = float | str


@dataclass(frozen=True)
class Tried:
    """One step of one method."""

    step: Step  # growth.epsilon
    seeds: int  # runs done with it
    failed: int  # runs that failed with it
    common: int  # seeds over which steps are compared: those done with every step that may be chosen
    validation: float | None  # mean validation score over the grown rungs and the common seeds; None without any
    chosen: bool  # whether this is the step that the report compares


@dataclass(frozen=True)
class Contender:
    """What is compared: a method at its chosen step."""

    label: str  # the variant's
    method: str  # the method's name
    step: Step | None  # None where the method has none, as controls from scratch, or its own
    tried: tuple[Tried, ...]  # the steps to choose from
    runs: dict[int, RunRecord]  # done, by seed
    variant: Variant

    @property
    def heading(self) -> str:
        """The label, with the step if there is one."""
        return self.label if self.step is None else f"{self.label}, step {step_text(self.step)}"


def contenders(setting: Setting) -> list[Contender]:
    """One for each variant that has a done run."""
    made = (_contender(variant, setting.accuracy) for variant in setting.variants)
    return [contender for contender in made if contender.runs]


def validation(record: RunRecord) -> float:
    """Mean validation score over the grown rungs; of the seed network where there are none."""
    return fmean(stage.validation for stage in record.stages[1:] or record.stages)


def done(variant: Variant) -> list[tuple[Step, RunRecord]]:
    """Done runs of a variant with their steps: these ascending, ``line_search`` last, and by seed."""
    found = {(_step(c), c.seed): c.record for c in reversed(variant.cells) if c.record and c.state is RunState.DONE}
    return [(step, found[step, seed]) for step, seed in sorted(found, key=lambda one: (order(one[0]), one[1]))]


def _contender(variant: Variant, accuracy: bool) -> Contender:
    growths = [stage.growth for _, record in done(variant) for stage in record.stages if stage.growth]
    is_displaced = any(any(growth.epsilon or ()) for growth in growths)
    if not is_displaced or all(unused_in(cell.options, cell.id) for cell in variant.cells):
        merged = {record.seed: record for _, record in reversed(done(variant))}  # of several steps, the first
        return Contender(variant.label, variant.method, None, (), dict(sorted(merged.items())), variant)
    runs: dict[Step, dict[int, RunRecord]] = {}
    for step, record in done(variant):
        runs.setdefault(step, {})[record.seed] = record
    failed = Counter(_step(cell) for cell in variant.cells if cell.state is RunState.FAILED)
    scores = {step: {seed: validation(record) for seed, record in own.items()} for step, own in runs.items()}
    choice = choose(scores, failed, accuracy)
    best, common = choice.best[0], len(choice.common)  # of equals the smallest step
    tried = tuple(
        Tried(step, len(runs.get(step, {})), failed[step], common, choice.means.get(step), step == best)
        for step in sorted({*runs, *failed}, key=order)
    )
    return Contender(variant.label, variant.method, best, tried, runs[best], variant)


def _step(cell: Cell) -> Step:
    found = cell.options["growth"].get("epsilon")
    return float(found) if isinstance(found, int | float) else str(found)


def order(step: Step) -> tuple[bool, float, str]:
    """Sorts steps: numbers ascending, then words."""
    return (True, 0.0, step) if isinstance(step, str) else (False, step, "")


def step_text(step: Step | None) -> str:
    """A step as one types it."""
    return DASH if step is None else step if isinstance(step, str) else f"{step:g}"
