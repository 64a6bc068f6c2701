"""What growing promised, did and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from bench.report.analysis.statistics import rank_correlation
from bench.report.analysis.tuning import Column, Step, by_step


@dataclass(frozen=True)
class Prediction:
    """A growth event whose method predicts what it does to the loss."""

    method: str
    step: Step
    seed: int
    rung: int
    predicted: float
    measured: float
    chosen: bool


def predictions(columns: Sequence[Column]) -> list[Prediction]:
    """All events with a prediction, at every step tried."""
    return [
        Prediction(
            column.label,
            step,
            seed,
            stage.rung,
            stage.growth.predicted,
            stage.growth.measured,
            column.runs.get(seed) is record,
        )
        for column in columns
        for step, runs in by_step(column.variant).items()
        for seed, record in sorted(runs.items())
        for stage in record.stages
        if stage.growth and stage.growth.predicted is not None and stage.growth.measured is not None
    ]


@dataclass(frozen=True)
class Forecast:
    """How good a method's predictions are at one step.

    Attributes:
        method: Its label.
        step: The step.
        chosen: Whether it is the one compared.
        events: Growth events with a prediction.
        ratio: Median of measured over predicted.
        rose: Events after which the loss was higher.
        rank: Spearman's correlation of predicted and measured.
    """

    method: str
    step: Step
    chosen: bool
    events: int
    ratio: float | None
    rose: int
    rank: float | None


def forecasts(found: Sequence[Prediction]) -> list[Forecast]:
    """One for each method and step, in the order of the events."""
    groups: dict[tuple[str, Step], list[Prediction]] = {}
    for event in found:
        groups.setdefault((event.method, event.step), []).append(event)
    made = []
    for (method, step), members in groups.items():
        ratios = [event.measured / event.predicted for event in members if event.predicted]
        made.append(
            Forecast(
                method,
                step,
                any(event.chosen for event in members),
                len(members),
                median(ratios) if ratios else None,
                sum(event.measured < 0 for event in members),
                rank_correlation([e.predicted for e in members], [e.measured for e in members]),
            )
        )
    return made


@dataclass(frozen=True)
class GrowthCost:
    """What growing cost a method, over its seeds.

    Attributes:
        method: Its label.
        seconds: Mean seconds of growing in a run.
        seconds_share: Share of growing in the seconds of growing and training.
        flops: Mean operations of growing in a run.
        flops_share: Share in the operations of growing and training.
        products: Mean products with splitting operators in a run.
        splits: Mean neurons split in a run.
        residual: Largest relative residual of any eigenpair.
        gap: Largest change of the outputs at step zero.
    """

    method: str
    seconds: float
    seconds_share: float
    flops: float
    flops_share: float
    products: float
    splits: float
    residual: float | None
    gap: float | None


def growth_cost(column: Column) -> GrowthCost | None:
    """What growing cost; None for a method that starts afresh at each rung, or has no rung to grow to."""
    runs = list(column.runs.values())
    stages = [stage for run in runs for stage in run.stages]
    growths = [stage.growth for stage in stages if stage.growth]
    if not growths or all(growth.restart for growth in growths):
        return None
    seconds, flops = sum(s.grow_seconds for s in stages), sum(s.grow_flops for s in stages)
    all_seconds = seconds + sum(s.train_seconds for s in stages)
    all_flops = flops + sum(s.train_flops for s in stages)
    return GrowthCost(
        column.label,
        seconds / len(runs),
        seconds / all_seconds if all_seconds else 0.0,
        flops / len(runs),
        flops / all_flops if all_flops else 0.0,
        sum(growth.products for growth in growths) / len(runs),
        sum(growth.splits for growth in growths) / len(runs),
        max((growth.residual for growth in growths if growth.residual is not None), default=None),
        max((growth.gap for growth in growths if growth.gap is not None), default=None),
    )


@dataclass(frozen=True)
class Note:
    """A number that a method put on record, over its growth events.

    Attributes:
        method: Its label.
        name: What the method calls it.
        events: How many say it.
        mean: Over them.
        low: Smallest.
        high: Largest.
    """

    method: str
    name: str
    events: int
    mean: float
    low: float
    high: float


def notes(column: Column) -> list[Note]:
    """What a method put on record, by name in the order of the record."""
    growths = [stage.growth for run in column.runs.values() for stage in run.stages if stage.growth]
    found: dict[str, list[float]] = {}
    for growth in growths:
        for name, value in growth.notes.items():
            found.setdefault(name, []).append(value)
    return [
        Note(column.label, name, len(values), fmean(values), min(values), max(values)) for name, values in found.items()
    ]


def widths(column: Column) -> dict[str, list[float]]:
    """Mean width of each group at each rung."""
    runs = list(column.runs.values())
    count = min(len(run.stages) for run in runs)
    names = dict.fromkeys(name for run in runs for name in run.stages[0].widths)
    return {
        name: [fmean(float(run.stages[k].widths.get(name, 0)) for run in runs) for k in range(count)] for name in names
    }
