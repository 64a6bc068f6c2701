"""What a run shows while it runs: a bar on a terminal, a line a stage in a log, and the time left in both."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bench.core.callbacks import Callback
from bench.core.output import note
from bench.core.record import StageRecord
from bench.run.forecast import in_words, stages_left

WIDE = 100
"""Cells of a terminal that has room for the losses."""


class TimeLeft(Callback):
    """The time left of a whole run, by its stages and epochs so far.

    Args:
        epochs: Of a stage after the seed network, if the method says nothing else.
        clock: Seconds.
    """

    def __init__(self, epochs: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.usual, self.clock = epochs, clock
        self.stage, self.stages, self.epochs, self.done = 0, 1, 0, 0
        self.behind: list[float] = []
        self.per_epoch: float | None = None
        self.began = self.before = 0.0

    def on_stage_begin(self, stage: int, stages: int, epochs: int, done: int) -> None:
        """Training of a stage begins."""
        self.stage, self.stages, self.epochs, self.done = stage, stages, epochs, done
        self.began, self.before = self.clock(), done

    def on_epoch_end(self, train_loss: float, val_loss: float) -> None:
        """An epoch has ended."""
        self.done += 1
        self.per_epoch = (self.clock() - self.began) / (self.done - self.before)

    def on_stage_end(self, record: StageRecord) -> None:
        """A stage has been measured."""
        self.stage, self.done = record.stage, self.epochs
        if record.stage:
            spent = record.seconds
            self.behind.append(spent.train + spent.grow + spent.eval)

    @property
    def seconds(self) -> float | None:
        """Seconds left; None where nothing tells yet."""
        if self.per_epoch is None:
            return None
        left, behind, more = self.per_epoch * (self.epochs - self.done), self.behind, self.stages - 1 - self.stage
        if self.stage > len(behind):
            behind = [*behind, self.per_epoch * self.epochs]
        return left + (stages_left(behind, more) if behind else self.per_epoch * self.usual * more)

    def __str__(self) -> str:
        return "" if self.seconds is None else in_words(self.seconds)


class ProgressBar(Callback):
    """Draws on a terminal."""

    def __init__(self, title: str, left: TimeLeft, console: Console) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(20),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        self.title, self.left, self.console = title, left, console
        self.progress = Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty())
        self.task: TaskID = self.progress.add_task(f"{title}: data and network", total=None, note="")

    def __enter__(self) -> ProgressBar:
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def on_stage_begin(self, stage: int, stages: int, epochs: int, done: int) -> None:
        """Training of a stage begins."""
        name = "seed network" if stage == 0 else f"stage {stage}/{stages - 1}"
        self.progress.reset(self.task, total=epochs, completed=done, description=f"{self.title} {name}", note="")

    def on_epoch_end(self, train_loss: float, val_loss: float) -> None:
        """An epoch has ended."""
        losses = f"loss {train_loss:.4g}, validation {val_loss:.4g}; " if self.console.width >= WIDE else ""
        self.progress.update(self.task, advance=1, note=f"{losses}{self.left}")

    def on_stage_end(self, record: StageRecord) -> None:
        """A stage has been measured; before the next is trained, the network grows."""
        self.progress.reset(self.task, total=None, description=f"{self.title} growing", note=str(self.left))


class StageLines(Callback):
    """Writes a line a stage, for a log."""

    def __init__(self, title: str, left: TimeLeft) -> None:
        self.title, self.left = title, left
        self.stage, self.last = -1, 0

    def on_stage_begin(self, stage: int, stages: int, epochs: int, done: int) -> None:
        """Training of a stage begins."""
        self.stage, self.last = stage, stages - 1
        if stage == 0 and epochs:
            note(f"{self.title}: training the seed network, {epochs} epochs")

    def on_stage_end(self, record: StageRecord) -> None:
        """A stage has been measured."""
        score = f"{100 * record.test:.2f} %" if record.classified else f"loss {record.test:.4g}"
        line = f"{self.title} stage {record.stage}: {record.params:,} parameters, test {score}"
        if record.stage != self.stage:
            note(f"{line}; done before")
        else:
            note(f"{line}; {self.left}" if record.stage < self.last and str(self.left) else line)


def shown(title: str, epochs: int, quiet: bool) -> tuple[list[Callback], AbstractContextManager[object]]:
    """Who hears a run and shows it, in order; and what must be open meanwhile."""
    if quiet:
        return [], nullcontext()
    left, console = TimeLeft(epochs), Console(stderr=True)
    if console.is_terminal:
        bar = ProgressBar(title, left, console)
        return [left, bar], bar
    return [left, StageLines(title, left)], nullcontext()
