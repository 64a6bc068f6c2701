"""What a run is called: the hash of everything that determines its numbers."""

from __future__ import annotations

import hashlib
import json

from bench.core.options import Options

SILENT = ("device", "threads", "runs_dir", "rerun", "checkpoint_seconds", "logger")
"""Options that do not enter a run's identity: they change where and how it runs, and no number but for rounding."""

SILENT_DATA = ("root", "download")
SEED_GROUPS = ("backbone", "data", "train", "seed", "precision")


def identity(options: Options, step: bool = True) -> str:
    """Sixteen hex digits that name a run: the hash of its resolved options.

    The order of overrides, the working directory, the launcher, the logger and the device do not enter; every option
    that changes a number does.

    Args:
        options: The resolved configuration.
        step: Whether the method displaces what it splits (`bench.growth.method.GrowthMethod`). Where it does not,
            ``growth.epsilon`` changes no number and does not enter.
    """
    kept = {key: value for key, value in options.items() if key not in SILENT and key != "hydra"}
    if not step or kept["method"].get("step") is False:
        kept["method"] = {**kept["method"], "step": False}
        kept["growth"] = {key: value for key, value in kept["growth"].items() if key != "epsilon"}
    return _digest(kept)


def identities(options: Options) -> tuple[str, str]:
    """The names that a run with these options has if its method has a step, and if it has none."""
    return identity(options), identity(options, step=False)


def seed_identity(options: Options) -> str:
    """The hash that names a seed network: backbone, data, recipe, seed and precision."""
    kept = {key: options[key] for key in SEED_GROUPS}
    kept["train"] = {key: value for key, value in kept["train"].items() if key != "epochs"}  # of later stages
    return _digest(kept)


def _digest(options: Options) -> str:
    plain = json.loads(json.dumps(options), parse_int=float)  # 3 and 3.0 are the same option
    if all(key in plain["data"] for key in SILENT_DATA):  # fetched files, the same wherever they lie
        plain["data"] = {key: value for key, value in plain["data"].items() if key not in SILENT_DATA}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]
