"""A real Slurm, of one node and without accounting: the runs of the serial sweep, whatever is done to the jobs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.launchers.daemons import no_slurm, slurm, until
from tests.bench.launchers.plugins import installed
from tests.bench.launchers.sweeps import LONG, RECIPE, begin, complaints, end, numbers, records, sweep

pytestmark = [
    pytest.mark.skipif(bool(no_slurm()), reason=no_slurm() or "Slurm is here"),
    pytest.mark.skipif(not installed("submitit_local"), reason="hydra_submitit_launcher is not installed"),
    pytest.mark.xdist_group("slurm"),
]
LAUNCHER = ["hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """The environment of its users."""
    with slurm() as variables:
        yield variables


def ask(cluster: dict[str, str], *command: str) -> str:
    """What one of Slurm's commands says."""
    done = subprocess.run(command, env={**os.environ, **cluster}, capture_output=True, text=True, check=True)
    return done.stdout


def jobs(cluster: dict[str, str], state: str) -> list[str]:
    """Jobs in a state."""
    return ask(cluster, "squeue", "--array", "--noheader", f"--states={state}", "--format=%i").split()


def test_a_time_limit_and_a_cancelled_job_lose_nothing(
    cluster: dict[str, str], long_serial: dict[str, Any], tmp_path: Path
) -> None:
    folder, own = tmp_path / "runs", "hydra.launcher.by_backbone.mlp.timeout_min=7"
    arguments = ["method=s2d,static", *LONG, *LAUNCHER, own]
    command = begin(folder, *arguments, variables=cluster)
    until(lambda: len(list(folder.glob("*/checkpoint.pt"))) == 2, "the runs do not begin")
    first, second = sorted(jobs(cluster, "running"))
    assert ask(cluster, "squeue", "--array", "--noheader", "--format=%l").split() == ["7:00", "7:00"]
    ask(cluster, "scancel", "--signal=USR2", first, second)  # what Slurm sends before a time limit
    until(lambda: sorted(jobs(cluster, "pending")) == [first, second], "the jobs are not queued again")
    ask(cluster, "scancel", second)
    ask(cluster, "scontrol", "update", f"JobId={first}", "StartTime=now")  # without that, in two minutes
    ended = end(command, 100)
    *named, last = complaints(ended)
    assert ended.returncode == 1
    assert len(named) == 1
    assert named[0].startswith("not done: python -m bench method=s")
    assert f": job {second} ended (cancelled) before the run did: " in named[0]
    assert last == "error: 1 of 2 runs are not done; the same command goes on"
    assert numbers(folder).items() < long_serial.items()
    ended = sweep(folder, *arguments, variables=cluster)
    assert (ended.returncode, complaints(ended)) == (0, [])  # submitit warns of missing accounting at each look
    assert ended.stdout.splitlines()[0] == "2 runs: 1 ended already, 1 to do"
    assert [line.partition(":")[0] for line in ended.stdout.splitlines()[1:]] == ["done"]
    assert numbers(folder) == long_serial
    assert [record["environment"]["threads"] for record in records(folder).values()] == [1, 1]


def test_jobs_that_are_held_are_said_to_wait(cluster: dict[str, str], tmp_path: Path) -> None:
    folder, held = tmp_path / "runs", "++hydra.launcher.additional_parameters={hold: true}"
    command = begin(folder, "method=static", "seed=0,1", *RECIPE, *LAUNCHER, held, variables=cluster)
    assert command.stderr is not None
    said = command.stderr.readline()
    array = jobs(cluster, "pending")[0].partition("_")[0]
    assert said == f"job {array} waits in the queue (JobHeldUser); scontrol show job {array} tells why\n"
    ask(cluster, "scontrol", "release", array)
    ended = end(command, 120)
    assert (ended.returncode, complaints(ended)) == (0, [])
    assert len(records(folder)) == 2


def test_a_time_limit_that_runs_out_leaves_what_is_done(cluster: dict[str, str], tmp_path: Path) -> None:
    """Slurm's least is a minute, and it looks at its limits now and then."""
    folder, limit = tmp_path / "runs", [f"hydra.launcher.{one}" for one in ("timeout_min=1", "max_num_timeout=0")]
    arguments = ["method=static", "train.epochs=1,40000", *RECIPE[1:], *LAUNCHER]
    refused = sweep(folder, *arguments, *limit, variables=cluster)
    assert refused.stderr.startswith("error: hydra.launcher.timeout_min=1: expected more than hydra.launcher.signal_d")
    limit.append("hydra.launcher.signal_delay_s=10")
    ended = sweep(folder, *arguments, *limit, variables=cluster)
    assert ended.returncode == 1
    named, last = complaints(ended)
    assert named.startswith("not done: python -m bench method=static train.epochs=40000")
    assert " before the run did: " in named
    assert last == "error: 1 of 2 runs are not done; the same command goes on"
    assert len(records(folder)) == 1


def test_what_slurm_does_not_take_is_one_line(cluster: dict[str, str], tmp_path: Path) -> None:
    ended = sweep(tmp_path / "runs", "seed=0,1", *LAUNCHER, "hydra.launcher.partition=gpu", variables=cluster)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: sbatch: error: invalid partition specified: gpu")
    assert ended.stderr.count("\n") == 1
