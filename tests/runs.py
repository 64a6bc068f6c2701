"""Short runs in process, on the embedded digits with few epochs, and callbacks that count or kill them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from hydra import compose
from omegaconf import OmegaConf

from bench.core.callbacks import Callback
from bench.core.record import RunRecord
from bench.core.record import numbers as measured
from bench.plugins import composition
from bench.run.cell import run_folder
from bench.run.config import Settings
from bench.run.protocol import Run

SHORT = ["train.epochs=2", "train.seed_epochs=2", "growth.stages=2", "growth.sample=128"]


class Counting(Callback):
    """Counts epochs, and keeps what it hears of them."""

    def __init__(self) -> None:
        self.epochs = 0
        self.losses: list[tuple[float, float]] = []

    def on_epoch_end(self, train_loss: float, val_loss: float) -> None:
        self.epochs += 1
        self.losses.append((train_loss, val_loss))


class Killed(BaseException):
    """Stands for a kill at any instant."""


class Fatal(Counting):
    """Kills the run at a given epoch."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def on_epoch_end(self, train_loss: float, val_loss: float) -> None:
        super().on_epoch_end(train_loss, val_loss)
        if self.epochs == self.at:
            raise Killed


def options(folder: Path, *overrides: str) -> dict[str, Any]:
    """The resolved options of a command line."""
    with composition():
        config = compose("config", [f"runs_dir={folder}", *SHORT, *overrides])
    found = OmegaConf.to_container(config, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def of_options(chosen: dict[str, Any], callback: Callback | None = None) -> Run:
    """The run that has these options."""
    return Run(Settings.of(chosen), run_folder(chosen), callback or Counting())


def prepared(folder: Path, *overrides: str, callback: Callback | None = None) -> Run:
    """The run of a command line, in this runs folder."""
    return of_options(options(folder, *overrides), callback)


def numbers(record: RunRecord) -> dict[str, Any]:
    """A record without what may differ between two equal runs: times, and where they lie."""
    plain: dict[str, Any] = msgspec.to_builtins(record)
    del plain["config"]
    return {**plain, "stages": measured(record)}
