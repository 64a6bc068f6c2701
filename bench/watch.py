"""What a sweep shows while others work at it: each run as it ends, and how much is left.

It looks at the runs' folders, so it is the same for runs in this process, in workers and on other machines.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.core.output import note
from bench.core.record import RunState
from bench.run.cell import Cell
from bench.run.forecast import in_words, work
from bench.run.terminal import summary

LOOK = 0.5
"""Seconds between two looks, and a thousandth of a second more for each run that is looked for."""

PAUSE = 30.0
"""Seconds between two lines in a log at least; and a twentieth of the time so far, so that a log stays short."""

NAMED = ("data", "backbone", "method", "seed")
"""Options that a line about a run has in any case."""


class Watch:
    """While it is open, a thread looks for runs that end.

    Args:
        found: The sweep's cells.
        left: Those that are to be done.
    """

    def __init__(self, found: Sequence[Cell], left: Sequence[Cell]) -> None:
        self.found, self.open = found, {cell.id: cell for cell in left}
        self.swept = swept(found)
        self.ended = {cell.id: cell.state for cell in found if cell.id not in self.open}
        kept = [cell for cell in found if cell.id in self.ended or cell.record is None]  # others are done anew
        self.spent, self.begun = {cell.id: cell.folder.seconds() for cell in kept}, set[str]()
        self.before = {cell.id: (_stamp(cell.folder.record_path), _stamp(cell.folder.config_path)) for cell in left}
        self.began = self.spoken = time.monotonic()
        self.already, self.said = work(found, self.spent, self.ended).done, (0, 0)
        self.error: Exception | None = None
        self.stopped, self.thread = Event(), Thread(target=self._watch, daemon=True)
        console = Console(stderr=True)
        columns = BarColumn(20), MofNCompleteColumn(), TextColumn("runs {task.fields[note]}"), TimeElapsedColumn()
        quiet, both = not console.is_terminal, sys.stdout.isatty()
        self.bar = Progress(*columns, console=console, transient=True, disable=quiet, redirect_stdout=both)
        self.task = self.bar.add_task("", total=len(found), completed=len(self.ended), note="")

    def __enter__(self) -> Watch:
        self.bar.start()
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stopped.set()
        self.thread.join()
        try:
            self._look()
        finally:
            self.bar.stop()
        if self.error is not None:
            raise self.error

    def _watch(self) -> None:
        try:
            while not self.stopped.wait(LOOK + 0.001 * len(self.open)):
                self._look()
                self._say()
        except Exception as error:  # standard output is closed, say: for the thread that opened this to raise
            self.error = error

    def _look(self) -> None:
        """Show runs that have ended since the last look, and read how far others are."""
        for name, cell in list(self.open.items()):
            record_before, config_before = self.before[name]
            if _stamp(cell.folder.record_path) not in (None, record_before):
                standing = cell.folder.standing()
                if standing.record is None:
                    continue
                self.ended[name], self.spent[name] = standing.state, cell.folder.seconds()
                del self.open[name]
                if standing.state is not RunState.FAILED:  # of those the sweep tells at its end
                    print(summary(standing.record, self.swept[name]), flush=True)
            elif _stamp(cell.folder.config_path) not in (None, config_before):
                if not self.begun:  # workers take seconds to start
                    self.began = time.monotonic()
                self.begun.add(name)
                self.spent[name] = cell.folder.seconds()

    def _say(self) -> None:
        """Say how much is left: in the bar, or now and then in a line, if there is something new."""
        elapsed, now = time.monotonic() - self.began, work(self.found, self.spent, self.ended)
        rate = (now.done - self.already) / max(elapsed, LOOK)
        left = in_words(now.left / rate) if now.left is not None and rate > 0 else ""
        self.bar.update(self.task, completed=len(self.ended), note=left)
        state = len(self.ended), sum(map(len, self.spent.values()))
        since = time.monotonic() - self.spoken
        if self.bar.disable and state != self.said and since > max(PAUSE, elapsed / 20):
            running = len(self.begun & self.open.keys())
            note(f"{len(self.ended)} of {len(self.found)} runs, {running} running{left and ', ' + left}")
            self.spoken, self.said = time.monotonic(), state


def swept(found: Sequence[Cell]) -> dict[str, list[str]]:
    """What was typed for each cell and not for all, by its id; but what every line names (`NAMED`)."""
    shared = set.intersection(*({*cell.overrides} for cell in found))
    return {
        cell.id: [one for one in cell.overrides if one not in shared and one.partition("=")[0] not in NAMED]
        for cell in found
    }


def _stamp(path: Path) -> int | None:
    """When a file was written; None where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
