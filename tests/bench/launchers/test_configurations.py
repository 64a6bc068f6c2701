"""The launchers' files: complete, and answered with one line where a plugin is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.plugins.launcher import Launcher
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from bench.core.options import CONF
from bench.sweep import offer_launchers, offer_sweeper
from tests.bench.launchers.plugins import PLUGINS, installed
from tests.bench.launchers.sweeps import sweep
from tests.chaos import ROOT

LAUNCHERS = sorted(path.stem for path in (CONF / "hydra" / "launcher").glob("*.yaml"))


def composed(launcher: str, *more: str) -> DictConfig:
    """Hydra's own configuration with this launcher."""
    offer_sweeper()
    offer_launchers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", [f"hydra/launcher={launcher}", *more], return_hydra_config=True).hydra


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_one_thread_or_as_many_as_the_run_has_cores(launcher: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Hydra's, on files of the same name as a plugin's entry
        found = composed(launcher)
    cores = found.launcher.get("cpus_per_task", 1)
    assert dict(found.job.env_set) == {"OMP_NUM_THREADS": str(cores), "MKL_NUM_THREADS": str(cores)}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_no_option_of_the_plugin_is_unknown(launcher: str) -> None:
    if not installed({"submitit_slurm": "submitit_local"}.get(launcher, launcher)):
        pytest.skip("not installed")
    found = composed(launcher)
    options = {key: value for key, value in found.launcher.items() if key != "by_backbone"}
    assert isinstance(instantiate(options, _recursive_=False), Launcher)
    if launcher.startswith("submitit"):
        from hydra_plugins.hydra_submitit_launcher import config

        schema = config.LocalQueueConf if launcher == "submitit_local" else config.SlurmQueueConf
        assert set(options) <= set(OmegaConf.structured(schema))


@pytest.mark.parametrize("launcher", [*PLUGINS, "submitit_slurm"])
def test_a_missing_plugin_is_one_line_that_names_the_extra(launcher: str, tmp_path: Path) -> None:
    extra = "slurm" if launcher.startswith("submitit") else launcher
    blocked = tmp_path / "blocked" / "sitecustomize.py"
    blocked.parent.mkdir()
    blocked.write_text("import sys\nsys.modules['hydra_plugins'] = None\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(blocked.parent), str(ROOT)])}
    command = [sys.executable, "-m", "bench", "-m", "seed=0,1", f"hydra/launcher={launcher}"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == f"error: hydra/launcher={launcher}: not installed; pip install growth-bench[{extra}]\n"
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == [blocked.parent]


@pytest.mark.skipif(not installed("submitit_local"), reason="not installed")
def test_slurm_where_there_is_none_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "-m", "hydra/launcher=submitit_slurm", "seed=0,1", "runs_dir=runs"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "error: hydra/launcher=submitit_slurm: there is no srun here; run it on a machine of the cluster\n"
    )


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("by_backbone.mpl.timeout_min=7", "hydra.launcher.by_backbone=mpl: expected one of .*did you mean mlp"),
        ("by_backbone.mlp.timeout_mi=7", "hydra.launcher.timeout_mi: no such option; .*did you mean .*timeout_min"),
        ("timeout_min=long", "hydra.launcher.timeout_min=long: .* could not be converted to Integer"),
    ],
)
@pytest.mark.skipif(not installed("submitit_local"), reason="not installed")
def test_a_mistake_in_resources_is_one_line_before_any_run(typed: str, said: str, tmp_path: Path) -> None:
    ended = sweep(tmp_path / "runs", "seed=0,1", "hydra/launcher=submitit_local", f"hydra.launcher.{typed}")
    assert ended.returncode == 1
    assert re.fullmatch(f"error: {said}.*\n", ended.stderr)
    assert ended.stdout == ""
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_resources_by_backbone_where_runs_have_none(launcher: str, tmp_path: Path) -> None:
    if launcher == "joblib" and not installed(launcher):
        pytest.skip("not installed")
    resources = "hydra.launcher.by_backbone.mlp.timeout_min=7"
    ended = sweep(tmp_path / "runs", "seed=0,1", f"hydra/launcher={launcher}", resources)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"error: hydra.launcher.by_backbone: hydra/launcher={launcher} has no such option; ")
    assert ended.stderr.count("\n") == 1
