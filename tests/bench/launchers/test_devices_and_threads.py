"""One GPU a worker, and a clean start in a process that did other runs before; no GPU is needed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from bench.run import environment


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """A machine with three GPUs, as far as choosing goes."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(environment, "_gpu_name", lambda index: f"GPU-{index}")
    monkeypatch.setattr(environment.tempfile, "gettempdir", lambda: str(tmp_path))
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    environment._own_gpu.cache_clear()
    yield monkeypatch
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
    for lock in environment._claims:
        lock.release()
    environment._claims.clear()
    environment._own_gpu.cache_clear()


def another_worker() -> torch.device:
    """The choice of one more process."""
    environment._own_gpu.cache_clear()
    return environment.choose_device("auto")


@pytest.mark.usefixtures("gpus")
def test_each_worker_has_a_gpu_of_its_own_and_keeps_it() -> None:
    first = environment.choose_device("auto")
    assert environment.choose_device("cuda") == first == torch.device("cuda", 0)
    assert [another_worker().index for _ in range(5)] == [1, 2, 0, 1, 2]  # then they share evenly


@pytest.mark.usefixtures("gpus")
def test_the_gpu_of_a_process_that_ended_is_free() -> None:
    assert [another_worker().index for _ in range(3)] == [0, 1, 2]
    ended: FileLock = environment._claims[1]
    ended.release()  # what the system does for a killed process
    assert another_worker().index == 1


def test_a_single_gpu_needs_no_lock(gpus: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpus.setattr(torch.cuda, "device_count", lambda: 1)
    assert another_worker() == torch.device("cuda", 0)
    assert not list(tmp_path.iterdir())


def test_reset_undoes_what_an_earlier_run_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    environment.reset(None, 3)
    threads = torch.get_num_threads()
    clean = torch.rand(2), np.random.rand(), random.random()  # noqa: NPY002
    torch.set_num_threads(threads + 1)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.set_float32_matmul_precision("medium")
    environment.reset(None, 3)
    assert torch.get_num_threads() == threads
    assert torch.get_default_dtype() is torch.float32
    assert torch.is_grad_enabled()
    assert torch.get_float32_matmul_precision() == "highest"
    again = torch.rand(2), np.random.rand(), random.random()  # noqa: NPY002
    assert torch.equal(clean[0], again[0])
    assert clean[1:] == again[1:]


@pytest.mark.parametrize(
    ("option", "variable", "expected"),
    [
        *((2, "3", 2), (None, "3", 3), (None, "3,2", 3)),
        *(
            (None, variable, environment._THREADS) for variable in ("", "0", "-1", "all")
        ),  # say nothing: PyTorch's choice
    ],
)
def test_threads_by_option_or_environment(
    option: int | None, variable: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    try:
        environment.reset(option, 0)
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)
