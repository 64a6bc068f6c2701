"""One run from its resolved options: skipped, resumed or begun, and shown."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console

from bench.errors import BenchError, Busy
from bench.options import check_form
from bench.store import Run, is_due


def run(options: Mapping[str, Any], brief: bool = False) -> dict[str, Any]:
    """Carry out a run, or say that it is done already, and show it.

    Args:
        options: The resolved configuration.
        brief: Show one line instead of the table.

    Returns:
        The run's record.

    Raises:
        BenchError: An option cannot work, or the run failed.
        Busy: Another process is at the run.
    """
    check_form(options)
    place = Run(options["runs_dir"], options)
    record = _ended(place, str(options["rerun"]))
    note = "done already"
    if record is None:
        record, note = _execute(place, options)
    _show(record, f"{note}: {place.record_path}", brief)
    return record


def _ended(place: Run, rerun: str) -> dict[str, Any] | None:
    """The record of a run that is not to be done again.

    Raises:
        BenchError: It failed, and ``rerun`` does not ask for another try.
    """
    record = place.record()
    if record is None or is_due(record, rerun):
        return None
    if record["status"] == "failed":
        raise BenchError(f"this run failed before: {record['reason']} (rerun=failed tries again; {place.folder})")
    return record


def _execute(place: Run, options: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    from bench.config import Settings  # torch, only when there is something to do
    from bench.logger import make
    from bench.observer import Observer, Observers
    from bench.progress import ProgressBar
    from bench.protocol import Experiment

    settings = Settings.of(options)
    with ExitStack() as stack:
        bar: Observer = stack.enter_context(ProgressBar(settings.name("method")))
        loggers = [stack.enter_context(logger) for logger in make(options, place)]
        experiment = Experiment(settings, place, Observers([bar, *loggers]))
        place.folder.mkdir(parents=True, exist_ok=True)
        try:
            stack.enter_context(FileLock(place.lock_path, timeout=0).acquire())
        except Timeout:
            raise Busy(f"another process is at this run: {place.folder}") from None
        place.tidy()
        record = place.record()
        if record is not None:
            if not is_due(record, settings.run.rerun):
                return record, "done already"  # by another process, meanwhile
            place.forget()
        return experiment.execute(), "written"


def _show(record: Mapping[str, Any], note: str, brief: bool) -> None:
    from bench.progress import summary, table

    console = Console()
    console.width = max(console.width, 100)  # a log has no width of its own
    if brief:
        console.print(summary(dict(record)), markup=False, highlight=False, soft_wrap=True)
        return
    if record["status"] == "refused":
        console.print(f"refused: {record['reason']}", markup=False)
    else:
        console.print(table(dict(record)))
    console.print(note, markup=False, highlight=False, soft_wrap=True)
