"""Every stage of every done run, at all steps, as rows; and every epoch of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from statistics import fmean

from bench.core.record import RunRecord, StageRecord
from bench.network.cost import in_order
from bench.report.analysis.rungs import Row, depth, spent
from bench.report.analysis.tuning import Contender, Step, by_step
from bench.report.read.settings import Setting

SCORES = ["epochs", "train_loss", "val_accuracy", "val_loss", "test_accuracy", "test_loss"]
GROWTH = [
    "splits",
    "added_neurons",
    "predicted_drop",
    "measured_drop",
    "function_gap",
    "products",
    "residual_max",
    "stopped",
]


def runs(setting: Setting) -> Iterator[tuple[str, Step, RunRecord]]:
    """The done runs of a setting by label, step and seed."""
    for variant in setting.variants:
        for step, found in by_step(variant).items():
            yield from ((variant.label, step, record) for record in found.values())


def stage_rows(setting: Setting, contenders: list[Contender]) -> Iterator[Row]:
    """A row for each stage; ``compared`` where the run is one of the contenders'."""
    compared = {record.id for one in contenders for record in one.runs.values()}
    for label, step, record in runs(setting):
        head = {"method": label, "step": step, "seed": record.seed, "compared": record.id in compared}
        for stage, (flops, seconds) in zip(record.stages, spent(record), strict=True):
            yield {**head, **_row(stage), "flops_to_here": flops, "seconds_to_here": seconds, "id": record.id}


def _row(stage: StageRecord) -> Row:
    return {
        "rung": stage.stage,
        "target_cost": stage.target_cost,
        **{name: stage.costs[name] for name in in_order(stage.costs)},
        **{name: getattr(stage, name) for name in SCORES},
        **{f"{part}_seconds": getattr(stage.seconds, part) for part in ("train", "grow", "eval")},
        **{f"{part}_flops": getattr(stage.flops, part) for part in ("train", "grow")},
        **{name: getattr(stage.growth, name, None) for name in GROWTH},
        "widths": " ".join(f"{name}:{width}" for name, width in stage.widths.items()),
    }


def epoch_rows(setting: Setting) -> Iterator[Row]:
    """A row for each epoch, counted from 1 at each rung; none for records without them."""
    for label, step, record in runs(setting):
        head = {"method": label, "step": step, "seed": record.seed}
        for stage in record.stages:
            losses = zip(count(1), stage.history.train_loss, stage.history.val_loss, strict=False)
            for epoch, train, val in losses:
                yield {**head, "rung": stage.stage, "epoch": epoch, "train_loss": train, "val_loss": val}


def loss_curves(contender: Contender) -> Iterator[Row]:
    """Mean losses over seeds, by part and by epoch over all stages, as far as all seeds went and are finite."""
    found = list(contender.runs.values())
    for part, name in (("training", "train_loss"), ("validation", "val_loss")):
        epoch = 0
        for k in depth(contender):
            for losses in zip(*(getattr(run.stages[k].history, name) for run in found), strict=False):
                epoch += 1
                if None not in losses:
                    yield {"method": contender.label, "part": part, "epoch": epoch, "rung": k, "loss": fmean(losses)}
