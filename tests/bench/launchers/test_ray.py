"""A real Ray cluster of two nodes: the runs of the serial sweep, and nothing lost with a node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import BenchError
from tests.bench.launchers.daemons import ray, until
from tests.bench.launchers.plugins import installed
from tests.bench.launchers.sweeps import LONG, begin, complaints, end, numbers, sweep

pytestmark = pytest.mark.skipif(not installed("ray"), reason="hydra_ray_launcher is not installed")
LAUNCHER = "hydra/launcher=ray"


def test_a_running_cluster_that_loses_a_node(long_serial: dict[str, Any], tmp_path: Path) -> None:
    """It is joined without being named, and ``auto`` is the same; Ray starts one only where there is none."""
    with ray() as (variables, lose_a_node):
        folder, arguments = tmp_path / "runs", ["method=s2d,static", *LONG, LAUNCHER]
        once = "hydra.launcher.by_backbone.mlp.ray.remote.max_retries=0"
        command = begin(folder, *arguments, once, variables=variables)
        until(lambda: len(list(folder.glob("*/checkpoint.pt"))) == 2, "the runs do not begin")
        lose_a_node()
        ended = end(command)
        assert ended.returncode == 1
        lines = [line for line in ended.stderr.splitlines() if line.startswith(("not done: ", "error: "))]
        assert len(lines) == 2
        assert ": its task ended before the run did (" in lines[0]
        assert lines[1] == "error: 1 of 2 runs are not done; the same command goes on"
        assert "Traceback" not in ended.stderr
        assert len(numbers(folder)) == 1
        ended = sweep(folder, *arguments, "hydra.launcher.ray.init.address=auto", variables=variables)
        assert (ended.returncode, complaints(ended)) == (0, [])
        assert numbers(folder) == long_serial


def test_no_such_cluster_is_one_line() -> None:
    from bench.launchers.ray import connect

    said = "hydra.launcher.ray.init.address=127.0.0.1:9: nothing answers there"
    with pytest.raises(BenchError, match=said):  # Ray itself tries for minutes
        connect({"address": "127.0.0.1:9"})
