"""Every stage of every done run, at all steps, as rows; and every epoch of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from statistics import fmean

from msgspec.structs import asdict

from bench.core.record import GrowthRecord, RunRecord, StageRecord
from bench.network.cost import in_order
from bench.report.analysis.rungs import Row, depth, spent
from bench.report.analysis.state import numbers
from bench.report.analysis.tuning import Contender, done
from bench.report.read.settings import Setting


def _runs(setting: Setting) -> Iterator[tuple[Row, RunRecord]]:
    """The done runs of a setting, each with what its rows begin with."""
    for variant in setting.variants:
        for step, record in done(variant):
            yield {"method": variant.label, "step": step, "seed": record.seed}, record


def stage_rows(setting: Setting, contenders: list[Contender]) -> Iterator[Row]:
    """A row for each stage; ``compared`` where the run is one of the contenders'."""
    compared = {record.id for one in contenders for record in one.runs.values()}
    for head, record in _runs(setting):
        for stage, (flops, seconds) in zip(record.stages, spent(record), strict=True):
            here = {"flops_to_here": flops, "seconds_to_here": seconds, "id": record.id}
            yield {**head, "compared": record.id in compared, **_row(stage), **here}


def _row(stage: StageRecord) -> Row:
    growth = asdict(stage.growth or GrowthRecord())
    single = [name for name in growth if name not in ("epsilon", "notes", "seconds", "flops")]  # and not the stage's
    scores = ("epochs", "train_loss", "val_accuracy", "val_loss", "test_accuracy", "test_loss")
    return {
        "rung": stage.stage,
        "target_cost": stage.target_cost,
        **{name: stage.costs[name] for name in in_order(stage.costs)},
        **{name: getattr(stage, name) for name in scores},
        **{f"{part}_seconds": value for part, value in asdict(stage.seconds).items()},
        **{f"{part}_flops": value for part, value in asdict(stage.flops).items()},
        **{name: growth[name] if stage.growth else None for name in single},
        **numbers(stage),
        "widths": widths(stage),
    }


def widths(stage: StageRecord) -> str:
    """Neurons by group: ``0:8 1:12``."""
    return " ".join(f"{name}:{width}" for name, width in stage.widths.items())


def epoch_rows(setting: Setting) -> Iterator[Row]:
    """A row for each epoch, counted from 1 at each rung; none for records without them."""
    for head, record in _runs(setting):
        for stage in record.stages:
            losses = stage.history.train_loss, stage.history.val_loss
            for epoch, train, val in zip(count(1), *losses, strict=False):
                yield {**head, "rung": stage.stage, "epoch": epoch, "train_loss": train, "val_loss": val}


def loss_curves(contender: Contender) -> Iterator[Row]:
    """Mean losses over seeds, by part and by epoch over all stages, as far as all seeds went and are finite."""
    found = list(contender.runs.values())
    for part, name in (("training", "train_loss"), ("validation", "val_loss")):
        epochs = count(1)
        for k in depth(contender):
            for losses in zip(*(getattr(run.stages[k].history, name) for run in found), strict=False):
                place = {"method": contender.label, "part": part, "epoch": next(epochs), "rung": k}
                if None not in losses:
                    yield {**place, "loss": fmean(losses)}
