"""One ``run.json`` as typed data, checked field by field: what cannot be read is refused with the field's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from bench.store import SCHEMA, identity, is_whole

STATUSES = ("done", "refused", "failed")
GROUPS = ("method", "backbone", "data", "train", "growth")


class Unreadable(Exception):
    """A record that the report leaves out; the message says why."""


@dataclass(frozen=True)
class Growth:
    """What a growth event did; fields as in ``bench.growth.GrowthRecord``."""

    splits: int
    added: int
    epsilon: tuple[float, ...]
    predicted: float | None
    measured: float | None
    gap: float | None
    products: int
    residual: float | None
    stopped: str | None
    restart: bool
    notes: dict[str, float]


@dataclass(frozen=True)
class Stage:
    """One rung of the ladder as a run reached it.

    Attributes:
        rung: Its number; 0 is the seed network.
        target: Cost that the rung allows.
        params: Parameters.
        macs: Multiply-adds of one input.
        widths: Neurons by group.
        accuracy: Whether scores are accuracies (shares of 1), else losses.
        validation: Score on the validation part.
        test: Score on the test part.
        train_seconds: Of this stage's training.
        grow_seconds: Of growing before it.
        train_flops: Of this stage's training.
        grow_flops: Of growing before it.
        growth: The growth event; None for the seed network.
    """

    rung: int
    target: float
    params: int
    macs: int
    widths: dict[str, int]
    accuracy: bool
    validation: float
    test: float
    train_seconds: float
    grow_seconds: float
    train_flops: float
    grow_flops: float
    growth: Growth | None


@dataclass(frozen=True)
class Record:
    """One ended run; fields as in ``run.json``, and the name of its folder."""

    folder: str
    id: str
    status: str
    reason: str
    method: str
    backbone: str
    data: str
    seed: int
    config: dict[str, Any]
    environment: dict[str, Any]
    stages: tuple[Stage, ...]


def parse(found: object, folder: str) -> Record:
    """A record from parsed JSON.

    Raises:
        Unreadable: A field is missing or has a value that cannot be; the schema is another; or the record's name is
            not that of its configuration.
    """
    source = _mapping(found, "run.json")
    schema = source.get("schema")
    if schema != SCHEMA:
        raise Unreadable(f"schema {schema!r}; this report reads schema {SCHEMA}")
    status = _text(source, "status")
    if not is_whole(source):
        raise Unreadable("sha256: not that of its content, so it was changed or damaged")
    if status not in STATUSES:
        raise Unreadable(f"status {status!r}: expected one of {', '.join(STATUSES)}")
    config = check_options(source.get("config"))
    stages = source.get("stages")
    if not isinstance(stages, list):
        raise Unreadable("stages: expected a list")
    record = Record(
        folder=folder,
        id=_text(source, "id"),
        status=status,
        reason=str(source.get("reason") or ""),
        method=_text(source, "method"),
        backbone=_text(source, "backbone"),
        data=_text(source, "data"),
        seed=_count(source, "seed"),
        config=config,
        environment=_mapping(source.get("environment"), "environment"),
        stages=tuple(_stage(stage, f"stages[{i}]") for i, stage in enumerate(stages)) if status == "done" else (),
    )
    if record.id != identity(config):
        raise Unreadable(f"id {record.id}: its configuration has the id {identity(config)}")
    if status == "done":
        _check_ladder(record.stages)
    return record


def check_options(found: object) -> dict[str, Any]:
    """Resolved options that have every group and a seed.

    Raises:
        Unreadable: They have not.
    """
    config = _mapping(found, "config")
    for group in GROUPS:
        _mapping(config.get(group), f"config.{group}")
    for group in GROUPS[:3]:
        _text(config[group], "name", f"config.{group}.")
    _count(config, "seed", "config.")
    return config


def _check_ladder(stages: tuple[Stage, ...]) -> None:
    if not stages:
        raise Unreadable("stages: done, but there are none")
    if [stage.rung for stage in stages] != list(range(len(stages))):
        raise Unreadable("stages: not numbered 0, 1, 2, ...")
    if len({stage.accuracy for stage in stages}) > 1:
        raise Unreadable("stages: accuracies at some and none at others")


def _stage(found: object, where: str) -> Stage:
    source = _mapping(found, where)
    path = f"{where}."
    accuracy = source.get("test_accuracy") is not None
    score = "accuracy" if accuracy else "loss"
    seconds = _mapping(source.get("seconds"), f"{path}seconds")
    flops = _mapping(source.get("flops"), f"{path}flops")
    widths = _mapping(source.get("widths"), f"{path}widths")
    growth = source.get("growth")
    stage = Stage(
        rung=_count(source, "stage", path),
        target=_number(source, "target_cost", path),
        params=_count(source, "params", path),
        macs=_count(source, "macs", path),
        widths={str(name): _count(widths, name, f"{path}widths.") for name in widths},
        accuracy=accuracy,
        validation=_number(source, f"val_{score}", path),
        test=_number(source, f"test_{score}", path),
        train_seconds=_number(seconds, "train", f"{path}seconds."),
        grow_seconds=_number(seconds, "grow", f"{path}seconds."),
        train_flops=_number(flops, "train", f"{path}flops."),
        grow_flops=_number(flops, "grow", f"{path}flops."),
        growth=None if growth is None else _growth(growth, f"{path}growth"),
    )
    if stage.params < 1:
        raise Unreadable(f"{path}params: expected at least 1")
    return stage


def _growth(found: object, where: str) -> Growth:
    source = _mapping(found, where)
    path = f"{where}."
    steps = source.get("epsilon")
    if steps is not None and not isinstance(steps, list):
        raise Unreadable(f"{path}epsilon: expected a list or null")
    stopped, notes = source.get("stopped"), _mapping(source.get("notes", {}), f"{path}notes")
    return Growth(
        splits=_count(source, "splits", path),
        added=_count(source, "added_neurons", path),
        epsilon=tuple(_finite(step, f"{path}epsilon") for step in steps or ()),
        predicted=_optional(source, "predicted_drop", path),
        measured=_optional(source, "measured_drop", path),
        gap=_optional(source, "function_gap", path),
        products=_count(source, "products", path),
        residual=_optional(source, "residual_max", path),
        stopped=None if stopped is None else str(stopped),
        restart=bool(source.get("restart", False)),
        notes={str(name): _number(notes, name, f"{path}notes.") for name in notes},
    )


def _mapping(found: object, where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise Unreadable(f"{where}: expected an object" if found is not None else f"{where}: missing")
    return found


def _text(source: Mapping[str, Any], name: str, path: str = "") -> str:
    found = source.get(name)
    if not isinstance(found, str) or not found:
        raise Unreadable(f"{path}{name}: {'missing' if found is None else 'expected text'}")
    return found


def _finite(found: object, where: str) -> float:
    if found is None:
        raise Unreadable(f"{where}: missing")
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Unreadable(f"{where}: expected a number")
    if not isfinite(found):
        raise Unreadable(f"{where}: not a finite number")
    return float(found)


def _number(source: Mapping[str, Any], name: str, path: str = "") -> float:
    return _finite(source.get(name), f"{path}{name}")


def _optional(source: Mapping[str, Any], name: str, path: str) -> float | None:
    return None if source.get(name) is None else _number(source, name, path)


def _count(source: Mapping[str, Any], name: str, path: str = "") -> int:
    value = _number(source, name, path)
    if value < 0 or value != int(value):
        raise Unreadable(f"{path}{name}: expected a whole number of at least 0")
    return int(value)
