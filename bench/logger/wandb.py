"""Weights & Biases, offline by default.

Plotted over ``epoch``, counted over all stages: ``train/loss``, ``val/loss`` and ``train/stage``. Plotted over
``stage``: ``stage/...`` (accuracies, losses), ``costs/...`` (parameters, multiply-adds ...), ``seconds/...``,
``flops/...``, ``growth/...`` (what the growth event did) and ``widths/...``. At the end the table ``stages`` and the
summary: ``status``, ``final/...``, ``total/...``.

A run that goes on from a checkpoint has the same id and tells its earlier stages again, so that each session's files
are whole; equal points fall on each other.
"""

from __future__ import annotations

from typing import Any

from bench.core.options import Options
from bench.core.record import RunRecord, RunState, StageRecord, plain
from bench.core.store import RunFolder
from bench.logger.base import Logger, Start, loggers
from bench.logger.numbers import STAGE, Clock, numbers, summary, table
from bench.logger.session import Config, begin

PER_STAGE = (STAGE, "costs", "seconds", "flops", "growth", "widths")


class Wandb(Logger):
    """A logger that begins a session when it is made."""

    def __init__(self, config: Config, options: Options, folder: RunFolder) -> None:
        names = {group: options[group]["name"] for group in ("data", "backbone", "method")}
        self.clock = Clock()
        self.session = begin(
            config,
            folder.path,
            id=folder.id,
            resume="allow",
            name=folder.path.name,
            group=config.group or f"{names['data']}-{names['backbone']}",
            job_type=names["method"],
            config=dict(options),
        )
        self.session.define_metric("epoch")
        for prefix in ("train", "val"):
            self.session.define_metric(f"{prefix}/*", step_metric="epoch")
        self.session.define_metric(STAGE)
        for prefix in PER_STAGE:
            self.session.define_metric(f"{prefix}/*", step_metric=STAGE)

    def on_stage_begin(self, stage: int, stages: int, epochs: int, done: int) -> None:
        """Training of a stage begins."""
        self.clock.begin(stage, done)

    def on_epoch_end(self, train_loss: float, val_loss: float) -> None:
        """An epoch has ended."""
        losses = {"train/loss": train_loss, "val/loss": val_loss}
        self.session.log({"epoch": self.clock.tick(), **losses, "train/stage": self.clock.stage})

    def on_stage_end(self, record: StageRecord) -> None:
        """A stage has been measured."""
        epoch = self.clock.finished(record)
        self.session.log({STAGE: record.stage, "epoch": epoch, **numbers(record)})

    def on_run_end(self, record: RunRecord) -> None:
        """The run has ended."""
        import wandb

        if record.stages:
            columns, rows = table(record.stages)
            data: list[Any] = [*rows]
            self.session.log({"stages": wandb.Table(columns=[*columns], data=data)})
        self.session.config.update({"environment": plain(record.environment)}, allow_val_change=True)
        self.session.summary.update(summary(record))
        self.session.finish(exit_code=int(record.status is RunState.FAILED))

    def close(self) -> None:
        """End the session; one that was not told of its run's end is marked as failed."""
        self.session.finish(exit_code=1)  # does nothing the second time


@loggers.register("wandb", Config)
def logger(config: Config, options: Options, folder: RunFolder) -> Start | None:
    """Begin a session when there is something to tell."""
    return None if config.mode == "disabled" else lambda: Wandb(config, options, folder)
