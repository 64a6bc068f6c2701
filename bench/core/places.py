"""Where configurations lie: the suite's own folder, and those that ``--config-dir=FOLDER`` names, in every command.

The folders are kept in the environment, so that commands and workers that a command starts have them too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from bench.core.defaults import files
from bench.core.errors import require
from bench.core.options import CONF

VARIABLE = "GROWTH_BENCH_CONF"
"""Of the environment; several folders with ``os.pathsep`` between."""

FLAGS = ("--config-dir", "-cd")
SEARCHED = re.compile(r"hydra\.searchpath=\[((?:file://[^,\]]+,?)+)\]")
"""Hydra's option for the same; what lies in packages is left to it."""


def own_places() -> list[Path]:
    """The folders that are named beside the suite's own."""
    return [Path(place) for place in os.environ.get(VARIABLE, "").split(os.pathsep) if place]


def known(group: str) -> tuple[str, ...]:
    """Names that a group has files for in any place, those in folders of it as ``FOLDER/NAME``."""
    return tuple(sorted({name for folder in (CONF, *own_places()) for name in files(group, folder)}))


def path_of(name: str) -> Path:
    """The file ``GROUP/NAME``; as Hydra has it, the suite's own comes before others of the same name."""
    paths = [folder / f"{name}.yaml" for folder in (CONF, *own_places())]
    return next((path for path in paths if path.is_file()), paths[0])


def as_flags() -> list[str]:
    """What a command has to be given so that it looks there too."""
    return [f"{FLAGS[0]}={place}" for place in own_places()]


def taken(arguments: Sequence[str]) -> list[str]:
    """Arguments without those that name folders, which are looked in from here on.

    Raises:
        ConfigError: There is no such folder.
    """
    left, folders, following = list[str](), list[str](), iter(arguments)
    for argument in following:
        flag, _, value = argument.partition("=")
        if flag in FLAGS:
            folders.append(value or next(following, ""))
        elif searched := SEARCHED.fullmatch(argument):
            folders += [place.removeprefix("file://") for place in searched[1].split(",") if place]
        else:
            left.append(argument)
    for folder in folders:
        require(bool(folder) and Path(folder).is_dir(), FLAGS[0], folder, "a folder")
    if folders:
        os.environ[VARIABLE] = os.pathsep.join(str(Path(folder).absolute()) for folder in folders)
    return left
