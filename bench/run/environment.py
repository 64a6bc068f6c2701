"""The machine a run is on: its devices and threads, and a clean start in a process that did other runs before."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import platform
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from bench.core.errors import ConfigError
from bench.core.record import Environment
from bench.core.streams import seed_global
from bench.core.version import version

_THREADS = torch.get_num_threads()
"""PyTorch's own choice when this process began."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's ``mallopt``."""

PATIENCE = 1.0
"""Seconds between a worker's looks for its parent."""

_claims: list[FileLock] = []
"""Kept until the process ends, which frees its GPU."""


def reset(threads: int | None, seed: int) -> None:
    """Undo what an earlier run in this process may have left: sweeps use their workers again.

    The suite draws from its own streams (`bench.core.streams`); a plugin that draws from a global generator
    has the same numbers whatever ran before.

    Args:
        threads: Processor threads; None for ``OMP_NUM_THREADS``, and without that PyTorch's choice.
        seed: Of the global generators.
    """
    if multiprocessing.parent_process() is not None:  # Ctrl-C is the launcher's to hear; it ends its workers
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end_with_parent()
    keep_freed_memory()
    give_back_memory()
    torch.set_num_threads(threads or _threads_by_environment() or _THREADS)
    seed_global(seed)
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32: convolutions would use TF32 by default
    torch.set_flush_denormal(False)
    torch.use_deterministic_algorithms(False)


@cache
def end_with_parent() -> None:
    """End this process, a worker, soon after the one that started it, which may be killed without a word.

    The system then gives it another parent, or none. Its run goes on from its checkpoint when it is next asked for.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PATIENCE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@cache
def keep_freed_memory() -> None:
    """Let the C library keep what PyTorch frees, for the next step asks for as much again.

    By default glibc gives large blocks back and has them mapped anew, page by page: on the CPU a tenth to a fifth of a
    convolutional network's step. Other C libraries are left alone.
    """
    mallopt = _glibc("mallopt")
    if mallopt is not None and (mallopt(_M_MMAP_THRESHOLD, 2**30) or mallopt(_M_MMAP_THRESHOLD, 2**25)):
        mallopt(
            _M_TRIM_THRESHOLD, 2**31 - 1
        )  # without the other, which older versions bound, it would slow things down


def give_back_memory() -> None:
    """Give the system what is free now: after growing or evaluating, which need more than the training that follows."""
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _glibc(function: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None


def _threads_by_environment() -> int | None:
    """``OMP_NUM_THREADS``, which launchers set anew for each run, though OpenMP reads it only once."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(first) if first.isdigit() and int(first) > 0 else None


def choose_device(name: str) -> torch.device:
    """The device of ``auto``, ``cpu``, ``cuda`` or ``mps``; among several GPUs one that no other run has.

    Raises:
        ConfigError: This machine has no such device.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(device for device in ("cuda", "mps", "cpu") if present[device])
    if not present[name]:
        here = ", ".join(device for device, there in present.items() if there)
        raise ConfigError("device", name, f"one that this machine has: auto, {here}")
    if name != "cuda":
        return torch.device(name)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    device = torch.device("cuda", _own_gpu(torch.cuda.device_count()))
    torch.cuda.set_device(device)
    return device


@cache
def _own_gpu(number: int) -> int:
    """The GPU of this process, the same for all its runs: the first that the fewest others have.

    A file lock on the GPU's name says that it is taken, so workers need not know of each other, and a killed one
    leaves nothing behind. Slurm and Ray show a run only its own, and then there is no choice.
    """
    if number == 1:
        return 0
    folder = Path(tempfile.gettempdir()) / f"growth-bench-gpus-{os.getuid() if hasattr(os, 'getuid') else 0}"
    folder.mkdir(exist_ok=True)
    for sharing in count():
        for index in range(number):
            lock = FileLock(folder / f"{_gpu_name(index)}-{sharing}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            except (OSError, NotImplementedError):  # no locks here: the choice is left to the user
                return 0
            _claims.append(lock)
            return index
    raise AssertionError("unreachable")


def _gpu_name(index: int) -> str:
    """A name that is the same in every process, whichever GPUs it is shown."""
    return str(getattr(torch.cuda.get_device_properties(index), "uuid", index))


def describe(device: torch.device) -> Environment:
    """Python, PyTorch, device, threads and the code's version."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return Environment(
        python=platform.python_version(),
        torch=str(torch.__version__),
        device=f"{device.type} ({name})",
        threads=torch.get_num_threads(),
        code=version(),
    )


@cache
def processor() -> str:
    """The processor's model, as far as rounding depends on it, and the instructions that PyTorch uses there."""
    said: dict[str, str] = {}
    with suppress(OSError):  # Linux alone has this file
        lines = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
        said = {name.strip(): value.strip() for name, _, value in lines}
    model = said.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{name} {said[key]}" for name, key in (("family", "cpu family"), ("model", "model")) if key in said]
    return ", ".join([model, *numbers, torch.backends.cpu.get_cpu_capability()])
