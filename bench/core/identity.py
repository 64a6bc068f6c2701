"""What a run is called: the hash of everything that determines its numbers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from bench.core.options import Options

SILENT = ("device", "threads", "runs_dir", "rerun", "checkpoint_seconds", "keep_stages", "logger")
"""Options that do not enter a run's identity: they change where and how it runs, and no number but for rounding."""

LATENCY = "latency"
"""The one cost that is measured, where the ladder is of it (`bench.network.latency`)."""

MACHINE = ("device", "threads")
"""Of those, what a ladder of this cost depends on."""

NO_STEP = ("epsilon",)
"""Options of growth that change no number of a method without a step, or with its own."""

AFRESH = (*NO_STEP, "epsilon_relative", "condition", "shrink", "perturb", "optimizer_state")
"""Those that change no number of a method whose every stage starts afresh."""

UNUSED: tuple[tuple[str, ...], ...] = ((), NO_STEP, AFRESH)
"""What methods can make no use of: nothing, a step, whatever is done to a network that is there."""

SILENT_DATA = ("root", "download")

PLACES = {"folder": ("root", "cache"), "file": ("root",)}
"""Of data named by a path, as ``folder:PATH``: options that say where it lies."""

NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?")
LATER = ("epochs", "final_share", "when", "patience", "gap", "rank", "newborn_lr", "newborn_warmup")
"""Options of training that concern later stages alone."""
SEED_GROUPS = ("backbone", "data", "train", "seed", "precision")


def identity(options: Options, without: Sequence[str] = (), measured: bool = True) -> str:
    """Sixteen hex digits that name a run: the hash of its resolved options.

    The order of overrides, the working directory, the launcher, the logger and the device do not enter; every option
    that changes a number does.

    Args:
        options: The resolved configuration.
        without: Options of growth that change none of the method's numbers (`bench.growth.method.unused`); they do not
            enter.
        measured: Whether device and threads enter where the ladder is of latency; they did not in early records.
    """
    return _named(_plain(options), without, measured)


def identities(options: Options) -> tuple[str, ...]:
    """The names that a run with these options has by what its method makes no use of (`UNUSED`); early ones last."""
    plain = _plain(options)
    return tuple(_named(plain, without, measured) for measured in (True, False) for without in UNUSED)


def unused_in(options: Options, name: str) -> tuple[str, ...]:
    """Options of growth that a run with these options and this name makes no use of, of `UNUSED`."""
    plain = _plain(options)
    found = ((measured, without) for measured in (True, False) for without in (NO_STEP, AFRESH))
    return next((without for measured, without in found if _named(plain, without, measured) == name), ())


def _named(plain: Options, without: Sequence[str], measured: bool) -> str:
    kept = {key: value for key, value in plain.items() if key not in SILENT}
    if measured and kept["growth"].get("cost") == LATENCY:
        kept |= {key: plain.get(key) for key in MACHINE}
    if without or kept["method"].get("step") is False:
        kept["method"] = {**kept["method"], "step": False}
        kept["growth"] = {key: value for key, value in kept["growth"].items() if key not in (without or NO_STEP)}
    return _digest(kept)


def seed_identity(options: Options) -> str:
    """The hash that names a seed network: backbone, data, recipe, seed and precision."""
    kept = {key: options[key] for key in SEED_GROUPS}
    kept["train"] = {key: value for key, value in kept["train"].items() if key not in LATER}
    return _digest(_plain(kept))


def _plain(options: Options) -> dict[str, Any]:
    """Options as they are after typing, without Hydra's own."""
    given = json.loads(json.dumps({key: value for key, value in options.items() if key != "hydra"}))
    return {key: _canonical(value) for key, value in given.items()}


def _digest(plain: dict[str, Any]) -> str:
    if all(key in plain["data"] for key in SILENT_DATA):  # fetched files, the same wherever they lie
        plain = {**plain, "data": {key: value for key, value in plain["data"].items() if key not in SILENT_DATA}}
    kind, colon, _ = str(plain["data"].get("name")).partition(":")
    if colon and kind in PLACES:
        plain = {**plain, "data": {key: value for key, value in plain["data"].items() if key not in PLACES[kind]}}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _canonical(value: Any, depth: int = 0) -> Any:
    """As it is after typing: 3, 3.0 and "3" are one number. Texts in a plugin's own mapping have no type, and stay."""
    if value == {} and depth:
        return None  # no options, however that is typed
    if isinstance(value, dict):
        return {key: one if key == "name" else _canonical(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_canonical(one, depth) for one in value]
    if isinstance(value, str) and depth < 2 and NUMBER.fullmatch(value):
        return float(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
