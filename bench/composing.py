"""Hydra's configurations of many command lines: its files are read once for each choice of plugins.

An override ``option=value`` of an option that is there already changes no defaults list, so Hydra applies it, in the
order typed, to what the other overrides come to. The same is done here to a copy of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import lru_cache

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.grammar import parsed


class Composer:
    """``hydra.compose("config", overrides)`` for many lists of overrides; within one `bench.plugins.composition`.

    Args:
        chosen: Those that all the lists share and that say where groups are, as ``hydra.searchpath`` does.
    """

    def __init__(self, chosen: Sequence[str] = ()) -> None:
        loader = GlobalHydra.instance().config_loader()
        self._groups = {*loader.get_group_options("", ObjectType.GROUP, "config", list(chosen))}
        self._bases: dict[tuple[str, ...], DictConfig] = {}

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of a list of overrides, which is the caller's own.

        Raises:
            HydraException: Whatever Hydra raises for them.
        """
        choices, values = list[str](), list[Override]()
        for line in overrides:
            override = _parsed(line)
            if self._chooses(override):
                choices.append(line)
            elif _is_value(override):
                values.append(override)
            else:
                return compose("config", list(overrides))
        config = deepcopy(self._base(tuple(choices)))
        try:
            for override in values:
                OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
        except OmegaConfBaseException:
            return compose("config", list(overrides))  # which says what is wrong
        return config

    def _base(self, choices: tuple[str, ...]) -> DictConfig:
        if choices not in self._bases:
            self._bases[choices] = compose("config", list(choices))
        return self._bases[choices]

    def _chooses(self, override: Override) -> bool:
        """Whether an override chooses a file or is of Hydra's own options, which no other option depends on."""
        in_group = override.key_or_group in self._groups or "/" in override.key_or_group
        return override.is_hydra_override() or (in_group and not isinstance(override.value(), dict))


def _is_value(override: Override) -> bool:
    """Whether an override gives an option one value; what is not an option is for Hydra to complain of."""
    return override.type is OverrideType.CHANGE and override.package is None and not override.is_sweep_override()


@lru_cache(maxsize=4096)
def _parsed(line: str) -> Override:
    (found,) = parsed([line])
    return found
