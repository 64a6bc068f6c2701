"""A method that follows another: that one's run with the same options is made first, unless it is there."""

from __future__ import annotations

from typing import Any

from bench.core.errors import BenchError, Busy, Refused, StorageError
from bench.core.files import locked
from bench.core.options import Options
from bench.core.output import note
from bench.core.provenance import changes
from bench.core.record import RunRecord, RunState
from bench.core.store import RunFolder
from bench.growth.method import GrowthMethod, methods
from bench.run.cell import run_folder
from bench.run.checkpoint import Mismatch


def followed(method: GrowthMethod) -> dict[str, Any] | None:
    """Options of the method that a method follows, with its defaults; None if it follows none."""
    given = getattr(method, "follows", None)
    return None if given is None else {**methods[given["name"]].defaults(), **given}


def follow(method: GrowthMethod, options: Options) -> None:
    """Set the ``widths`` of a method that follows another to what that one grew, stage by stage.

    Args:
        method: The method; one that follows none is left alone.
        options: The resolved options of its run.

    Raises:
        BenchError: The other's run failed.
        StorageError: It could not go on, nor did it fail; so too for `Mismatch`.
    """
    other = followed(method)
    if other is None:
        return
    record = _run({**options, "method": other})
    if record.status is RunState.REFUSED:
        raise Refused(f"{other['name']} declines: {record.reason}")
    setattr(method, "widths", tuple(stage.widths for stage in record.stages))  # noqa: B010


def _run(options: dict[str, Any]) -> RunRecord:
    from bench.run.command import run

    folder = run_folder(options)
    if folder.record() is None:
        note(f"first the run of {options['method']['name']}, which this one follows: {folder.path}")
    while True:
        try:
            return run({**options, "rerun": "none"} if _holds(folder) else options, quiet=True)
        except Busy:
            with locked(folder.lock_path):
                pass
        except BenchError as error:
            kind = next((one for one in (StorageError, Mismatch) if isinstance(error, one)), BenchError)
            raise kind(f"the run that this one follows: {error}") from error


def _holds(folder: RunFolder) -> bool:
    """Whether a run has ended, not failed, by the code that there is now: what follows it does not do it again."""
    standing = folder.standing()
    return (
        standing.record is not None
        and standing.state is not RunState.FAILED
        and not changes(standing.record.provenance)
    )
