"""A stored run done again by its command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from bench.cli import one_line
from bench.core.errors import BenchError
from bench.core.options import as_typed
from bench.core.record import RunRecord
from bench.grid import cells, require_right
from bench.reproduce.stored import Row, Stored
from bench.run.cell import Cell

BEGIN = ["python", "-m", "bench"]
"""How commands begin."""


def cell_of(stored: Stored, runs_dir: Path, root: str) -> Cell:
    """The cell that a command describes, on this machine.

    Args:
        stored: The run.
        runs_dir: Where it goes.
        root: Where data sets lie.

    Raises:
        BenchError: The command is not one of ours, or its options cannot work.
    """
    place = f"{stored.place}: command={stored.command}"
    try:
        words = shlex.split(stored.command)
    except ValueError:  # a quote that is not closed
        words = []
    if words[:3] != BEGIN:
        raise BenchError(f"{place}: expected {' '.join(BEGIN)} ...")
    arguments = [*words[3:], f"runs_dir={as_typed(str(runs_dir))}", *_settled(stored)]
    try:
        (found, *others) = cells(arguments)
        is_fetched = "root" in found.options["data"]
        found = cells([*arguments, f"data.root={as_typed(root)}"])[0] if is_fetched else found
        require_right([found])
    except BenchError as error:
        raise BenchError(f"{place}: {error}") from None
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise BenchError(f"{place}: {one_line(error, arguments, 'config')}") from None
    if others:
        raise BenchError(f"{place}: expected one run")
    return found


def require_data(found: Sequence[Cell]) -> None:
    """Read the data of some cells, each set once, and let go of them.

    Raises:
        BenchError: Some are missing.
    """
    from bench.data import load

    sets = {json.dumps(cell.options["data"], sort_keys=True): cell for cell in found}
    for cell in sets.values():
        load(cell.options["data"], cell.seed)


def _settled(stored: Stored) -> list[str]:
    """Threads as recorded, and no GPU where none was used."""
    threads = {row["threads"] for row in stored.machines}
    on_cpu = bool(stored.machines) and all(row["device"].startswith("cpu") for row in stored.machines)
    return [f"threads={one}" for one in threads if len(threads) == 1] + ["device=cpu"] * on_cpu


def done_again(cell: Cell) -> RunRecord:
    """Carry it out in this process.

    Raises:
        BenchError: It fails.
    """
    from bench.run.command import run

    return run(cell.options, quiet=True)


def differing(machines: Sequence[Row], record: RunRecord) -> list[str]:
    """What of this machine is not as recorded; that nothing is recorded, where nothing is."""
    if not machines:
        return ["the folder has no environment.csv"]
    found = []
    for name in ("device", "torch", "python", "threads"):
        recorded, now = sorted({row[name] for row in machines}), str(getattr(record.environment, name))
        if recorded != [now]:
            found.append(f"{name} {' or '.join(recorded)}, here {now}")
    return found
