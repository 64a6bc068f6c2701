"""Ray: the cluster that is running, or one of this machine's cores."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from functools import partial
from typing import Any

import ray
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, setup_globals
from hydra_plugins.hydra_ray_launcher._launcher_util import launch_job_on_ray
from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher as Plugin
from omegaconf import DictConfig, OmegaConf, open_dict

from bench.core.errors import BenchError
from bench.launchers import Job, Lost

INIT = "hydra.launcher.ray.init"


class RayLauncher(Plugin):
    """``hydra/launcher=ray``: the plugin's, which does not wait."""

    def submit(self, runs: Sequence[Sequence[str]]) -> list[Job]:
        """Hand in runs, each as a task.

        Raises:
            BenchError: There is no such cluster, or an option is none of Ray's.
        """
        assert self.config is not None
        assert self.hydra_context is not None
        connect(OmegaConf.to_container(self.ray_cfg.init, resolve=True))
        setup_globals()
        jobs = list[Job]()
        for number, overrides in enumerate(runs):
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.id, config.hydra.job.num = str(number), number
            jobs.append(partial(_result, self._task(config)))
        return jobs

    def _task(self, config: DictConfig) -> ray.ObjectRef[JobReturn]:
        assert self.hydra_context is not None
        assert self.task_function is not None
        remote = self.ray_cfg.remote
        try:
            task: ray.ObjectRef[JobReturn] = launch_job_on_ray(
                self.hydra_context, remote, config, self.task_function, Singleton.get_state()
            )
        except (TypeError, ValueError) as error:
            raise BenchError(f"hydra.launcher.ray.remote={remote}: {_line(error)}") from None
        return task


def connect(options: Any) -> None:
    """Join the cluster, unless that is done already; with no address and no cluster here, start one.

    Raises:
        BenchError: It is not to be reached, or does not take these options.
    """
    if ray.is_initialized():
        return
    address = options.get("address") or os.environ.get("RAY_ADDRESS")
    _require_answer(str(address or ""))
    try:
        ray.init(**options)
    except ConnectionError as error:
        hint = "; one that asks for a token is joined with RAY_AUTH_MODE=token" if ":" in str(address) else ""
        raise BenchError(f"{INIT}.address={address}: {_line(error)}{hint}") from None
    except Exception as error:
        raise BenchError(f"{INIT}: {_line(error)}") from None


def _require_answer(address: str) -> None:
    """Raise `BenchError` where nothing answers at ``HOST:PORT``; Ray tries for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        reason = f"nothing answers there ({error}); expected HOST:PORT of a cluster, as `ray start --head` shows it"
        raise BenchError(f"{INIT}.address={address}: {reason}") from None


def _result(task: ray.ObjectRef[JobReturn]) -> JobReturn:
    try:
        return ray.get(task)
    except ray.exceptions.RayError as error:
        raise Lost(f"its task ended before the run did ({type(error).__name__}: {_line(error)})") from None


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
