"""Rows of numbers per run and rung: scores, sizes, and what it cost to get there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from bench.report.analysis.statistics import Mean, curve, mean_interval
from bench.report.analysis.tuning import Column, by_step
from bench.report.read.records import Record, Stage
from bench.report.read.settings import Setting
from bench.report.views.document import Row


@dataclass(frozen=True)
class Spent:
    """What it cost to reach a rung, evaluation apart.

    A grown network has cost the training and growing of all stages up to here. One that started afresh at a stage (the
    controls from scratch) has cost that stage's training alone.
    """

    flops: float
    seconds: float


def spent(record: Record) -> list[Spent]:
    """The cost of reaching each rung."""
    flops = seconds = 0.0
    costs = []
    for stage in record.stages:
        if stage.growth and stage.growth.restart:
            flops = seconds = 0.0
        else:
            flops += stage.grow_flops
            seconds += stage.grow_seconds
        flops += stage.train_flops
        seconds += stage.train_seconds
        costs.append(Spent(flops, seconds))
    return costs


@dataclass(frozen=True)
class Rung:
    """One method at one rung, over seeds.

    Attributes:
        rung: Its number.
        target: Cost that it allows.
        score: Test score.
        params: Mean of the true sizes.
        macs: Mean multiply-adds.
        flops: Mean training cost, see `Spent`.
        seconds: Mean time, see `Spent`.
        stopped: Runs that could not fill it, by reason.
    """

    rung: int
    target: float
    score: Mean
    params: float
    macs: float
    flops: float
    seconds: float
    stopped: dict[str, int]

    def cost(self, axis: str) -> float:
        """The mean of ``params``, ``macs``, ``flops`` or ``seconds``."""
        return float(getattr(self, axis))


def rungs(column: Column) -> list[Rung]:
    """A method's rungs, over its seeds."""
    runs = list(column.runs.values())
    costs = [spent(run) for run in runs]
    made = []
    for k in range(min(len(run.stages) for run in runs)):
        stages = [run.stages[k] for run in runs]
        stopped: dict[str, int] = {}
        for stage in stages:
            if stage.growth and stage.growth.stopped:
                stopped[stage.growth.stopped] = stopped.get(stage.growth.stopped, 0) + 1
        made.append(
            Rung(
                rung=k,
                target=stages[0].target,
                score=mean_interval([stage.test for stage in stages]),
                params=fmean(stage.params for stage in stages),
                macs=fmean(stage.macs for stage in stages),
                flops=fmean(cost[k].flops for cost in costs),
                seconds=fmean(cost[k].seconds for cost in costs),
                stopped=dict(sorted(stopped.items())),
            )
        )
    return made


def size_curve(record: Record) -> list[tuple[float, float]]:
    """Test score against parameters."""
    return curve([(float(stage.params), stage.test) for stage in record.stages])


def common_sizes(columns: Sequence[Column]) -> tuple[float, float]:
    """The range of sizes that every run covers; empty where the first is not below the second."""
    runs = [size_curve(run) for column in columns for run in column.runs.values()]
    return max(points[0][0] for points in runs), min(points[-1][0] for points in runs)


def rung_rows(column: Column, made: Sequence[Rung]) -> list[Row]:
    """For ``rungs.csv``."""
    return [
        {
            "method": column.label,
            "step": column.step,
            "rung": one.rung,
            "target_cost": one.target,
            "seeds": one.score.n,
            "test_mean": one.score.mean,
            "test_low": one.score.low,
            "test_high": one.score.high,
            "params_mean": one.params,
            "macs_mean": one.macs,
            "flops_mean": one.flops,
            "seconds_mean": one.seconds,
            "stopped": sum(one.stopped.values()),
        }
        for one in made
    ]


def stage_rows(setting: Setting, columns: Sequence[Column]) -> list[Row]:
    """For ``stages.csv``: every stage of every done run, all steps."""
    chosen = {column.label: column for column in columns}
    rows: list[Row] = []
    for variant in setting.variants:
        column = chosen.get(variant.label)
        for step, runs in by_step(variant).items():
            for seed, record in sorted(runs.items()):
                used = column is not None and column.runs.get(seed) is record
                for stage, cost in zip(record.stages, spent(record), strict=True):
                    rows.append(
                        {
                            "method": variant.label,
                            "step": step,
                            "seed": seed,
                            "compared": used,
                            **_stage_row(stage, setting.accuracy),
                            "flops_to_here": cost.flops,
                            "seconds_to_here": cost.seconds,
                            "id": record.id,
                        }
                    )
    return rows


def _stage_row(stage: Stage, accuracy: bool) -> Row:
    growth = stage.growth
    score = "accuracy" if accuracy else "loss"
    of_growth = {
        "splits": growth.splits if growth else None,
        "added_neurons": growth.added if growth else None,
        "predicted_drop": growth.predicted if growth else None,
        "measured_drop": growth.measured if growth else None,
        "function_gap": growth.gap if growth else None,
        "products": growth.products if growth else None,
        "residual_max": growth.residual if growth else None,
        "stopped": growth.stopped if growth else None,
    }
    return {
        "rung": stage.rung,
        "target_cost": stage.target,
        "params": stage.params,
        "macs": stage.macs,
        f"val_{score}": stage.validation,
        f"test_{score}": stage.test,
        "train_seconds": stage.train_seconds,
        "grow_seconds": stage.grow_seconds,
        "train_flops": stage.train_flops,
        "grow_flops": stage.grow_flops,
        **of_growth,
        "widths": " ".join(f"{name}:{width}" for name, width in stage.widths.items()),
    }
