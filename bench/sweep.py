"""Sweeps: which cells of a grid are left to do, their launch, and how they ended.

Finished ones are left out before any worker is started.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import chain, zip_longest
from types import ModuleType

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from bench.core.errors import BenchError
from bench.core.identity import seed_identity
from bench.core.numbers import plural
from bench.core.options import CONF
from bench.core.provenance import outdated
from bench.core.record import RunState
from bench.grid import cells, require_right
from bench.launchers import Cluster, Job, Lost
from bench.launchers.make import by_backbone, maker
from bench.launchers.resources import groups
from bench.run.cell import Cell
from bench.watch import Watch

NAMESPACE = "hydra_plugins.growth_bench"

LAUNCHERS = ("joblib", "submitit", "ray")
"""Packages whose errors say that a worker was lost."""


def pending(found: Sequence[Cell]) -> list[Cell]:
    """Cells that a run would do something for, those that need different seed networks side by side."""
    left = [cell for cell in found if cell.standing.is_due(cell.options["rerun"])]
    by_seed: dict[str, list[Cell]] = {}
    for cell in left:
        by_seed.setdefault(seed_identity(cell.options), []).append(cell)
    return [cell for cell in chain.from_iterable(zip_longest(*by_seed.values())) if cell is not None]


class CellSweeper(Sweeper):
    """A Hydra sweeper over the cells that are left to do."""

    def __init__(self, max_batch_size: int | None = None, params: dict[str, str] | None = None) -> None:
        self.launcher: Launcher | None = None
        self.params = params or {}
        self.lost: dict[str, str] = {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra's set-up: make the configured launcher."""
        self.make, self.by_backbone = maker(hydra_context, task_function, config), by_backbone(config)
        self.launcher = self.make([])

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launch what is left, by the configured launcher.

        Raises:
            BenchError: Cells failed; the others are done all the same.
        """
        assert self.launcher is not None
        found = cells(arguments, self.params)
        left = pending(found)
        require_right(left)
        for more in groups(left, self.by_backbone):
            self.make(more)  # what is wrong with it comes before any run
        print(f"{plural(len(found), 'run')}: {len(found) - len(left)} ended already, {len(left)} to do", flush=True)
        with Watch(found, left) if left else nullcontext():
            returns = self._run(left)
        _conclude(found, self.lost)
        return [returns]

    def _run(self, left: Sequence[Cell]) -> list[JobReturn]:
        returns: list[JobReturn] = []
        while left:
            jobs = self._launch(left)
            for job in jobs:
                try:
                    _ = job.return_value
                except Exception as error:  # what the job raised and nobody caught is a bug of ours
                    raise RuntimeError("a run failed in a way that nobody expected") from error
            returns += jobs
            left = [cell for cell in left if cell.id not in self.lost]
            left = [cell for cell in left if cell.folder.standing().state is RunState.RUNNING]
            if left:  # other processes are at them; look again, and take over if one dies
                time.sleep(2)
        return returns

    def _launch(self, left: Sequence[Cell]) -> Sequence[JobReturn]:
        """Launch, and wait for all; a launcher that loses a worker is no bug of ours.

        Raises:
            BenchError: The launcher gave up.
        """
        assert self.launcher is not None
        try:
            if not isinstance(self.launcher, Cluster):
                return self.launcher.launch([cell.overrides for cell in left], initial_job_idx=0)
            jobs = self._submit(left)
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in LAUNCHERS:
                raise
            reason = str(error).strip().partition("\n")[0]
            raise BenchError(
                f"{type(error).__name__}: {reason} The same command goes on from the last checkpoints"
            ) from None
        returns = list[JobReturn]()
        for cell, job in jobs:
            try:
                returns.append(job())
            except Lost as error:
                self.lost[cell.id] = str(error)
        return returns

    def _submit(self, left: Sequence[Cell]) -> list[tuple[Cell, Job]]:
        jobs = list[tuple[Cell, Job]]()
        for more, alike in groups(left, self.by_backbone).items():
            launcher = self.make(more)
            assert isinstance(launcher, Cluster)
            jobs += zip(alike, launcher.submit([[*cell.overrides, *more] for cell in alike]), strict=True)
        return jobs


def offer_sweeper() -> None:
    """Make `CellSweeper` known to Hydra, which takes plugins from the namespace ``hydra_plugins`` alone."""
    try:
        importlib.import_module("hydra_plugins")
    except ModuleNotFoundError:  # no other plugin is installed
        sys.modules["hydra_plugins"] = ModuleType("hydra_plugins")
        sys.modules["hydra_plugins"].__path__ = []
    sys.modules[NAMESPACE] = sys.modules[__name__]
    CellSweeper.__module__ = NAMESPACE
    Plugins.instance().register(CellSweeper)


def offer_launchers() -> None:
    """Let the files of ``conf/hydra/launcher`` take the place of the plugins' own entries of the same names.

    Hydra would check a file against the entry of the same name, and warn of it in every process.
    """
    entries = ConfigStore.instance().repo.get("hydra", {}).get("launcher", {})
    for path in (CONF / "hydra" / "launcher").glob("*.yaml"):
        entries.pop(path.name, None)


def _conclude(found: Sequence[Cell], lost: Mapping[str, str]) -> None:
    open_cells = [(cell, cell.folder.standing()) for cell in found]
    old = [cell for cell in found if cell.changes and not cell.standing.is_due(cell.options["rerun"])]
    for cell in old:
        print(f"old: {cell.command}: {outdated(cell.changes, str(cell.folder.path))}", file=sys.stderr)
    open_cells = [(cell, now) for cell, now in open_cells if now.state not in (RunState.DONE, RunState.REFUSED)]
    failed = [cell for cell, now in open_cells if now.state is RunState.FAILED]
    for cell, now in open_cells:
        reason = f": {lost[cell.id]}" if cell.id in lost else ""
        line = f"failed: {cell.command}: {now.reason}" if cell in failed else f"not done: {cell.command}{reason}"
        print(line, file=sys.stderr)
    afresh = " without rerun=all" if any(cell.options["rerun"] == "all" for cell in found) else ""
    undone = f"{len(open_cells) - len(failed)} of {len(found)} runs are not done; the same command{afresh} goes on"
    if failed:
        also = f"; {undone}" if len(open_cells) > len(failed) else ""
        raise BenchError(f"{len(failed)} of {len(found)} runs failed; rerun=failed tries those again{also}")
    if open_cells:
        raise BenchError(undone)
    if old:
        raise BenchError(
            f"{len(old)} of {len(found)} runs are old: what made them has changed; rerun=all makes all anew"
        )
