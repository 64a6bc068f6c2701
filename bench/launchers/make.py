"""The configured launcher: Hydra's, a plugin's, or one of ours on top of a plugin's."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from bench.core.errors import BenchError
from bench.launchers import Cluster

Maker = Callable[[Sequence[str]], Launcher]
"""Makes the launcher, with more overrides."""

EXTRAS = {"joblib": "joblib", "submitit_local": "slurm", "submitit_slurm": "slurm", "ray": "ray"}
"""The extra of this package that brings a launcher."""

OURS = ("bench.launchers.submitit", "bench.launchers.ray")
"""Where launchers are that have jobs (`bench.launchers.Cluster`)."""


def maker(context: HydraContext, task: TaskFunction, config: DictConfig) -> Maker:
    """What makes launchers for these runs.

    Raises:
        BenchError: The launcher is not installed, or has no cluster here.
    """
    options = config.hydra.launcher
    if not isinstance(options, DictConfig) or not isinstance(options.get("_target_"), str):
        raise BenchError(f"hydra.launcher={options}: expected its options; hydra/launcher=NAME")
    name, target = str(config.hydra.runtime.choices["hydra/launcher"]), str(options["_target_"])
    module, _, kind = target.rpartition(".")
    if target.startswith("hydra_plugins.") and target not in Plugins.instance().class_name_to_class:
        raise _missing(name)
    if target.endswith("SlurmLauncher") and shutil.which("srun") is None:
        raise BenchError(f"hydra/launcher={name}: there is no srun here; run it on a machine of the cluster")
    if module not in OURS:
        if by_backbone(config):
            with_it = ", ".join(sorted(set(EXTRAS) - {"joblib"}))
            raise BenchError(f"hydra.launcher.by_backbone: hydra/launcher={name} has no such option; {with_it} have it")
        return lambda _: Plugins.instance().instantiate_launcher(context, task, config)
    try:
        made = getattr(import_module(module), kind)
    except ModuleNotFoundError:
        raise _missing(name) from None

    def make(overrides: Sequence[str]) -> Launcher:
        whole = context.config_loader.load_sweep_config(config, list(overrides)) if overrides else config
        given = {key: value for key, value in whole.hydra.launcher.items() if key not in ("_target_", "by_backbone")}
        launcher = made(**given)
        launcher.setup(hydra_context=context, task_function=task, config=config)
        assert isinstance(launcher, Launcher)
        assert isinstance(launcher, Cluster)
        return launcher

    return make


def by_backbone(config: DictConfig) -> Mapping[str, object]:
    """What is asked for single backbones (`bench.launchers.resources`)."""
    found = OmegaConf.to_container(OmegaConf.create(config.hydra.launcher.get("by_backbone") or {}), resolve=True)
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}


def _missing(name: str) -> BenchError:
    extra = EXTRAS.get(name)
    if extra is None:
        return BenchError(f"hydra/launcher={name}: its plugin is not installed")
    return BenchError(f"hydra/launcher={name}: not installed; pip install growth-bench[{extra}]")
