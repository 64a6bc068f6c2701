"""Short runs with a logger, and readers of what it wrote."""

from __future__ import annotations

import json
import struct
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bench.cli import CONF
from bench.core.callbacks import Callback, Callbacks
from bench.core.store import Run
from bench.logger import make
from bench.run.config import Settings
from bench.run.protocol import Experiment

SHORT = ["train.epochs=2", "train.seed_epochs=3", "growth.stages=2", "growth.sample=128"]


def options(folder: Path, *overrides: str) -> dict[str, Any]:
    """The resolved options of a command line."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", [f"runs_dir={folder}", *SHORT, *overrides])
    found = OmegaConf.to_container(config, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def execute(folder: Path, *overrides: str, beside: Callback | None = None) -> tuple[Run, dict[str, Any]]:
    """A run with its loggers, and ``beside`` told after them."""
    chosen = options(folder, *overrides)
    run = Run(folder, chosen)
    with ExitStack() as stack:
        callbacks: list[Callback] = [stack.enter_context(one) for one in make(chosen, run)]
        callbacks += [] if beside is None else [beside]
        run.folder.mkdir(parents=True, exist_ok=True)
        return run, Experiment(Settings.of(chosen), run, Callbacks(callbacks)).execute()


class Killed(Exception):
    """Stands for a kill at any instant."""


class Fatal:
    """Kills a run at a given epoch."""

    def __init__(self, at: int) -> None:
        self.at, self.epochs = at, 0

    def stage(self, stage: int, stages: int, epochs: int, done: int) -> None: ...

    def epoch(self, loss: float) -> None:
        self.epochs += 1
        if self.epochs == self.at:
            raise Killed

    def finished(self, record: dict[str, Any]) -> None: ...

    def end(self, record: dict[str, Any]) -> None: ...


# -- wandb's transaction log: LevelDB's log format, records are protocol buffers -----------------------


def transactions(path: Path) -> list[Any]:
    """The records of a ``.wandb`` file."""
    from wandb.proto.wandb_internal_pb2 import Record

    content = path.read_bytes()
    assert content[:4] == b":W&B"
    block, at, partial, found = 32768, 7, b"", []
    while at + 7 <= len(content):
        if block - at % block < 7:
            at += block - at % block
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        partial += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            record = Record()
            record.ParseFromString(partial)
            found.append(record)
            partial = b""
    return found


class WandbLog:
    """What a session wrote: history, summary, configuration, exit code."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        self.history: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.config: dict[str, Any] = {}
        self.metrics: dict[str, str] = {}
        self.artifacts: list[Any] = []
        self.run: Any = None
        self.exit_code: int | None = None
        for record in transactions(path):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.run = record.run
                self._update(self.config, record.run.config.update)
            elif kind == "config":
                self._update(self.config, record.config.update)
            elif kind == "history":
                self.history.append(self._update({}, record.history.item))
            elif kind == "summary":
                self._update(self.summary, record.summary.update)
            elif kind == "metric":
                self.metrics[record.metric.name or record.metric.glob_name] = record.metric.step_metric
            elif kind == "artifact":
                self.artifacts.append(record.artifact)
            elif kind == "exit":
                self.exit_code = record.exit.exit_code

    @staticmethod
    def _update(into: dict[str, Any], items: Any) -> dict[str, Any]:
        for item in items:
            into["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
        return into

    def series(self, key: str, step: str) -> list[tuple[float, float]]:
        """The points of a curve."""
        return [(row[step], row[key]) for row in self.history if key in row]


def wandb_logs(folder: Path, patience: float = 10.0) -> list[WandbLog]:
    """All sessions below a folder, oldest first, once their files are whole: wandb ends them from another process."""
    deadline = time.monotonic() + patience
    while True:
        found = [WandbLog(path) for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))]
        if all(log.exit_code is not None for log in found) or time.monotonic() > deadline:
            return found
        time.sleep(0.02)
