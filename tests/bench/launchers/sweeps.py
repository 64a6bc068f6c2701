"""Small sweeps as they are typed, and what they leave."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chaos import ROOT, measured

RECIPE = ("train.epochs=1", "train.seed_epochs=1", "growth.stages=1", "growth.sample=64")
LONG = ("train.epochs=250", "train.seed_epochs=1", "growth.stages=1", "growth.sample=64", "checkpoint_seconds=0")
"""Some seconds of training, so that there is time to disturb it."""


Ended = subprocess.CompletedProcess[str]


def begin(folder: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Type a sweep, in an environment that says nothing of threads."""
    plain = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "bench", "-m", *arguments, f"runs_dir={folder}"]
    environment, out = {**plain, **(variables or {}), "PYTHONPATH": path}, subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=out, stderr=out, text=True, cwd=folder.parent)


def end(process: subprocess.Popen[str], seconds: float = 300) -> Ended:
    """Wait for its end; nothing is left of it if it takes too long."""
    with process:
        try:
            out, error = process.communicate(timeout=seconds)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


def sweep(folder: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> Ended:
    """Type a sweep and wait for its end."""
    return end(begin(folder, *arguments, variables=variables))


def complaints(ended: Ended) -> list[str]:
    """What standard error says but for how far the sweep is, which depends on how long it takes."""
    return [line for line in ended.stderr.splitlines() if not re.match(r"\d+ of \d+ runs, \d+ running", line)]


def records(folder: Path) -> dict[str, Any]:
    """Records by run."""
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("*/run.json")}


def numbers(folder: Path) -> dict[str, Any]:
    """What was measured, by run."""
    return {name: measured(record) for name, record in records(folder).items()}
