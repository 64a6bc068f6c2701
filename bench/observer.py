"""Who is told how a run goes on: the progress bar, and loggers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Observer(Protocol):
    """Is told how a run goes on. It must not change anything, and must not stop the run."""

    def stage(self, stage: int, stages: int, epochs: int, done: int) -> None:
        """Training of a stage begins, with ``done`` of its ``epochs`` behind it."""

    def epoch(self, loss: float) -> None:
        """An epoch has ended, with this mean training loss."""

    def finished(self, record: dict[str, Any]) -> None:
        """A stage has been measured; told again for earlier stages when a run goes on from a checkpoint."""

    def end(self, record: dict[str, Any]) -> None:
        """The run has ended, with the content of ``run.json``; its status may be done, failed or refused."""


class Observers:
    """Tells several observers, in order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self.observers = observers

    def stage(self, stage: int, stages: int, epochs: int, done: int) -> None:
        """Training of a stage begins."""
        for observer in self.observers:
            observer.stage(stage, stages, epochs, done)

    def epoch(self, loss: float) -> None:
        """An epoch has ended."""
        for observer in self.observers:
            observer.epoch(loss)

    def finished(self, record: dict[str, Any]) -> None:
        """A stage has been measured."""
        for observer in self.observers:
            observer.finished(record)

    def end(self, record: dict[str, Any]) -> None:
        """The run has ended."""
        for observer in self.observers:
            observer.end(record)
