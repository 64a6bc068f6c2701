"""A run done again against its row: equal but for rounding on the same kind of machine, within a band on another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import stdev

from bench.core.identity import LATENCY
from bench.core.record import RunRecord, RunState, StageRecord
from bench.report.analysis.stages import widths
from bench.reproduce.again import differing
from bench.reproduce.stored import SCORES, SIZES, Stage, Stored

ROUNDING = 1e-5
"""Relative; the tables of a study have six digits."""

WIDTHS = 3 * sqrt(2)
"""Of a band, in standard deviations over seeds: three times that of the difference of two seeds."""

FLOOR = {"accuracy": 0.01, "loss": 0.1}
"""The least band: of an accuracy, as a share of 1; of a loss, relative."""

SAME = f"the same kind of machine: sizes must be the same, accuracies and losses to a relative {ROUNDING:g}"
OTHER = (
    "another kind of machine, and training amplifies rounding: sizes must be the same where they are for all seeds, "
    f"accuracies and losses within {WIDTHS:.2g} standard deviations over seeds, at least a point or a tenth of the loss"
)


@dataclass(frozen=True)
class Verdict:
    """What came of a run.

    Attributes:
        name: Of the run.
        kind: What of the machine differs; empty where nothing does.
        compared: What was compared.
        largest: The largest difference of a score: relative, and where.
        wrong: What should not be; empty for none.
    """

    name: str
    kind: str
    compared: str
    largest: str
    wrong: Sequence[str]


def failed(stored: Stored, reason: str) -> Verdict:
    """Of a run that could not be done again."""
    return Verdict(stored.name, "", "nothing", "", [reason])


def compare(stored: Stored, record: RunRecord) -> Verdict:
    """Hold a run against its row, stage by stage."""
    if record.status is not RunState.DONE or not stored.stages:
        reason = f"{record.status}: {record.reason}" if stored.stages else "its stages are not in the table"
        return failed(stored, reason)
    kind = "; ".join(differing(stored.machines, record))
    wrong, differences = list[str](), dict[str, float]()
    is_measured = record.config["growth"].get("cost") == LATENCY and bool(kind)  # and so is the ladder
    if len(stored.stages) != len(record.stages) and not is_measured:
        wrong.append(f"{len(stored.stages)} stages, now {len(record.stages)}")
    for stage, now in zip(stored.stages, record.stages, strict=False):
        alike = [own[stage.rung] for own in stored.alike if len(own) > stage.rung]
        wrong += _sizes(stage, now, bool(kind), alike)
        wrong += _scores(stage, now, bool(kind), alike)
        differences |= {f"{name}, rung {stage.rung}": _relative(*two) for name, two in _both(stage, now)}
    number = min(len(stored.stages), len(record.stages))
    where = max(differences, key=lambda name: differences[name], default="")
    largest = f"{differences[where]:.1e} ({where})" if where and differences[where] else "0"
    return Verdict(stored.name, kind, f"{number} stages, {len(differences)} scores", largest, wrong)


def _sizes(stage: Stage, now: StageRecord, is_other: bool, alike: Sequence[Stage]) -> Iterator[str]:
    """Sizes that are not as they were; on another machine, of those that are the same for all seeds."""
    before = {**{name: f"{stage.numbers[name]:.0f}" for name in SIZES}, "widths": stage.widths}
    here = {**{name: f"{now.costs[name]:.0f}" for name in SIZES}, "widths": widths(now)}
    is_fixed = len(alike) > 1 and len({(one.widths, *(one.numbers[name] for name in SIZES)) for one in alike}) == 1
    if is_other and not is_fixed:
        return
    for name, value in before.items():
        if value and value != here[name]:
            yield f"{name} {value} at rung {stage.rung}, now {here[name]}"


def _scores(stage: Stage, now: StageRecord, is_other: bool, alike: Sequence[Stage]) -> Iterator[str]:
    """Scores that are too far from what they were."""
    for name in SCORES:
        if (name in stage.numbers) != (getattr(now, name) is not None):
            yield f"{name} at rung {stage.rung}: there once only"
    for name, (before, value) in _both(stage, now):
        allowed = band(name, before, alike) if is_other else ROUNDING * max(abs(before), abs(value))
        if abs(before - value) > allowed:
            yield f"{name} {before:.6g} at rung {stage.rung}, now {value:.6g} (allowed: {allowed:.1g})"


def _both(stage: Stage, now: StageRecord) -> Iterator[tuple[str, tuple[float, float]]]:
    for name in SCORES:
        value = getattr(now, name)
        if name in stage.numbers and value is not None:
            yield name, (stage.numbers[name], value)


def band(name: str, value: float, alike: Sequence[Stage]) -> float:
    """How far a score may be off on another machine: `WIDTHS` by the spread over seeds, no less than `FLOOR`."""
    seeds = [one.numbers[name] for one in alike if name in one.numbers]
    spread = WIDTHS * stdev(seeds) if len(seeds) > 1 else 0.0
    floor = FLOOR["accuracy"] if name.endswith("accuracy") else FLOOR["loss"] * abs(value)
    return max(spread, floor)


def _relative(before: float, value: float) -> float:
    return abs(before - value) / (max(abs(before), abs(value)) or 1.0)
