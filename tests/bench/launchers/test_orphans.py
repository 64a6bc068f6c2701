"""Workers of a sweep end when the process that started them is killed without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.launchers.plugins import installed
from tests.chaos import ROOT

LONG = ["train.epochs=100000", "train.seed_epochs=100000", "growth.sample=16", "hydra.launcher.n_jobs=2"]


def children(parent: int) -> list[int]:
    """Processes that a process started."""
    listed = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def lives(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not installed("joblib"), reason="hydra_joblib_launcher is not installed")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bench", "-m", "hydra/launcher=joblib", "seed=0,1", *LONG, f"runs_dir={tmp_path}"]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL) as sweep:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob("*/config.yaml"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)  # until both are at work
        workers = children(sweep.pid)
        sweep.send_signal(signal.SIGKILL)
    assert len(workers) >= 2
    deadline = time.monotonic() + 30
    while any(map(lives, workers)) and time.monotonic() < deadline:
        time.sleep(0.2)
    left = [worker for worker in workers if lives(worker)]
    for worker in left:
        os.kill(worker, signal.SIGKILL)
    assert not left
