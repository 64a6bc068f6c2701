"""Runs on disk: one folder per run, named by the hash of what determines its numbers.

In a run's folder: ``config.yaml``; ``stages.jsonl``, one line per finished stage; ``checkpoint.pt``; and
``run.json``, written last, which marks the run as ended. Files are replaced atomically. Trained seed networks
are kept in ``seeds/`` beside the runs, shared by all methods.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.errors import StorageError

SCHEMA = 1
"""Version of ``run.json``."""

SILENT = ("device", "threads", "runs_dir", "rerun", "checkpoint_seconds", "logger")
"""Options that do not enter a run's identity: they change where and how it runs, and no number but for rounding."""

PARTIAL = ".partial"
SILENT_DATA = ("root", "download")
SEED_GROUPS = ("backbone", "data", "train", "seed", "precision")


def identity(options: Mapping[str, Any]) -> str:
    """Sixteen hex digits that name a run: the hash of its resolved options.

    The order of overrides, the working directory, the launcher, the logger and the device do not
    enter; every option that changes a number does.
    """
    kept = {key: value for key, value in options.items() if key not in SILENT and key != "hydra"}
    if kept["method"].get("step") is False:  # nothing is displaced, so the step changes no number
        kept["growth"] = {key: value for key, value in kept["growth"].items() if key != "epsilon"}
    return _digest(kept)


def seed_identity(options: Mapping[str, Any]) -> str:
    """The hash that names a seed network: backbone, data, recipe, seed and precision."""
    kept = {key: options[key] for key in SEED_GROUPS}
    kept["train"] = {key: value for key, value in kept["train"].items() if key != "epochs"}  # of later stages
    return _digest(kept)


def _digest(options: Mapping[str, Any]) -> str:
    plain = json.loads(json.dumps(options), parse_int=float)  # 3 and 3.0 are the same option
    if all(key in plain["data"] for key in SILENT_DATA):  # fetched files, the same wherever they lie
        plain["data"] = {key: value for key, value in plain["data"].items() if key not in SILENT_DATA}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def write_atomic(path: Path, content: bytes | bytearray | str) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        BenchError: The disk is full or the folder cannot be written; what was there before still is.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise StorageError(
            f"cannot write {path}: {error.strerror}; nothing is lost, run the same command again"
        ) from error


def set_aside(path: Path) -> Path:
    """Rename a damaged file so that it is kept but not read again."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.replace(aside)
    return aside


class State(Enum):
    """What a run's folder says of it."""

    ABSENT = "absent"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    REFUSED = "refused"
    DONE = "done"


class Run:
    """One run's folder."""

    def __init__(self, runs_dir: str | Path, options: Mapping[str, Any]) -> None:
        self.id = identity(options)
        names = [re.sub(r"[^\w.-]", "_", options[group]["name"]) for group in ("data", "backbone", "method")]
        self.runs_dir = Path(runs_dir)
        self.folder = self.runs_dir / f"{'-'.join(names)}-seed{options['seed']}-{self.id}"

    @property
    def record_path(self) -> Path:
        """``run.json``."""
        return self.folder / "run.json"

    @property
    def checkpoint_path(self) -> Path:
        """``checkpoint.pt``."""
        return self.folder / "checkpoint.pt"

    @property
    def latency_path(self) -> Path:
        """The table behind the run's ladder, where that is of latency."""
        return self.folder / "latency.json"

    @property
    def lock_path(self) -> Path:
        """The lock that one process at a time holds."""
        return self.folder / ".lock"

    def record(self) -> dict[str, Any] | None:
        """The run's record if it has ended; a damaged one counts as none."""
        try:
            found = json.loads(self.record_path.read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and found.get("id") == self.id and is_whole(found) else None

    def state(self) -> State:
        """Whether the run is absent, incomplete, failed, refused or done."""
        record = self.record()
        if record is not None:
            return State(record["status"])
        return State.INCOMPLETE if self.folder.exists() else State.ABSENT

    def is_busy(self) -> bool:
        """Whether another process is at the run now."""
        if self.state() is not State.INCOMPLETE:
            return False
        try:
            with FileLock(self.lock_path).acquire(timeout=0):
                return False
        except Timeout:
            return True

    def write_stages(self, stages: list[dict[str, Any]]) -> None:
        """Replace ``stages.jsonl``."""
        write_atomic(
            self.folder / "stages.jsonl", "".join(json.dumps(stage, allow_nan=False) + "\n" for stage in stages)
        )

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write ``run.json`` with its checksum: the run has ended."""
        write_atomic(
            self.record_path, json.dumps({**record, "sha256": checksum(record)}, indent=1, allow_nan=False) + "\n"
        )

    def tidy(self) -> None:
        """Set a damaged record aside and remove what a killed writer left. The lock must be held."""
        if self.record_path.exists() and self.record() is None:
            set_aside(self.record_path)
        for partial in self.folder.glob(f".*{PARTIAL}"):
            partial.unlink(missing_ok=True)

    def forget(self) -> None:
        """Drop what an earlier attempt left."""
        ended = (self.record_path, self.folder / "stages.jsonl", self.latency_path)
        for path in (*ended, *self.folder.glob("checkpoint*.pt")):
            path.unlink(missing_ok=True)


def is_due(record: Mapping[str, Any] | None, rerun: str) -> bool:
    """Whether a run with this record, None for none, is to be done under ``rerun`` (none, failed or all)."""
    return record is None or rerun == "all" or (rerun == "failed" and record["status"] == "failed")


def seconds_of(record: Mapping[str, Any]) -> float:
    """Wall time that a run's stages took."""
    return float(sum(sum(stage["seconds"].values()) for stage in record["stages"]))


def checksum(record: Mapping[str, Any]) -> str:
    """SHA-256 of a record's content, its own checksum left out."""
    content = {key: value for key, value in record.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def is_whole(record: Mapping[str, Any]) -> bool:
    """Whether a record is what was written: its checksum is right."""
    return "status" in record and record.get("sha256") == checksum(record)
