"""The step of each method: chosen on validation, never on test, and the same budget stated for all."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from bench.core.numbers import DASH
from bench.core.record import RunRecord, RunState
from bench.report.read.settings import Setting, Variant

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
    step: Step | None  # None where the method has none, as controls from scratch
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


def has_step(record: RunRecord) -> bool:
    """Whether the step played a part: some growth event displaced something."""
    return any(stage.growth and any(stage.growth.epsilon or ()) for stage in record.stages)


def validation(record: RunRecord) -> float:
    """Mean validation score over the grown rungs; of the seed network where there are none."""
    return fmean(stage.validation for stage in record.stages[1:] or record.stages)


def by_step(variant: Variant) -> dict[Step, dict[int, RunRecord]]:
    """Done runs of a variant by step and seed, steps ascending, ``line_search`` last."""
    found: dict[Step, dict[int, RunRecord]] = {}
    for cell in variant.cells:
        if cell.record and cell.state is RunState.DONE:
            found.setdefault(_step(cell.options["growth"].get("epsilon")), {}).setdefault(cell.seed, cell.record)
    return {step: dict(sorted(found[step].items())) for step in sorted(found, key=order)}


def _contender(variant: Variant, accuracy: bool) -> Contender:
    runs = by_step(variant)
    if not any(has_step(record) for seeds in runs.values() for record in seeds.values()):
        merged = {seed: record for seeds in reversed(runs.values()) for seed, record in seeds.items()}
        return Contender(variant.label, variant.method, None, (), dict(sorted(merged.items())), variant)
    failed = dict.fromkeys(runs, 0)
    for cell in variant.cells:
        step = _step(cell.options["growth"].get("epsilon"))
        if cell.state is RunState.FAILED:
            failed[step] = failed.get(step, 0) + 1
    sound = [step for step in runs if not failed[step]] or list(runs)
    common = set.intersection(*(set(runs[step]) for step in sound)) or None
    scores = {
        step: fmean(validation(seeds[seed]) for seed in kept)
        for step, seeds in runs.items()
        if (kept := sorted(set(seeds) & common if common else seeds))
    }
    best = (max if accuracy else min)(sound, key=lambda step: scores[step])  # the first of equals: the smallest
    tried = tuple(
        Tried(step, len(runs.get(step, {})), failed[step], len(common or ()), scores.get(step), step == best)
        for step in sorted(failed, key=order)
    )
    return Contender(variant.label, variant.method, best, tried, runs[best], variant)


def _step(found: object) -> Step:
    return float(found) if isinstance(found, int | float) else str(found)


def order(step: Step) -> tuple[bool, float, str]:
    """Sorts steps: numbers ascending, then words."""
    return (True, 0.0, step) if isinstance(step, str) else (False, step, "")


def step_text(step: Step | None) -> str:
    """A step as one types it."""
    return DASH if step is None else step if isinstance(step, str) else f"{step:g}"
