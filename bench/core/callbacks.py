"""Who hears how a run goes on: the progress bar, and loggers."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.record import RunRecord, StageRecord


class Callback:
    """Hears how a run goes on; by itself it does nothing. It must not change anything, and must not stop the run."""

    def on_stage_begin(self, stage: int, stages: int, epochs: int, done: int) -> None:
        """Training of a stage begins, with ``done`` of its ``epochs`` behind it."""

    def on_epoch_end(self, train_loss: float, val_loss: float) -> None:
        """An epoch has ended, with this mean training loss and this loss on the validation part after it."""

    def on_stage_end(self, record: StageRecord) -> None:
        """A stage has been measured; heard again for earlier stages when a run goes on from a checkpoint."""

    def on_run_end(self, record: RunRecord) -> None:
        """The run has ended; its status may be done, failed or refused."""


class Callbacks(Callback):
    """Several callbacks, in order."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = callbacks

    def on_stage_begin(self, stage: int, stages: int, epochs: int, done: int) -> None:
        """Training of a stage begins."""
        for callback in self.callbacks:
            callback.on_stage_begin(stage, stages, epochs, done)

    def on_epoch_end(self, train_loss: float, val_loss: float) -> None:
        """An epoch has ended."""
        for callback in self.callbacks:
            callback.on_epoch_end(train_loss, val_loss)

    def on_stage_end(self, record: StageRecord) -> None:
        """A stage has been measured."""
        for callback in self.callbacks:
            callback.on_stage_end(record)

    def on_run_end(self, record: RunRecord) -> None:
        """The run has ended."""
        for callback in self.callbacks:
            callback.on_run_end(record)
