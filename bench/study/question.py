"""Questions as data: one file ``conf/study/NAME.yaml`` each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from bench.core.errors import BenchError, ConfigError, did_you_mean, one_line, require
from bench.core.identity import LATENCY
from bench.core.options import typed
from bench.core.places import known, path_of
from bench.network.cost import costs

GROUP = "study"
CURVES = ("params", "macs", "flops", "rung")
"""What a figure may have scores against, beside a factor."""


@dataclass(frozen=True)
class Figure:
    """What a question's figure shows.

    Attributes:
        x: One of `CURVES`, or a factor with numbers for values, and then scores at the last rung.
        series: Factors that tell lines apart; all that vary, but x and panel, where none is named.
        panel: The factor that tells panels apart, if one does.
        only: Values of factors that are shown, of those named; what has no value there is shown.
    """

    x: str = CURVES[0]
    series: tuple[str, ...] = ()
    panel: str | None = None
    only: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "series", tuple(self.series))  # YAML hands over a list


@dataclass(frozen=True)
class Question:
    """A question that runs answer.

    Attributes:
        asks: In a sentence or two.
        presets: Whose cells answer it, as one types them: ``mnist``, ``study/step``.
        factors: Options whose values are compared: ``method``, ``growth.epsilon``.
        baselines: Values of factors each. A combination is compared with the one that has these and else its own
            values.
        along: Options that are no factors but go along with their values, as epochs with the number of stages.
        tuned: A factor whose values are compared each at its best by validation, if one is.
        within: A factor, among the runs of each of whose values shares of variance are given besides, if one is.
        areas: Costs of one inference, along whose logarithm scores are averaged.
        figure: Options of `Figure`.
        name: Of its file.
    """

    asks: str = ""
    presets: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    baselines: tuple[dict[str, Any], ...] = ()
    along: tuple[str, ...] = ()
    tuned: str | None = None
    within: str | None = None
    areas: tuple[str, ...] = ("params",)
    figure: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self) -> None:
        for key in ("presets", "factors", "baselines", "along", "areas"):
            object.__setattr__(self, key, tuple(getattr(self, key)))  # YAML hands over a list
        object.__setattr__(self, "asks", " ".join(self.asks.split()))
        for key in ("presets", "factors"):
            names = getattr(self, key)
            require(bool(names), key, "[]", "at least one name")
            require(len(set(names)) == len(names), key, list(names), "each name once")
        require(bool(self.asks), "asks", "''", "a sentence or two")
        for preset in self.presets:
            _require_known("presets", preset, known("experiment"))
        for cost in self.areas:
            _require_known("areas", cost, [name for name in costs.names() if name != LATENCY])
        drawn = self.drawn
        for factor, shown in drawn.only.items():
            require(bool(shown), f"figure.only.{factor}", "[]", "at least one value")
        _require_known("figure.x", drawn.x, (*CURVES, *self.factors))
        of_factors = {
            "baselines": chain(*self.baselines),
            "tuned": [self.tuned],
            "within": [self.within],
            "figure.series": drawn.series,
            "figure.only": drawn.only,
            "figure.panel": [drawn.panel],
        }
        for key, names in of_factors.items():
            for name in names:
                if name is not None:
                    _require_known(key, name, self.factors)

    @property
    def place(self) -> str:
        """Its file, for messages."""
        return _place(self.name)

    @property
    def drawn(self) -> Figure:
        """What its figure shows."""
        return typed("figure.", Figure, self.figure)


def questions(names: Sequence[str] = ()) -> list[Question]:
    """The questions of these names, or all.

    Raises:
        BenchError: There is none of a name, or a file is not in order; the message names file, key and value.
    """
    for name in names:
        _require_known("questions", name, known(GROUP))
    require(len(set(names)) == len(names), "questions", list(names), "each name once")
    return [read(name) for name in names or known(GROUP)]


def read(name: str) -> Question:
    """The question in ``conf/study/NAME.yaml``.

    Raises:
        BenchError: The file is not in order.
    """
    import yaml
    from omegaconf import OmegaConf

    place = _place(name)
    try:
        found = OmegaConf.to_container(OmegaConf.load(path_of(f"{GROUP}/{name}")))
        require(isinstance(found, dict), place, found, "asks, presets and factors")
        assert isinstance(found, dict)
        return typed("", Question, {**{str(key): value for key, value in found.items()}, "name": name})
    except BenchError as error:
        raise BenchError(f"{place}: {error}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BenchError(f"{place}: {one_line(error)}") from None


def _place(name: str) -> str:
    return f"conf/{GROUP}/{name}.yaml"


def _require_known(key: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ConfigError(key, value, f"one of {', '.join(known)}{did_you_mean(value, known)}")
