"""A clean start for each run, and memory that is kept."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from bench.run.environment import reset
if {keep}:
    reset(1, 0)
def use():
    for _ in range(50):
        several = [torch.zeros(4, 2**20) for _ in range(4)]
        del several
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_freed_memory_is_kept_for_the_next_step() -> None:
    """Four blocks of 16 MiB, freed and asked for again as in every step of a network: without, they are mapped anew."""
    faults = {
        keep: int(subprocess.run([sys.executable, "-c", FAULTS.format(keep=keep)], capture_output=True).stdout)
        for keep in (True, False)
    }
    assert faults[True] < 50
    assert faults[False] > 8 * faults[True]
