"""The command line that makes a run: its options as far as they differ from the defaults."""

from __future__ import annotations

import re
from functools import cache

from bench.core.identity import SILENT
from bench.core.options import CONF, Options
from bench.core.options import GROUPS as ALL

GROUPS, SHOWN = ALL[:-1], ALL[:3]
"""All but the logger, which does not enter a run's numbers; and those that a command always names."""


def overrides(options: Options, runs_dir: str) -> list[str]:
    """What to type after ``python -m bench`` for a run with these resolved options, in this folder of runs."""
    words = []
    for group in GROUPS:
        name, defaults = _nearest(group, options[group])
        if name != "default":
            words.append(f"{group}={value(name)}")
        for key, found in options[group].items():
            if key != "name" and (key not in defaults or defaults[key] != found):
                words.append(f"{group}.{key}={value(found)}")
    words.append(f"seed={options['seed']}")
    top = _load("config")
    for key in sorted(set(options) - set(GROUPS) - set(SILENT) - {"seed", "hydra"}):
        if key not in top or top[key] != options[key]:
            words.append(f"{key}={value(options[key])}")
    if top.get("runs_dir") != runs_dir:
        words.append(f"runs_dir={value(runs_dir)}")
    return words


def _nearest(group: str, chosen: Options) -> tuple[str, Options]:
    """The file in ``conf/`` that the options of a group come from, and its values."""
    if group in SHOWN:
        name = str(chosen["name"])
        return name, _load(f"{group}/{name}") if name in _files(group) else {}

    def distance(file: str) -> tuple[int, bool, str]:
        defaults = _load(f"{group}/{file}")
        differing = sum(key not in defaults or defaults[key] != found for key, found in chosen.items())
        return differing, file != "default", file

    name = min(_files(group), key=distance)
    return name, _load(f"{group}/{name}")


def choices(group: str) -> tuple[str, ...]:
    """Names that a group has files for in ``conf/``."""
    return _files(group)


def option_names() -> set[str]:
    """Groups, and the options in their files."""
    return {
        *GROUPS,
        *(f"{group}.{key}" for group in GROUPS for name in _files(group) for key in _load(f"{group}/{name}")),
    }


@cache
def _files(group: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (CONF / group).glob("*.yaml")))


@cache
def _load(name: str) -> Options:
    from omegaconf import OmegaConf  # only where a command is shown

    loaded = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"), resolve=False)
    return {str(key): value for key, value in loaded.items()} if isinstance(loaded, dict) else {}


def value(found: object) -> str:
    """A value in Hydra's grammar for overrides."""
    if found is None or isinstance(found, bool):
        return {None: "null", True: "true", False: "false"}[found]
    if isinstance(found, list | tuple):
        return "[" + ",".join(map(value, found)) + "]"
    if isinstance(found, dict):
        return "{" + ",".join(f"{key}:{value(one)}" for key, one in found.items()) + "}"
    text = str(found)
    if not isinstance(found, str) or re.fullmatch(r"[\w./+-]+", text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
