"""What launchers' records are compared with."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.launchers.sweeps import LONG, RECIPE, numbers, sweep


@pytest.fixture(scope="session")
def serial(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The small sweep without a launcher, on one thread."""
    return _numbers(tmp_path_factory, "method=s2d,static", "seed=0,1", *RECIPE)


@pytest.fixture(scope="session")
def long_serial(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The long one."""
    return _numbers(tmp_path_factory, "method=s2d,static", *LONG)


def _numbers(factory: pytest.TempPathFactory, *arguments: str) -> dict[str, Any]:
    folder = factory.mktemp("serial") / "runs"
    ended = sweep(folder, "threads=1", *arguments)
    assert ended.returncode == 0, ended.stderr
    return numbers(folder)
