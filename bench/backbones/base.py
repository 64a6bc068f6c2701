"""The registry of backbones, and the checks that they share."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from bench.core.errors import require
from bench.core.registry import Registry

WEIGHTS = "weights"
"""The option that every backbone has beside its own: a file to start from (`bench.run.weights`)."""

backbones: Registry[Callable[..., nn.Module]] = Registry(
    "backbone", "bench.backbones", "growth_bench.backbones", common=(WEIGHTS,)
)
"""Backbones by name: the modules of this package, and other packages' by their entry points.

A factory takes its options, the shape of one input and the width of the output."""


MOST = {"depth": 1000}
"""The largest values of options that say how large a network is; `WIDEST` of all others."""

WIDEST = 2**16


def require_positive(**options: int) -> None:
    """Raise `ConfigError` unless every option of the backbone is at least 1, and no larger than can be built."""
    for option, value in options.items():
        most = MOST.get(option, WIDEST)
        require(1 <= value <= most, f"backbone.{option}", value, f"a number of at least 1 and at most {most}")


def require_images(backbone: str, input_shape: tuple[int, ...], side: int) -> None:
    """Raise `ConfigError` unless inputs are images of at least ``side`` pixels in height and width."""
    holds = len(input_shape) == 3 and min(input_shape[1:]) >= side
    _require_inputs(holds, backbone, f"images of at least {side}x{side} pixels", input_shape)


def require_features(backbone: str, input_shape: tuple[int, ...]) -> None:
    """Raise `ConfigError` unless inputs are vectors of features."""
    _require_inputs(len(input_shape) == 1, backbone, "vectors of features, as data=rbf has", input_shape)


def require_symbols(backbone: str, input_shape: tuple[int, ...], outputs: int) -> None:
    """Raise `ConfigError` unless inputs are sequences and the outputs classes, so that these can be their symbols."""
    _require_inputs(len(input_shape) == 1, backbone, "sequences of symbols, as data=text has", input_shape)
    require(outputs >= 2, "backbone", backbone, "a data set whose classes are its inputs' symbols, as data=text is")


def _require_inputs(holds: bool, backbone: str, expected: str, input_shape: tuple[int, ...]) -> None:
    require(holds, "backbone", backbone, f"{expected}, but this data set's inputs have the shape {input_shape}")
