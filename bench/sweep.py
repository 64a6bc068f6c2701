"""Sweeps: which cells there are, which are left to do, and how they ended.

A cell is one combination of a sweep's values. Cells that come to the same run (a method without a step under several
steps, say) are one, and finished ones are left out before any worker is started.
"""

from __future__ import annotations

import importlib
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import chain, islice, product, zip_longest
from math import prod
from types import ModuleType

from hydra import compose
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from bench.core.errors import BenchError
from bench.core.identity import SILENT, seed_identity
from bench.core.loading import load_torch
from bench.core.options import CONF, check_form
from bench.core.provenance import outdated
from bench.core.record import RunState
from bench.plugins import composition
from bench.run.cell import Cell, run_folder

NAMESPACE = "hydra_plugins.growth_bench"

EXTRAS = {"joblib": "joblib", "submitit_local": "slurm", "submitit_slurm": "slurm", "ray": "ray"}
"""The extra of this package that brings a launcher."""

IDLE = (*SILENT, "data", "hydra")
"""Where options are that may not enter a run's identity; of a data set, where its files lie."""

MOST_CELLS = 10_000
"""Combinations of a sweep; each takes a few milliseconds before the first run begins."""

LAUNCHERS = ("joblib", "submitit", "ray")
"""Packages whose errors say that a worker was lost."""


def cells(arguments: Sequence[str]) -> list[Cell]:
    """The cells of a command line, those of an ``experiment=`` preset's own sweep included, each run once.

    Args:
        arguments: Overrides as typed; ``a=1,2`` sweeps. They take precedence over the preset's.
    """
    parser = OverridesParser.create()
    typed = parser.parse_overrides(list(arguments))
    if any(o.key_or_group == "experiment" and o.is_sweep_override() for o in typed):
        raise BenchError("experiment: expected one name; a preset has a sweep of its own")
    fixed = [o.input_line for o in typed if not o.is_sweep_override() and o.input_line is not None]
    found: dict[str, Cell] = {}
    made: list[tuple[list[str], str]] = []
    in_hydra = GlobalHydra.instance().is_initialized()
    with nullcontext() if in_hydra else composition():
        swept = compose("config", fixed, return_hydra_config=True).hydra.sweeper.params or {}
        preset = parser.parse_overrides([f"{key}={value}" for key, value in swept.items()])
        for overrides in combinations([*preset, *typed]):
            options = OmegaConf.to_container(compose("config", overrides), resolve=True)
            assert isinstance(options, dict)
            plain = {str(key): value for key, value in options.items()}
            check_form(plain)
            folder = run_folder(plain)
            shown = [o for o in overrides if not o.startswith(("hydra.", "hydra/"))]
            found.setdefault(folder.id, Cell(plain, folder, shown))
            made.append((overrides, folder.id))
    for override in (*preset, *typed):
        if override.is_sweep_override() and override.get_key_element().lstrip("+").partition(".")[0] in IDLE:
            _require_effect(override.get_key_element(), made)
    return list(found.values())


def _require_effect(key: str, made: Sequence[tuple[list[str], str]]) -> None:
    """Raise `BenchError` if cells that differ in one option alone are the same runs for all of its values."""
    runs: dict[tuple[str, ...], set[str]] = {}
    for overrides, name in made:
        runs.setdefault(tuple(o for o in overrides if not o.startswith(f"{key}=")), set()).add(name)
    if all(len(names) == 1 for names in runs.values()):
        reason = "it says where and how a run is done and does not enter its identity, so every value is the same run"
        raise BenchError(f"{key}: cannot be swept over: {reason}")


def require_right(found: Sequence[Cell]) -> None:
    """Check the options of cells, as far as that can be done before data are read, so that none is begun in vain.

    Raises:
        BenchError: Some cannot work; each is named with its reason on standard error.
    """
    if not found:
        return
    load_torch()
    from bench.run.config import Settings

    wrong: dict[str, int] = {}
    for cell in found:
        try:
            Settings.of(cell.options)
        except BenchError as error:
            wrong[str(error)] = wrong.get(str(error), 0) + 1
    *reasons, last = list(wrong) or [""]
    for reason in reasons:
        print(f"error: {reason}", file=sys.stderr, flush=True)
    if last:
        many = f"; {sum(wrong.values())} of {len(found)} runs cannot be begun, so none is" if len(found) > 1 else ""
        raise BenchError(f"{last}{many}")


def combinations(overrides: Sequence[Override]) -> list[list[str]]:
    """Every combination of the overrides' values; a later override of the same option replaces an earlier one.

    Raises:
        BenchError: A sweep is over a range without single values, has none, or has more than `MOST_CELLS`.
    """
    choices: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            choices[key] = [str(override.input_line)]
        elif override.is_choice_sweep() or override.is_range_sweep():
            values = list(islice(override.sweep_string_iterator(), MOST_CELLS + 1))
            if not values:
                raise BenchError(f"{override.input_line}: no values to sweep over")
            choices[key] = [f"{key}={value}" for value in values]
        else:
            raise BenchError(f"{override.input_line}: expected single values, as in {key}=1,2,3")
    if prod(map(len, choices.values())) > MOST_CELLS:
        raise BenchError(f"the sweep has more than {MOST_CELLS:,} combinations")
    return [list(combination) for combination in product(*choices.values())]


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

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra's set-up: make the configured launcher."""
        if not isinstance(OmegaConf.select(config, "hydra.launcher._target_"), str):
            raise BenchError(f"hydra.launcher={config.hydra.launcher}: expected its options; hydra/launcher=NAME")
        target = str(config.hydra.launcher._target_)
        if target.startswith("hydra_plugins.") and target not in Plugins.instance().class_name_to_class:
            raise missing_launcher(str(config.hydra.runtime.choices["hydra/launcher"]))
        if target.endswith("SlurmLauncher") and shutil.which("srun") is None:
            raise BenchError("hydra/launcher=submitit_slurm: there is no srun here; run it on a machine of the cluster")
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launch what is left, by the configured launcher.

        Raises:
            BenchError: Cells failed; the others are done all the same.
        """
        assert self.launcher is not None
        found = cells(arguments)
        left = pending(found)
        require_right(left)
        print(f"{len(found)} runs: {len(found) - len(left)} ended already, {len(left)} to do", flush=True)
        returns: list[JobReturn] = []
        while left:
            jobs = self._launch([cell.overrides for cell in left])
            for job in jobs:
                try:
                    _ = job.return_value
                except Exception as error:  # what the job raised and nobody caught is a bug of ours
                    raise RuntimeError("a run failed in a way that nobody expected") from error
            returns += jobs
            left = [cell for cell in left if cell.folder.standing().state is RunState.RUNNING]
            if left:  # other processes are at them; look again, and take over if one dies
                time.sleep(2)
        _conclude(found)
        return [returns]

    def _launch(self, jobs: Sequence[Sequence[str]]) -> Sequence[JobReturn]:
        """Launch; a launcher that loses a worker is no bug of ours.

        Raises:
            BenchError: The launcher gave up.
        """
        assert self.launcher is not None
        try:
            return self.launcher.launch(jobs, initial_job_idx=0)
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in LAUNCHERS:
                raise
            reason = str(error).strip().partition("\n")[0]
            raise BenchError(
                f"{type(error).__name__}: {reason} The same command goes on from the last checkpoints"
            ) from None


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


def missing_launcher(name: str) -> BenchError:
    """What to say when a launcher is not installed."""
    extra = EXTRAS.get(name)
    if extra is None:
        return BenchError(f"hydra/launcher={name}: its plugin is not installed")
    return BenchError(f"hydra/launcher={name}: not installed; pip install growth-bench[{extra}]")


def _conclude(found: Sequence[Cell]) -> None:
    open_cells = [(cell, cell.folder.standing()) for cell in found]
    old = [cell for cell in found if cell.changes and not cell.standing.is_due(cell.options["rerun"])]
    for cell in old:
        print(f"old: {cell.command}: {outdated(cell.changes, str(cell.folder.path))}", file=sys.stderr)
    open_cells = [(cell, now) for cell, now in open_cells if now.state not in (RunState.DONE, RunState.REFUSED)]
    for cell, now in open_cells:
        failed = now.state is RunState.FAILED
        print(f"failed: {cell.command}: {now.reason}" if failed else f"not done: {cell.command}", file=sys.stderr)
    if open_cells:
        raise BenchError(f"{len(open_cells)} of {len(found)} runs failed; rerun=failed tries those again")
    if old:
        raise BenchError(
            f"{len(old)} of {len(found)} runs are old: what made them has changed; rerun=all makes all anew"
        )
