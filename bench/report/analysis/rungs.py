"""Every method at each rung: its score, its size, and what it cost to get there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from statistics import fmean
from typing import Any

from bench.core.record import RunRecord
from bench.network.cost import in_order
from bench.report.analysis.statistics import Curve, Mean, curve, mean_interval
from bench.report.analysis.tuning import Contender

Row = Mapping[str, Any]
"""One line of a table, and of its CSV file: raw values by the column's name."""

SPENT = ("flops", "seconds")


def spent(record: RunRecord, front: bool = False) -> Iterator[tuple[float, float]]:
    """Operations and seconds that it cost to reach each rung, evaluation apart.

    A grown network has cost the training and growing of all stages up to here. One that started afresh at a stage (the
    controls from scratch) has cost that stage's training alone; the ``front`` of all sizes up to here, every training.
    """
    flops = seconds = 0.0
    for stage in record.stages:
        if not (stage.growth and stage.growth.restart):
            flops += stage.flops.grow
            seconds += stage.seconds.grow
        elif not front:
            flops = seconds = 0.0
        flops += stage.flops.train
        seconds += stage.seconds.train
        yield flops, seconds


def depth(contender: Contender) -> range:
    """The rungs that all runs of a method reached."""
    return range(min(len(run.stages) for run in contender.runs.values()))


def rungs(contender: Contender) -> Iterator[Row]:
    """A method's rungs over its seeds, for ``rungs.csv``.

    ``NAME_mean`` is of a cost of one inference at the true sizes, or of the `SPENT`; ``stopped`` counts runs that could
    not fill the rung; ``seeds_wanted`` those asked for or begun at the contender's step.
    """
    runs = list(contender.runs.values())
    tried = ((cell.seed, cell.options["growth"].get("epsilon")) for cell in contender.variant.cells)
    wanted = len({seed for seed, step in tried if contender.step in (None, step)})
    costs = [list(spent(run)) for run in runs]
    names = [name for name in in_order(runs[0].stages[0].costs) if all(name in s.costs for r in runs for s in r.stages)]
    for k in depth(contender):
        stages = [run.stages[k] for run in runs]
        yield {
            "method": contender.label,
            "step": contender.step,
            "rung": k,
            "target_cost": stages[0].target_cost,
            "seeds_wanted": wanted,
            **as_columns(mean_interval([stage.test for stage in stages]), "test"),
            **{f"{name}_mean": fmean(stage.costs[name] for stage in stages) for name in names},
            **{f"{name}_mean": fmean(one[k][i] for one in costs) for i, name in enumerate(SPENT)},
            "stopped": sum(bool(stage.growth and stage.growth.stopped) for stage in stages),
        }


def as_columns(mean: Mean | None, name: str) -> Row:
    """A mean as columns of a row; of none, the columns without values."""
    values = (mean.mean, mean.low, mean.high, mean.n) if mean else (None, None, None, 0)
    return dict(zip((f"{name}_mean", f"{name}_low", f"{name}_high", "seeds"), values, strict=True))


def mean_of(row: Row, name: str) -> tuple[float, float | None, float | None, int]:
    """Mean, ends and seeds again from those columns."""
    return row[f"{name}_mean"], row[f"{name}_low"], row[f"{name}_high"], row["seeds"]


def size_curve(record: RunRecord, cost: str = "params") -> Curve:
    """Test score against parameters, or another cost of one inference."""
    return curve([(float(stage.costs[cost]), stage.test) for stage in record.stages])


def common_sizes(runs: Iterable[RunRecord], cost: str = "params") -> tuple[float, float]:
    """The range of sizes that every run covers; empty where the first is not below the second."""
    curves = [size_curve(run, cost) for run in runs]
    return max(points[0][0] for points in curves), min(points[-1][0] for points in curves)
