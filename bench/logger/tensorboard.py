"""TensorBoard's event files, in ``tensorboard`` in the run's folder: ``tensorboard --logdir results/runs``.

Everything is plotted over the epochs counted over all stages: ``train/loss`` and ``train/stage`` for each, and what was
measured at the end of each stage under the same names as with ``logger=wandb``. A run that goes on from a checkpoint
hides the epochs that it does again, and does not write its earlier stages twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.options import Options
from bench.core.record import RunRecord, StageRecord
from bench.core.store import RunFolder
from bench.logger.base import Logger, Start, loggers
from bench.logger.guard import NotHere
from bench.logger.numbers import Clock, numbers, summary


@dataclass(frozen=True)
class Config:
    """Where curves go.

    Attributes:
        dir: Folder that gets a folder of the run's name; None for ``tensorboard`` in the run's own folder.
    """

    dir: str | None = None


class TensorBoard(Logger):
    """A logger that opens its file when it knows from which epoch on it writes."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder, self.options, self.clock = folder, options, Clock()
        self.kind = _writer()
        self.writer: Any = None
        self.waiting: list[StageRecord] = []

    def on_stage_begin(self, stage: int, stages: int, epochs: int, done: int) -> None:
        """Training of a stage begins."""
        self.clock.begin(stage, done)
        self._open()

    def on_epoch_end(self, train_loss: float, val_loss: float) -> None:
        """An epoch has ended."""
        number = self.clock.tick()
        self.writer.add_scalar("train/loss", train_loss, number)
        self.writer.add_scalar("val/loss", val_loss, number)
        self.writer.add_scalar("train/stage", self.clock.stage, number)

    def on_stage_end(self, record: StageRecord) -> None:
        """A stage has been measured."""
        self.clock.finished(record)
        if self.writer is None:
            self.waiting.append(record)
        else:
            self._write(record)

    def on_run_end(self, record: RunRecord) -> None:
        """The run has ended."""
        self._open()
        self.writer.add_text("summary", _code(summary(record)))
        self.close()

    def close(self) -> None:
        """Write what is left."""
        if self.writer is not None:
            self.writer.close()

    def _open(self) -> None:
        """Open the file; earlier stages are written unless an earlier attempt at the run did."""
        if self.writer is not None:
            return
        resumed = any(self.folder.glob("events.out.tfevents.*"))
        self.writer = self.kind(str(self.folder), purge_step=self.clock.now + 1 if resumed else None, flush_secs=10)
        if not resumed:
            self.writer.add_text("config", _code(self.options))
            for record in self.waiting:
                self._write(record)
        self.waiting.clear()

    def _write(self, record: StageRecord) -> None:
        epoch = self.clock.finished(record)
        for name, value in numbers(record).items():
            self.writer.add_scalar(name, value, epoch)
        self.writer.flush()


def _code(content: Mapping[str, object]) -> str:
    """Data as a block of code in Markdown."""
    return "".join(f"    {line}\n" for line in json.dumps(dict(content), indent=1, default=str).splitlines())


def _writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        if error.name != "tensorboard":
            raise
        raise NotHere("tensorboard is not installed (pip install 'growth-bench[tensorboard]')") from None
    return SummaryWriter


@loggers.register("tensorboard", Config)
def logger(config: Config, options: Options, folder: RunFolder) -> Start | None:
    """Open the event file when there is something to tell."""
    place = Path(config.dir) / folder.path.name if config.dir else folder.path / "tensorboard"
    return lambda: TensorBoard(place, options)
