"""What composed options come to, with a preset or without: two things that Hydra's composition does not know.

Beside choices that are not its own, what a preset says of an option is said of the choices that have it.

A body may set ``method.preset``, which fast_s2d alone has. With ``method=s2d`` typed, the option is of no cell, as one
that is typed in a sweep is of none of s2d's.

Who starts from trained weights, ``backbone.weights``, trains no seed network, unless epochs for that are said where the
weights are: on the command line, or in the preset.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from functools import cache

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from bench.core.options import as_typed
from bench.grammar import parsed, plain_values
from bench.plugins import REGISTRIES


class Preset:
    """A preset, or none, within ``hydra.compose``.

    Args:
        name: Its name; None for none.
        places: Overrides that say where Hydra finds configurations.
    """

    def __init__(self, name: str | None, places: Sequence[str] = ()) -> None:
        self.name, self.places = name, list(places)
        self.options_of = cache(self._options_of)
        self.said = cache(self._said)

    @classmethod
    def of(cls, overrides: Sequence[str]) -> Preset:
        """The one that overrides choose."""
        found = parsed(overrides)
        names = [str(one.value()) for one in found if one.key_or_group == "experiment" and one.value() is not None]
        places = [str(one.input_line) for one in found if one.key_or_group == "hydra.searchpath"]
        return cls(names[-1] if names else None, places)

    def settled(self, config: DictConfig, typed: Sequence[str]) -> dict[str, object]:
        """Composed options as plain data, without those that the preset says of other choices, and without epochs that
        would train a seed network that is trained.

        What is typed stays, and so does what no choice of the preset's own has: for whoever checks the options.

        Args:
            config: Composed with the preset.
            typed: The overrides, as ``KEY=VALUE``.
        """
        found = OmegaConf.to_container(config, resolve=True)
        assert isinstance(found, dict)
        options = {str(key): value for key, value in found.items()}
        kept = {".".join(override.lstrip("+").partition("=")[0].split(".")[:2]) for override in typed}
        self._start_from_weights(options, kept)
        if self.name is None:
            return options
        for group in REGISTRIES:
            chosen = options.get(group)
            if isinstance(chosen, Mapping) and isinstance(chosen.get("name"), str):
                foreign = {key for key in chosen if f"{group}.{key}" not in kept}
                foreign -= self.options_of(group, chosen["name"])
                dropped = foreign & self.said(group) if foreign else foreign
                options[group] = {key: value for key, value in chosen.items() if key not in dropped}
        return options

    def _start_from_weights(self, options: Mapping[str, object], typed: Container[str]) -> None:
        backbone, train = options.get("backbone"), options.get("train")
        if not isinstance(backbone, Mapping) or not isinstance(train, dict) or backbone.get("weights") is None:
            return
        said = "train.seed_epochs" in typed
        if self.name is not None and "backbone.weights" not in typed:
            said = said or train.get("seed_epochs") != compose("config", self.places).train.seed_epochs
        if not said:
            train["seed_epochs"] = 0

    def _options_of(self, group: str, name: str) -> frozenset[str]:
        """The options that a choice has without any preset."""
        config = compose("config", [*self.places, f"{group}={as_typed(name)}"])[group]
        return frozenset(map(str, config)) if isinstance(config, DictConfig) else frozenset()

    def _said(self, group: str) -> frozenset[str]:
        """The options that the preset's own choices have: the one of its body, and those of its sweep."""
        config = compose("config", [*self.places, f"experiment={self.name}"], return_hydra_config=True)
        swept = (config.hydra.sweeper.params or {}).get(group, config[group].name)
        (override,) = parsed([f"{group}={swept}"])
        names = {str(config[group].name), *map(str, plain_values(override))}
        return frozenset[str]().union(*(self.options_of(group, name) for name in names))
