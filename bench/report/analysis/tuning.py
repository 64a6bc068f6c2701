"""The step of each method: chosen on validation, never on test, and the same budget stated for all."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from bench.report.read.records import Record
from bench.report.read.settings import Setting, Variant

Step = float | str


@dataclass(frozen=True)
class Tried:
    """One step of one method.

    Attributes:
        step: ``growth.epsilon``.
        seeds: Runs done with it.
        failed: Runs that failed with it.
        common: Seeds over which steps are compared: those done with every step that may be chosen.
        validation: Mean validation score over the grown rungs and the common seeds; None without any.
        chosen: Whether this is the step that the report compares.
    """

    step: Step
    seeds: int
    failed: int
    common: int
    validation: float | None
    chosen: bool


@dataclass(frozen=True)
class Column:
    """What a table has a column for: a method at its chosen step.

    Attributes:
        label: The variant's label.
        method: The method's name.
        step: The chosen step; None where the method has none, as controls from scratch.
        tried: The steps to choose from.
        runs: Done runs by seed.
        variant: Where it comes from.
    """

    label: str
    method: str
    step: Step | None
    tried: tuple[Tried, ...]
    runs: dict[int, Record]
    variant: Variant


def columns(setting: Setting) -> list[Column]:
    """One column for each variant that has a done run."""
    made = (_column(variant, setting.accuracy) for variant in setting.variants)
    return [column for column in made if column.runs]


def has_step(record: Record) -> bool:
    """Whether the step played a part: some growth event displaced something."""
    return any(stage.growth and any(stage.growth.epsilon) for stage in record.stages)


def validation(record: Record) -> float:
    """Mean validation score over the grown rungs; of the seed network where there are none."""
    return fmean(stage.validation for stage in record.stages[1:] or record.stages)


def by_step(variant: Variant) -> dict[Step, dict[int, Record]]:
    """Done runs of a variant by step and seed, steps ascending, ``line_search`` last."""
    found: dict[Step, dict[int, Record]] = {}
    for cell in variant.cells:
        if cell.record and cell.state == "done":
            found.setdefault(_step(cell.config["growth"].get("epsilon")), {}).setdefault(cell.seed, cell.record)
    return {step: found[step] for step in sorted(found, key=_order)}


def _column(variant: Variant, accuracy: bool) -> Column:
    runs = by_step(variant)
    if not any(has_step(record) for seeds in runs.values() for record in seeds.values()):
        merged = {seed: record for seeds in reversed(runs.values()) for seed, record in seeds.items()}
        return Column(variant.label, variant.method, None, (), dict(sorted(merged.items())), variant)
    failed = dict.fromkeys(runs, 0)
    for cell in variant.cells:
        step = _step(cell.config["growth"].get("epsilon"))
        if cell.state == "failed":
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
        for step in sorted(failed, key=_order)
    )
    return Column(variant.label, variant.method, best, tried, dict(sorted(runs[best].items())), variant)


def _step(found: object) -> Step:
    return float(found) if isinstance(found, int | float) else str(found)


def _order(step: Step) -> tuple[bool, float, str]:
    return (True, 0.0, step) if isinstance(step, str) else (False, step, "")
