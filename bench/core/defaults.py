"""What an option is where nothing is said of it: the files in ``conf/``, and options that are younger than a run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bench.core.identity import identity, unused_in
from bench.core.options import CONF, GROUPS, Options


@cache
def files(group: str, folder: Path = CONF) -> tuple[str, ...]:
    """Names that a group has files for in a folder of configurations, those in folders of it as ``FOLDER/NAME``."""
    place = folder / group
    return tuple(sorted(path.relative_to(place).with_suffix("").as_posix() for path in place.rglob("*.yaml")))


@cache
def load(name: str) -> Options:
    """The options in a file, as ``config`` or ``GROUP/NAME``; none where there is no such file."""
    from omegaconf import OmegaConf  # rarely needed, and slow to import

    path = CONF / f"{name}.yaml"
    loaded = OmegaConf.to_container(OmegaConf.load(path), resolve=False) if path.is_file() else {}
    return {str(key): value for key, value in loaded.items()} if isinstance(loaded, dict) else {}


def completed(options: Options) -> Options:
    """A run's resolved options, with the defaults of those that it lacks because they were added later."""
    top = {key: value for key, value in load("config").items() if key not in (*GROUPS, "defaults", "hydra")}
    groups = {group: {**defaults_of(group, options[group]), **options[group]} for group in GROUPS if group in options}
    return {**top, **options, **groups}


def name_now(options: Options, name: str) -> str:
    """What a run would be called today that was made with these options and is called ``name``."""
    return identity(completed(options), unused_in(options, name))


def defaults_of(group: str, chosen: Options) -> Options:
    """What the options of a choice are by its file, and by what every choice of its group has."""
    name, common = str(chosen.get("name", "default")), load("config").get(group)
    own = load(f"{group}/{name}") if name in files(group) else {}
    return {**own, **common} if isinstance(common, dict) else own
