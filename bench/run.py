"""One run from its resolved options: skipped, resumed or begun, and shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import OmegaConf
from rich.console import Console

from bench.errors import BenchError
from bench.store import Run, write_atomic


def run(options: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out a run, or say that it is done already, and print its table.

    Args:
        options: The resolved configuration.

    Returns:
        The run's record.

    Raises:
        BenchError: An option cannot work, another process has the run, or it failed.
    """
    place = Run(options["runs_dir"], options)
    record = _ended(place, str(options["rerun"]))
    note = "done already"
    if record is None:
        record, note = _execute(place, options), "written"
    _show(record, f"{note}: {place.record_path}")
    return record


def _ended(place: Run, rerun: str) -> dict[str, Any] | None:
    """The record of a run that is not to be done again.

    Raises:
        BenchError: It failed, and ``rerun`` does not ask for another try.
    """
    record = place.record()
    if record is None or rerun == "all":
        return None
    if record["status"] == "failed":
        if rerun == "failed":
            return None
        raise BenchError(f"this run failed before: {record['reason']} (rerun=failed tries again; {place.folder})")
    return record


def _execute(place: Run, options: Mapping[str, Any]) -> dict[str, Any]:
    from bench.config import Settings  # torch, only when there is something to do
    from bench.progress import ProgressBar
    from bench.protocol import Experiment

    settings = Settings.of(options)
    with ProgressBar(settings.name("method")) as observer:
        experiment = Experiment(settings, place, observer)
        place.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place.lock_path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise BenchError(f"another process is at this run: {place.folder}") from None
        with lock:
            if place.record() is not None:
                place.forget()
            write_atomic(place.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(dict(options))))
            return experiment.execute()


def _show(record: Mapping[str, Any], note: str) -> None:
    from bench.progress import table

    console = Console()
    console.width = max(console.width, 100)  # a log has no width of its own
    if record["status"] == "refused":
        console.print(f"refused: {record['reason']}", markup=False)
    else:
        console.print(table(dict(record)))
    console.print(note, markup=False, highlight=False, soft_wrap=True)
