"""A clean start for each run, and memory that is kept."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
import torch

from bench.run.environment import describe, processor

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


def test_a_machine_is_named_by_its_processor_and_its_instructions() -> None:
    found = describe(torch.device("cpu")).device
    assert found == f"cpu ({processor()})"
    assert found.endswith(f", {torch.backends.cpu.get_cpu_capability()})")
    if sys.platform == "linux" and platform.machine() == "x86_64":
        assert ", family " in found


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_freed_memory_is_kept_for_the_next_step() -> None:
    """Four blocks of 16 MiB, freed and asked for again as in every step of a network: without, they are mapped anew.

    Left to itself glibc moves its thresholds by what was freed where, so it is given its default as a fixed one.
    """
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": str(2**17)}

    def counted(keep: bool) -> int:
        command = [sys.executable, "-c", FAULTS.format(keep=keep)]
        return int(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)

    faults = {keep: counted(keep) for keep in (True, False)}
    assert faults[True] < 50
    assert faults[False] > 8 * faults[True]
