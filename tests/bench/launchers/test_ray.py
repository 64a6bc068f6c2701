"""A real Ray cluster of two nodes: the runs of the serial sweep, and nothing lost with a node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bench.launchers.daemons import ray, until
from tests.bench.launchers.plugins import installed
from tests.bench.launchers.sweeps import LONG, RECIPE, begin, end, numbers, sweep

pytestmark = pytest.mark.skipif(not installed("ray"), reason="hydra_ray_launcher is not installed")
LAUNCHER = "hydra/launcher=ray"


def test_a_running_cluster_that_loses_a_node(
    serial: dict[str, Any], long_serial: dict[str, Any], tmp_path: Path
) -> None:
    with ray() as (variables, lose_a_node):
        short = ["method=s2d,static", "seed=1", *RECIPE, LAUNCHER, "hydra.launcher.ray.init.address=auto"]
        ended = sweep(tmp_path / "short", *short, variables=variables)
        assert (ended.returncode, ended.stderr) == (0, "")
        made = numbers(tmp_path / "short")
        assert len(made) == 2
        assert made.items() <= serial.items()

        folder, arguments = tmp_path / "long", ["method=s2d,static", *LONG, LAUNCHER]
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
        ended = sweep(folder, *arguments, variables=variables)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert numbers(folder) == long_serial


@pytest.mark.parametrize(
    ("address", "said"),
    [("auto", "Could not find any running Ray instance"), ("127.0.0.1:9", "nothing answers there")],
)
def test_no_such_cluster_is_one_line(address: str, said: str, tmp_path: Path) -> None:
    typed = f"hydra.launcher.ray.init.address={address}"
    ended = sweep(tmp_path / "runs", "seed=0,1", LAUNCHER, typed, variables={"RAY_TMPDIR": str(tmp_path)})
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: {typed}: {said}")
    assert ended.stderr.count("\n") == 1
