"""Short runs with a logger, and readers of what it wrote."""

from __future__ import annotations

import json
import struct
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.core.callbacks import Callback, Callbacks
from bench.core.record import (
    SCHEMA,
    Environment,
    Flops,
    GrowthRecord,
    History,
    RunRecord,
    RunState,
    Seconds,
    StageRecord,
)
from bench.core.store import RunFolder
from bench.logger import make
from bench.run.cell import run_folder
from bench.run.config import Settings
from bench.run.protocol import Run
from tests import runs


def options(folder: Path, *overrides: str) -> dict[str, Any]:
    """The resolved options of a command line: three epochs of the seed network, then twice two."""
    return runs.options(folder, "train.seed_epochs=3", *overrides)


def execute(folder: Path, *overrides: str, beside: Callback | None = None) -> tuple[RunFolder, RunRecord]:
    """A run with its loggers, and ``beside`` told after them."""
    chosen = options(folder, *overrides)
    place = run_folder(chosen)
    with ExitStack() as stack:
        callbacks: list[Callback] = [stack.enter_context(one) for one in make(chosen, place)]
        callbacks += [] if beside is None else [beside]
        place.path.mkdir(parents=True, exist_ok=True)
        return place, Run(Settings.of(chosen), place, Callbacks(callbacks)).execute()


def whole_stage(number: int = 0, growth: GrowthRecord | None = None) -> StageRecord:
    """A stage with numbers that are known."""
    return StageRecord(
        stage=number,
        target_cost=330.0,
        costs={"params": 330 + number, "macs": 312, "energy": 0.5},
        widths={"features.0": 4},
        epochs=3,
        train_loss=0.25,
        val_loss=0.5,
        test_loss=0.75,
        seconds=Seconds(2.0, 1.0, 0.5),
        flops=Flops(20.0, 10.0),
        growth=growth,
        history=History([0.5, 0.25], [0.75, 0.5]),
    )


def whole_record(
    stages: list[StageRecord], status: RunState = RunState.REFUSED, reason: str | None = "no"
) -> RunRecord:
    """A record of these stages."""
    names = {"id": "1", "method": "s2d", "backbone": "mlp", "data": "digits"}
    return RunRecord(
        schema=SCHEMA,
        status=status,
        reason=reason,
        seed=0,
        config={},
        environment=Environment(),
        stages=stages,
        **names,
    )


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
