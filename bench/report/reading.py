"""A runs folder: the records in it, the runs that have not ended, and what is left out and why."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.report.records import Record, Unreadable, check_options, parse
from bench.store import identity

OWN = ("seeds",)
"""Folders of the store that hold no run."""


@dataclass(frozen=True)
class Unfinished:
    """A run without a readable ``run.json``: stopped, or still going on.

    Attributes:
        folder: Its folder's name.
        id: Its name by content.
        config: Its resolved options.
        stages: Stages finished.
    """

    folder: str
    id: str
    config: dict[str, Any]
    stages: int


@dataclass(frozen=True)
class LeftOut:
    """Something in the runs folder that the report does not use.

    Attributes:
        name: The file or folder.
        reason: Why.
    """

    name: str
    reason: str


@dataclass
class Found:
    """All that lies in a runs folder, sorted by name."""

    records: list[Record] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def read(runs_dir: Path) -> Found:
    """Read a runs folder; nothing in it stops the reading."""
    found = Found()
    seen: dict[str, str] = {}
    entries = sorted(runs_dir.iterdir(), key=lambda path: path.name) if runs_dir.is_dir() else []
    for path in entries:
        if path.name.startswith(".") or path.name in OWN:
            continue
        try:
            _read_one(path, found, seen)
        except (Unreadable, OSError, ValueError, RecursionError) as error:
            found.left_out.append(LeftOut(path.name, _reason(error)))
    return found


def _read_one(path: Path, found: Found, seen: dict[str, str]) -> None:
    if not path.is_dir():
        raise Unreadable("not a run's folder")
    record_path = path / "run.json"
    if not record_path.exists():
        found.unfinished.append(_unfinished(path))
        return
    try:
        content = json.loads(record_path.read_bytes())
    except (ValueError, RecursionError) as error:
        found.left_out.append(LeftOut(path.name, f"run.json is no JSON: {_reason(error)}"))
        found.unfinished.append(_unfinished(path))
        return
    record = parse(content, path.name)
    if record.id in seen:
        raise Unreadable(f"the same run as {seen[record.id]}")
    seen[record.id] = path.name
    found.records.append(record)


def _unfinished(path: Path) -> Unfinished:
    from omegaconf import OmegaConf  # rarely needed, and slow to import

    config_path = path / "config.yaml"
    if not config_path.exists():
        raise Unreadable("neither run.json nor config.yaml")
    try:
        loaded = OmegaConf.to_container(OmegaConf.load(config_path))
    except Exception as error:  # whatever a damaged YAML file raises
        raise Unreadable(f"config.yaml: {_reason(error)}") from error
    config = check_options(loaded)
    return Unfinished(path.name, identity(config), config, _lines(path / "stages.jsonl"))


def _lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except OSError:
        return 0


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"
