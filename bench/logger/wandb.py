"""Weights & Biases, offline by default.

Plotted over ``epoch``, counted over all stages: ``train/loss`` and ``train/stage``. Plotted over ``stage``:
``stage/...`` (sizes, accuracies, losses), ``seconds/...``, ``flops/...``, ``growth/...`` (the receipt of the growth
event) and ``widths/...``. At the end the table ``stages`` and the summary: ``status``, ``final/...``, ``total/...``.

A run that goes on from a checkpoint has the same id and tells its earlier stages again, so that each session's files
are whole; equal points fall on each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.logger.base import Start, loggers
from bench.logger.numbers import STAGE, Clock, numbers, summary, table
from bench.logger.session import Config, begin
from bench.store import Run

PER_STAGE = (STAGE, "seconds", "flops", "growth", "widths")


class Wandb:
    """A logger (`bench.logger.base.Logger`) that begins a session when it is made."""

    def __init__(self, config: Config, options: Mapping[str, Any], run: Run) -> None:
        names = {group: options[group]["name"] for group in ("data", "backbone", "method")}
        self.clock = Clock()
        self.session = begin(
            config,
            run.folder,
            id=run.id,
            resume="allow",
            name=run.folder.name,
            group=config.group or f"{names['data']}-{names['backbone']}",
            job_type=names["method"],
            config=dict(options),
        )
        self.session.define_metric("epoch")
        self.session.define_metric("train/*", step_metric="epoch")
        self.session.define_metric(STAGE)
        for prefix in PER_STAGE:
            self.session.define_metric(f"{prefix}/*", step_metric=STAGE)

    def stage(self, stage: int, stages: int, epochs: int, done: int) -> None:
        """Training of a stage begins."""
        self.clock.begin(stage, done)

    def epoch(self, loss: float) -> None:
        """An epoch has ended."""
        self.session.log({"epoch": self.clock.tick(), "train/loss": loss, "train/stage": self.clock.stage})

    def finished(self, record: dict[str, Any]) -> None:
        """A stage has been measured."""
        epoch = self.clock.finished(record)
        self.session.log({STAGE: record[STAGE], "epoch": epoch, **numbers(record)})

    def end(self, record: dict[str, Any]) -> None:
        """The run has ended."""
        import wandb

        if record["stages"]:
            columns, rows = table(record["stages"])
            data: list[Any] = [*rows]
            self.session.log({"stages": wandb.Table(columns=[*columns], data=data)})
        self.session.config.update({"environment": record["environment"]}, allow_val_change=True)
        self.session.summary.update(summary(record))
        self.session.finish(exit_code=int(record["status"] == "failed"))

    def close(self) -> None:
        """End the session; one that was not told of its run's end is marked as failed."""
        self.session.finish(exit_code=1)  # does nothing the second time


@loggers.register("wandb", Config)
def logger(config: Config, options: Mapping[str, Any], run: Run) -> Start | None:
    """Begin a session when there is something to tell."""
    return None if config.mode == "disabled" else lambda: Wandb(config, options, run)
