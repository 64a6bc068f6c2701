"""The radial network of S2D's 1-D toy (arXiv 1910.02366): one hidden layer of exp(-t^2 / 2), t = a x + b."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.backbones.base import backbones, require_features, require_positive


@dataclass(frozen=True)
class RbfConfig:
    """Options.

    Args:
        width: Hidden neurons; the paper's student starts from one.
    """

    width: int = 1

    def __post_init__(self) -> None:
        require_positive(width=self.width)


class Gaussian(nn.Module):
    """exp(-t^2 / 2) of every element."""

    def forward(self, t: Tensor) -> Tensor:
        return torch.exp(-torch.square(t) / 2)


class Rbf(nn.Sequential):
    """Linear, `Gaussian`, linear: inputs (B, F) to (B, outputs)."""

    def __init__(self, features: int, width: int, outputs: int) -> None:
        super().__init__(nn.Linear(features, width), Gaussian(), nn.Linear(width, outputs))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw slopes and biases from U[-r, r] with r = 3 / sqrt(F); the last layer keeps PyTorch's initialisation."""
        hidden = self[0]
        assert isinstance(hidden, nn.Linear)
        bound = 3 / math.sqrt(hidden.in_features)
        for parameter in hidden.parameters():
            nn.init.uniform_(parameter, -bound, bound)


@backbones.register("rbf", RbfConfig)
def rbf(config: RbfConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """One hidden layer of bumps.

    Thrice PyTorch's range for slopes and biases, so that on inputs in [-5, 5] most neurons start as bumps rather than
    as near constants.

    Raises:
        ConfigError: The inputs are images.
    """
    require_features("rbf", input_shape)
    return Rbf(input_shape[0], config.width, outputs)
