"""The options of a run, checked before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.backbones import backbones
from bench.backbones.base import WEIGHTS
from bench.core.errors import require, require_choice
from bench.core.options import GROUPS, Options, check_form, typed
from bench.data import datasets
from bench.growth.config import GrowthConfig
from bench.growth.method import methods
from bench.logger import loggers
from bench.train.config import TrainConfig

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("fp32", "bf16")
MOST_THREADS = 1024


@dataclass(frozen=True)
class RunConfig:
    """Options that belong to no group.

    Attributes:
        seed: The one seed; network, data order, validation part and method have separate streams of it.
        device: auto, cpu, cuda or mps.
        precision: Of training and evaluation: fp32 or bf16. Growing is always fp32.
        threads: Processor threads; None for PyTorch's choice.
        runs_dir: Where runs are kept.
        rerun: Which finished runs to do again: none, failed or all.
        checkpoint_seconds: Least time between checkpoints inside a stage.
        keep_stages: Whether the network of every stage is kept, so that each can be exported; else the last alone.
    """

    seed: int = 0
    device: str = "auto"
    precision: str = "fp32"
    threads: int | None = None
    runs_dir: str = "results/runs"
    rerun: str = "none"
    checkpoint_seconds: float = 30.0
    keep_stages: bool = True

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**53, "seed", self.seed, "a whole number from 0 to 2**53 - 1")
        require_choice("device", self.device, DEVICES)
        require_choice("precision", self.precision, PRECISIONS)
        some = self.threads is None or 1 <= self.threads <= MOST_THREADS
        require(some, "threads", self.threads, f"at least 1, or null; at most {MOST_THREADS}")
        require_choice("rerun", self.rerun, ("none", "failed", "all"))
        require(self.checkpoint_seconds >= 0, "checkpoint_seconds", self.checkpoint_seconds, "at least 0")


def require_file(weights: object) -> None:
    """Raise `ConfigError` unless ``backbone.weights`` names a file, or is None."""
    if weights is not None:
        there = isinstance(weights, str) and Path(weights).expanduser().is_file()
        require(there, f"backbone.{WEIGHTS}", weights, "a file of a network's parameters, or null (no such file)")


@dataclass(frozen=True)
class Settings:
    """A whole run's options, typed.

    Attributes:
        options: The resolved configuration as plain data.
        run: Options of no group.
        train: The recipe.
        growth: The ladder and the growth event.
    """

    options: Options
    run: RunConfig
    train: TrainConfig
    growth: GrowthConfig

    @classmethod
    def of(cls, options: Options) -> Settings:
        """Check the resolved configuration, the options of the plugins too; no data are read and nothing is built.

        Raises:
            ConfigError: An option is unknown or has a value that cannot work.
        """
        check_form(options)
        single = {key: value for key, value in options.items() if key not in GROUPS}
        for registry in (methods, backbones, datasets, loggers):
            chosen = options.get(registry.kind, {"name": "none"})
            registry[str(chosen.get("name"))].configure(chosen)
        require_file(options["backbone"].get(WEIGHTS))
        return cls(
            options,
            typed("", RunConfig, single),
            typed("train.", TrainConfig, options["train"]),
            typed("growth.", GrowthConfig, options["growth"]),
        )

    def name(self, group: str) -> str:
        """The chosen plugin of a group, e.g. ``name("method")``."""
        return str(self.options[group]["name"])
