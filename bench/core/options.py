"""Options from YAML and the command line, made into typed, frozen dataclasses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from math import isfinite
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.core.errors import ConfigError, foreign, require, require_choice

CONF = Path(__file__).resolve().parent.parent / "conf"
"""Where Hydra's groups are."""

GROUPS = ("method", "backbone", "data", "train", "growth", "logger")
"""Hydra's groups; all other options stand alone."""

Options = Mapping[str, Any]
"""Resolved options as plain data, not yet typed: a plugin's, a group's, or a whole run's with its groups inside."""

LARGEST = 2**53
"""Up to here whole numbers and floats are the same; so 3 and 3.0 are one option, and JSON keeps each."""

DEEPEST = 16
"""Lists in lists and dictionaries in dictionaries that an option may have."""

PLAIN = re.compile(r"(?!(null|true|false|nan|inf)\Z)[a-z_/][\w./+-]*|\.{1,2}(/[\w./+-]*)?", re.ASCII | re.IGNORECASE)
"""Texts that need no quotes, for the grammar takes them for nothing else."""

T = TypeVar("T")


def typed(prefix: str, kind: type[T], options: Options) -> T:
    """Build the dataclass ``kind`` from options by name.

    Args:
        prefix: What users type before the option's name: ``"train."`` for ``train.epochs``; empty for none.
        kind: A dataclass; its ``__post_init__`` may raise `ConfigError` for values out of range.
        options: Values by name; what is absent has its default.

    Raises:
        ConfigError: An option is unknown, or its value has the wrong type, is no plain data or is out of range.
    """
    known, hints = {field.name for field in fields(cast(Any, kind))}, get_type_hints(kind)
    schema = OmegaConf.structured(kind)
    OmegaConf.set_readonly(schema, False)  # frozen dataclasses make it read-only
    for name, value in options.items():
        if name not in known:
            raise ConfigError(prefix + name, value, f"one of {', '.join(sorted(known)) or 'no options'}")
        require_plain(prefix + name, value)
        try:
            schema[name] = _number(value, get_args(hints[name]))
        except OmegaConfBaseException:
            raise ConfigError(prefix + name, value, in_words(hints[name])) from None
    found = OmegaConf.to_container(schema)
    assert isinstance(found, dict)
    for key, value in found.items():
        require_plain(f"{prefix}{key!s}", value)  # "nan" is one only now, and a default was never asked
    with foreign(prefix.rstrip(".")):  # somebody's ``__post_init__``
        return cast(T, OmegaConf.to_object(schema))


WORDS: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    NoneType: "null",
}
"""Types of options, as one says them."""


def in_words(hint: object) -> str:
    """A type as one says it to who is to type a value of it."""
    kinds = [hint] if get_origin(hint) not in (Union, UnionType) else list(get_args(hint))
    return " or ".join(WORDS.get(kind) or _collection(kind) for kind in kinds)


def _collection(kind: object) -> str:
    form, of = get_origin(kind) or kind, next(iter(get_args(kind)), None)
    if isinstance(form, type) and issubclass(form, Mapping):
        return "names with values, as in {name:value}"
    if isinstance(form, type) and issubclass(form, Sequence):
        members = f" of {WORDS[of].removeprefix('a ')}s" if of in (str, int, float) else ""
        return f"a list{members}, as in [{'1,2' if of in (int, float) else 'a,b'}]"
    return getattr(kind, "__name__", str(kind))


def _number(value: object, kinds: tuple[object, ...]) -> object:
    """A value for an option of several types, one of them a number: ``1`` as a float, ``"0.05"`` as what it says."""
    if str in kinds and isinstance(value, str):
        for kind in (int, float):
            if kind in kinds:
                try:
                    return kind(value)
                except ValueError:
                    continue
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(cast(int, value)) if whole and float in kinds and int not in kinds else value


def require_plain(option: str, value: object, depth: int = 0) -> None:
    """Raise `ConfigError` unless a value can be written as JSON and read again as the same.

    Numbers are finite and at most `LARGEST`, texts are Unicode, keys are texts, nesting is no deeper than `DEEPEST`.
    """
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, str):
        writable = "\0" not in value and value.encode(errors="ignore").decode() == value
        require(writable, option, ascii(value), "text that can be written as UTF-8")
    elif isinstance(value, int):
        shown = value if abs(value) < 10**30 else "a huge number"
        require(abs(value) <= LARGEST, option, shown, "a number of at most 2**53")
    elif isinstance(value, float):
        require(isfinite(value), option, value, "a finite number")
    elif isinstance(value, Mapping | list | tuple):
        require(depth < DEEPEST, option, "...", f"lists and dictionaries nested at most {DEEPEST} deep")
        for key, one in value.items() if isinstance(value, Mapping) else enumerate(value):
            if isinstance(value, Mapping):
                require(isinstance(key, str), option, f"{{{key}: ...}}", "names as the keys of a dictionary")
            require_plain(f"{option}.{key}", one, depth + 1)
    else:
        raise ConfigError(option, f"a {type(value).__name__}", "a number, a text, or lists and dictionaries of them")


def check_form(options: Options) -> None:
    """Check what is needed to find a run's folder, before anything else is read.

    Raises:
        ConfigError: A group has no name, ``seed``, ``runs_dir`` or ``rerun`` cannot work, or a value is no plain data.
    """
    for name, value in options.items():
        require_plain(str(name), value)
    for group in ("method", "backbone", "data"):
        chosen = options.get(group)
        require(isinstance(chosen, Mapping) and isinstance(chosen.get("name"), str), group, chosen, "one name")
    for group in ("train", "growth", "logger"):
        require(isinstance(options.get(group), Mapping), group, options.get(group), "one name")
    folder = options.get("runs_dir")
    require(isinstance(folder, str), "runs_dir", folder, "a folder")
    require("," not in str(folder), "runs_dir", folder, "one folder; several are for bench.status and bench.report")
    seed = options.get("seed")
    whole = isinstance(seed, int) and not isinstance(seed, bool)
    require(whole or (isinstance(seed, str) and seed.isdecimal()), "seed", seed, "a whole number of at least 0")
    require_choice("rerun", str(options.get("rerun")), ("none", "failed", "all"))


def as_typed(found: object) -> str:
    """A value in Hydra's grammar for overrides."""
    if found is None or isinstance(found, bool):
        return {None: "null", True: "true", False: "false"}[found]
    if isinstance(found, list | tuple):
        return "[" + ",".join(map(as_typed, found)) + "]"
    if isinstance(found, dict):
        return "{" + ",".join(f"{key}:{as_typed(one)}" for key, one in found.items()) + "}"
    return as_text(found) if isinstance(found, str) and not PLAIN.fullmatch(found) else str(found)


def as_text(found: str) -> str:
    """A text in quotes, of which the grammar takes each for itself; backslashes count before a quote alone."""
    return "'" + re.sub(r"(\\*)('|\Z)", lambda end: end[1] * 2 + end[2].replace("'", "\\'"), found) + "'"
