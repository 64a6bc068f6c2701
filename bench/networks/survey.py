"""All networks, each in a process of its own, and what is kept of them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.core.survey import read
from bench.core.survey import survey as survey_of
from bench.networks.measure import Network
from bench.networks.tables import write


def survey(names: Sequence[str], out: Path, seconds: float, rerun: str, note: Callable[[str], None]) -> list[Network]:
    """Measure the networks that are not in ``out`` yet, and write its files anew after each.

    Args:
        names: Backbones.
        out: Folder for ``networks.json``, which keeps what is found, and the tables made of it.
        seconds: Time limit of each.
        rerun: Which to measure again: none, failed or all.
        note: Told each network's name before it is measured, and an empty name at the end.

    Returns:
        What is found of all networks in ``out``.

    Raises:
        StorageError: The folder cannot be written, or ``networks.json`` cannot be read.
    """
    path = out / "networks.json"
    return survey_of(
        {name: name for name in names},
        {one.name: one for one in read(path, Network)},
        path,
        rerun,
        lambda name: isolated(name, seconds),
        lambda found: write(out, found),
        note,
    )


def isolated(name: str, seconds: float) -> Network:
    """Measure a network in a process of its own, for so long at most."""
    command = [sys.executable, "-m", "bench.networks.measure", name, "worker"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return Network(name, failed=f"not done in {seconds:g} s")
    if done.returncode < 0:
        return Network(name, failed=f"its process was ended by {signal.Signals(-done.returncode).name}")
    if done.returncode > 0:
        return Network(name, failed=(done.stderr.strip().splitlines() or ["its process failed"])[-1])
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Network)
