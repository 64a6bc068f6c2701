"""One run from its resolved options: skipped, resumed or begun, and shown."""

from __future__ import annotations

from contextlib import ExitStack, chdir
from pathlib import Path

from filelock import Timeout

from bench.core.errors import BenchError, Busy
from bench.core.files import PROBING, locked
from bench.core.loading import load_torch
from bench.core.options import Options, check_form
from bench.core.provenance import WEIGHTS, changes, digest_of_file, outdated, stamp
from bench.core.record import RunRecord, RunState
from bench.core.store import RunFolder
from bench.core.table import screen
from bench.run.cell import run_folder


def run(options: Options, quiet: bool = False) -> RunRecord:
    """Carry out a run, or say that it is done already, and show it; the working directory is as before then.

    Args:
        options: The resolved configuration.
        quiet: Show nothing; a sweep shows its runs (`bench.watch`).

    Returns:
        The run's record.

    Raises:
        BenchError: An option cannot work, or the run failed.
        Busy: Another process is at the run.
    """
    check_form(options)
    folder = run_folder(options)
    there = folder.absolute()
    with chdir("."):  # from where a plugin may go elsewhere
        record = _ended(folder, options)
        note = "done already"
        if record is None:
            record, note = _execute(there, options, quiet)
    if not quiet:
        _show(record, f"{note}: {folder.record_path}")
    return record


def _ended(folder: RunFolder, options: Options) -> RunRecord | None:
    """The record of a run that is not to be done again.

    Raises:
        BenchError: What made it has changed since, or it failed, and ``rerun`` does not ask for another try.
    """
    rerun = str(options["rerun"])
    standing = folder.standing()
    if standing.is_due(rerun) or standing.record is None:
        return None
    changed = (
        changes(standing.record.provenance)
        or _other_weights(standing.record, options)
        or _other_data(standing.record, options)
    )
    if changed:
        raise BenchError(outdated(changed, str(folder.path)))
    if standing.state is RunState.FAILED:
        raise BenchError(f"this run failed before: {standing.reason} (rerun=failed tries again; {folder.path})")
    return standing.record


def _other_weights(record: RunRecord, options: Options) -> list[str]:
    """Says that the file that the seed network started from holds others now; one that is gone says nothing."""
    path = options["backbone"].get("weights")
    if path is None or not Path(str(path)).expanduser().is_file():
        return []
    assert record.provenance is not None, "looked at before"
    return [] if digest_of_file(str(path)) == record.provenance.weights else [WEIGHTS]


def _other_data(record: RunRecord, options: Options) -> list[str]:
    """Says that the data are not those that a run was made with.

    Files of the same size and time are taken to be the same; where they are not, and where a data set is no plugin of
    this suite, whose source tells all, the data are read.
    """
    made = record.provenance
    assert made is not None, "looked at before"
    source = made.sources.get("data")
    if made.files:
        root = Path(str(options["data"].get("root", ""))).expanduser()
        now = [stamp(root / name) for name in made.files]
        if now == list(made.files.values()) or not any(now):  # with no file there is nothing to be told apart
            return []
    elif source is None or source.module.partition(".")[0] == "bench":
        return []
    load_torch()
    from bench.core.streams import seeded
    from bench.data import load

    seed = int(options["seed"])
    with seeded(seed):  # as for a run (`bench.run.environment.reset`)
        digest = load(options["data"], seed).digest()
    return [] if digest == made.data else ["the data"]


def _execute(folder: RunFolder, options: Options, quiet: bool) -> tuple[RunRecord, str]:
    load_torch()  # only when there is something to do
    from bench.core.callbacks import Callbacks
    from bench.logger import make
    from bench.run.config import Settings
    from bench.run.live import shown
    from bench.run.protocol import Run

    settings = Settings.of(options)
    with ExitStack() as stack:
        listeners, display = shown(settings.name("method"), settings.train.epochs, quiet)
        stack.enter_context(display)
        loggers = [stack.enter_context(logger) for logger in make(options, folder)]
        made = Run(settings, folder, Callbacks([*listeners, *loggers]))
        folder.path.mkdir(parents=True, exist_ok=True)
        try:
            stack.enter_context(locked(folder.lock_path, wait=PROBING))
        except Timeout:
            raise Busy(f"another process is at this run: {folder.path}") from None
        folder.tidy()
        standing = folder.standing()
        if standing.record is not None:
            if not standing.is_due(settings.run.rerun):
                return standing.record, "done already"  # by another process, meanwhile
            folder.forget()
        return made.execute(), "written"


def _show(record: RunRecord, note: str) -> None:
    from bench.run.terminal import table

    console = screen()
    if record.status is RunState.REFUSED:
        console.print(f"refused: {record.reason}", markup=False)
    else:
        console.print(table(record))
    console.print(note, markup=False, highlight=False, soft_wrap=True)
