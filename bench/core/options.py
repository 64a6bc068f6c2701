"""Options from YAML and the command line, made into typed, frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.core.errors import BenchError, ConfigError, one_line, require, require_choice

CONF = Path(__file__).resolve().parent.parent / "conf"
"""Where Hydra's groups are."""

GROUPS = ("method", "backbone", "data", "train", "growth", "logger")
"""Hydra's groups; all other options stand alone."""

Options = Mapping[str, Any]
"""Resolved options as plain data, not yet typed: a plugin's, a group's, or a whole run's with its groups inside."""

T = TypeVar("T")


def typed(prefix: str, kind: type[T], options: Options) -> T:
    """Build the dataclass ``kind`` from options by name.

    Args:
        prefix: What users type before the option's name: ``"train."`` for ``train.epochs``; empty for none.
        kind: A dataclass; its ``__post_init__`` may raise `ConfigError` for values out of range.
        options: Values by name; what is absent has its default.

    Raises:
        ConfigError: An option is unknown, or its value has the wrong type or is out of range.
    """
    known = {field.name for field in fields(cast(Any, kind))}
    schema = OmegaConf.structured(kind)
    OmegaConf.set_readonly(schema, False)  # frozen dataclasses make it read-only
    for name, value in options.items():
        if name not in known:
            raise ConfigError(prefix + name, value, f"one of {', '.join(sorted(known)) or 'no options'}")
        try:
            schema[name] = value
        except OmegaConfBaseException as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(prefix + name, value, f"another type ({reason})") from None
    try:
        return cast(T, OmegaConf.to_object(schema))
    except BenchError:
        raise
    except Exception as error:  # somebody's ``__post_init__`` may raise anything
        raise BenchError(f"{prefix.rstrip('.')}: {one_line(error)}") from error


def check_form(options: Options) -> None:
    """Check what is needed to find a run's folder, before anything else is read.

    Raises:
        ConfigError: A group has no name, or ``runs_dir`` or ``rerun`` cannot work.
    """
    for group in ("method", "backbone", "data"):
        chosen = options.get(group)
        require(isinstance(chosen, Mapping) and isinstance(chosen.get("name"), str), group, chosen, "one name")
    for group in ("train", "growth", "logger"):
        require(isinstance(options.get(group), Mapping), group, options.get(group), "one name")
    require(isinstance(options.get("runs_dir"), str), "runs_dir", options.get("runs_dir"), "a folder")
    require_choice("rerun", str(options.get("rerun")), ("none", "failed", "all"))
