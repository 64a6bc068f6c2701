"""What a run shows: a progress bar on a terminal, silence in a log, and a table at the end."""

from __future__ import annotations

import sys
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from bench.store import seconds_of


class ProgressBar:
    """An observer (`bench.observer.Observer`) that draws on a terminal's standard error and nowhere else."""

    def __init__(self, title: str) -> None:
        console = Console(file=sys.stderr)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} epochs {task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self.title = title
        self.progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.task: TaskID = self.progress.add_task(title, total=None, note="", visible=False)

    def __enter__(self) -> ProgressBar:
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def stage(self, stage: int, stages: int, epochs: int, done: int) -> None:
        """Training of a stage begins."""
        name = "seed network" if stage == 0 else f"stage {stage}/{stages - 1}"
        description = f"{self.title} {name}"
        self.progress.reset(self.task, total=epochs, completed=done, description=description, visible=True)

    def epoch(self, loss: float) -> None:
        """An epoch has ended."""
        self.progress.update(self.task, advance=1, note=f"loss {loss:.4g}")

    def finished(self, record: dict[str, Any]) -> None:
        """A stage has been measured."""

    def end(self, record: dict[str, Any]) -> None:
        """The run has ended."""


def table(record: dict[str, Any]) -> Table:
    """One row per stage: size, accuracy, loss drop predicted and measured, seconds of training and of growing."""
    classified = any(stage["test_accuracy"] is not None for stage in record["stages"])
    drawn = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=f"{record['method']} on {record['data']}, {record['backbone']}, seed {record['seed']}",
    )
    columns = ["stage", "params", "mult-adds", *(["val %", "test %"] if classified else ["val loss", "test loss"])]
    for column in [*columns, "loss drop\npredicted", "loss drop\nmeasured", "train s", "grow s"]:
        drawn.add_column(column, justify="right")
    for stage in record["stages"]:
        if classified:
            quality = [f"{100 * stage['val_accuracy']:.2f}", f"{100 * stage['test_accuracy']:.2f}"]
        else:
            quality = [f"{stage['val_loss']:.4g}", f"{stage['test_loss']:.4g}"]
        growth, seconds = stage["growth"] or {}, stage["seconds"]
        drops = [_number(growth.get("predicted_drop")), _number(growth.get("measured_drop"))]
        note = f" {growth['stopped']}" if growth.get("stopped") else ""
        times = [f"{seconds['train']:.2f}", f"{seconds['grow']:.2f}"]
        sizes = [f"{stage['stage']}{note}", f"{stage['params']:,}", f"{stage['macs']:,}"]
        drawn.add_row(*sizes, *quality, *drops, *times)
    return drawn


def summary(record: dict[str, Any]) -> str:
    """A finished run in one line, for sweeps."""
    name = f"{record['data']} {record['backbone']} {record['method']} seed {record['seed']}"
    if record["status"] != "done":
        return f"{record['status']}: {name}: {record['reason']}"
    first, last = record["stages"][0], record["stages"][-1]
    quality = [
        f"loss {stage['test_loss']:.4g}" if stage["test_accuracy"] is None else f"{100 * stage['test_accuracy']:.2f} %"
        for stage in (first, last)
    ]
    size = f"{first['params']:,} to {last['params']:,} parameters"
    return f"done: {name}: {size}, test {quality[0]} to {quality[1]}, {seconds_of(record):.1f} s"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2e}"
