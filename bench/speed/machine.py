"""Where a measurement is made: its clock, its peak of memory, and a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import torch

from bench.core.errors import BenchError
from bench.run.environment import reset

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Machine:
    """Where a process measures, and the seed of its random streams."""

    device: str
    threads: int
    seed: int

    def settle(self) -> None:
        """Undo what the process did before."""
        reset(self.threads, self.seed)

    def now(self) -> float:
        """Seconds, once the device has done what it was given."""
        return clock(torch.device(self.device))

    def peak(self) -> float:
        """GiB that the process needed at most; on a GPU, that PyTorch had allocated there."""
        if self.device.startswith("cuda"):
            return torch.cuda.max_memory_allocated() / 2**30
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def clock(device: torch.device) -> float:
    """Seconds, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the function returns in a process of its own.

    Raises:
        BenchError: The system ended the process, most likely for want of memory.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(function, *args, **kwargs).result()
        except BrokenProcessPool as error:
            raise BenchError("a measurement was ended by the system: too little memory?") from error
        except BaseException:  # Ctrl-C: the process does not hear it
            for child in multiprocessing.active_children():
                child.kill()
            raise
