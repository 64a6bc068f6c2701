"""Plugins as Hydra sees them: ``GROUP=NAME`` for every registered name, with or without a YAML file.

Hydra looks for ``GROUP/NAME`` in ``conf/`` first. Only a name that is not there is asked of the group's registry, for
that imports PyTorch; its options and their defaults then are those of the plugin's dataclass. So a name can be typed,
stand in a preset or be swept over, in this process or a launcher's worker, wherever the plugin comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pkgutil import resolve_name

from hydra import initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from bench.core.options import CONF
from bench.core.places import own_places
from bench.core.registry import Registry

REGISTRIES = {
    "method": "bench.methods:registry",
    "backbone": "bench.backbones:backbones",
    "data": "bench.data:datasets",
    "logger": "bench.logger:loggers",
}
"""The registry of each group that has plugins; imported when asked for."""


def registry(group: str) -> Registry[Callable[..., object]]:
    """The registry of a Hydra group."""
    found = resolve_name(REGISTRIES[group])
    assert isinstance(found, Registry)
    return found


class PluginSource(ConfigSource):
    """Answers ``GROUP/NAME`` with the defaults of a plugin's options.

    It has an answer to every name of its groups, for the registry says best what is wrong with one. Instances are
    pickled for workers, and hold nothing but Hydra's two strings.
    """

    @staticmethod
    def scheme() -> str:
        """Of ``plugins://``, the one place of this kind."""
        return "plugins"

    def available(self) -> bool:
        """Always."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether a path is of a group that has plugins."""
        return config_path.strip("/") in REGISTRIES

    def is_config(self, config_path: str) -> bool:
        """Whether a path is of something in such a group."""
        group, slash, name = config_path.partition("/")
        return group in REGISTRIES and bool(slash and name)

    def load_config(self, config_path: str) -> ConfigResult:
        """The defaults of a plugin's options.

        Raises:
            BenchError: There is no such plugin, or it cannot be imported.
        """
        group, _, name = config_path.partition("/")
        defaults = OmegaConf.create(registry(group)[name].defaults())
        return ConfigResult(self.provider, self.full_path(), defaults, header={"package": None})

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """What can be typed after ``GROUP=``."""
        group = config_path.strip("/")
        return registry(group).choices() if group in REGISTRIES and results_filter is not ObjectType.GROUP else []


class PluginSearchPath(SearchPathPlugin):
    """Puts folders of one's own behind ``conf/`` on Hydra's search path, and `PluginSource` behind all of them."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append them."""
        for place in own_places():
            search_path.append("growth-bench", f"file://{place}")
        search_path.append("growth-bench", "plugins://")


def offer_plugins() -> None:
    """Make the plugins known to Hydra in this process."""
    Plugins.instance().register(PluginSource)
    Plugins.instance().register(PluginSearchPath)


@contextmanager
def composition() -> Iterator[None]:
    """Within it ``hydra.compose`` takes the groups of ``conf/`` and the plugins, as it does in a command of Hydra's."""
    if GlobalHydra.instance().is_initialized():
        yield
        return
    offer_plugins()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield
