"""The 1-D toy of S2D (arXiv 1910.02366): a function that is a sum of 15 radial neurons.

    y(x) = sum_i w_i exp(-t_i^2 / 2),    t_i = a_i (x - c_i),    x ~ U[-5, 5]

The paper gives the form and the range; the teacher's distribution is ours: w_i ~ N(0, 1), a_i ~ U[0.5, 3],
c_i ~ U[-5, 5]. Inputs and values are left unscaled, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.errors import require
from bench.core.streams import stream
from bench.data.base import Dataset, Part, datasets
from bench.data.synthetic import TeacherConfig, regression


@dataclass(frozen=True)
class RbfConfig(TeacherConfig):
    """As `TeacherConfig`, with the paper's size, and the teacher.

    Args:
        neurons: The teacher's width.
    """

    train_size: int = 1000
    validation: int = 200
    test_size: int = 1000
    neurons: int = 15

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.neurons >= 1, "data.neurons", self.neurons, "a number of at least 1")


@datasets.register("rbf", RbfConfig)
def rbf(config: RbfConfig, seed: int) -> Dataset:
    """Inputs of shape (N, 1) in [-5, 5] and the teacher's values of shape (N, 1)."""
    own = stream(config.teacher_seed, "rbf")

    def uniform(low: float, high: float, *shape: int, numbers: torch.Generator = own) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=numbers)

    slopes, centres = uniform(0.5, 3, config.neurons), uniform(-5, 5, config.neurons)
    weights = torch.randn(config.neurons, 1, generator=own)

    def examples(count: int, numbers: torch.Generator) -> Part:
        inputs = uniform(-5, 5, count, 1, numbers=numbers)
        return Part(inputs, torch.exp(-((slopes * (inputs - centres)) ** 2) / 2) @ weights)

    return regression("rbf", config, examples, seed)
