"""Regression on a planted teacher: a two-layer SiLU network of known width, so the size that suffices is known.

    y = V silu(U x + b) + noise,    x ~ N(0, I)

Entries of U are N(0, 4 / F), of b N(0, 1), of V N(0, 1); the noiseless y is then scaled to a variance of 1, as
measured on inputs of the teacher's own, so a loss of 1 is about that of the best constant. Our own construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import silu

from bench.core.errors import require
from bench.core.streams import stream
from bench.data.base import Dataset, Part, datasets
from bench.data.synthetic import TeacherConfig, regression

SCALED_ON = 2**14
"""Inputs that the variance of a teacher's values is measured on, whatever the sizes of the parts."""


@dataclass(frozen=True)
class PlantedConfig(TeacherConfig):
    """As `TeacherConfig`, and the teacher.

    Args:
        features: The width of the input.
        width: The teacher's hidden neurons.
        outputs: The width of the target.
        noise: Standard deviation of Gaussian noise on training and validation targets; test targets have none.
    """

    features: int = 16
    width: int = 8
    outputs: int = 1
    noise: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("features", "width", "outputs"):
            size = getattr(self, option)
            require(size >= 1, f"data.{option}", size, "a number of at least 1")
        require(self.noise >= 0, "data.noise", self.noise, "a number of at least 0")


@datasets.register("planted", PlantedConfig)
def planted(config: PlantedConfig, seed: int) -> Dataset:
    """Gaussian inputs of shape (N, features) and the teacher's values of shape (N, outputs)."""
    own = stream(config.teacher_seed, "planted")

    def gaussian(*shape: int, numbers: torch.Generator = own) -> Tensor:
        return torch.randn(shape, generator=numbers)

    slopes = 2 * gaussian(config.width, config.features) / config.features**0.5
    biases, weights = gaussian(config.width), gaussian(config.outputs, config.width)

    def values(inputs: Tensor) -> Tensor:
        return silu(inputs @ slopes.T + biases) @ weights.T

    scale = values(gaussian(SCALED_ON, config.features)).var().sqrt()

    def examples(count: int, numbers: torch.Generator) -> Part:
        inputs = gaussian(count, config.features, numbers=numbers)
        return Part(inputs, values(inputs) / scale)

    return regression("planted", config, examples, seed, config.noise)
