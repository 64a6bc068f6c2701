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


@backbones.register("rbf", RbfConfig)
def rbf(config: RbfConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Linear, `Gaussian`, linear.

    Slopes and biases are U[-r, r] with r = 3 / sqrt(F), thrice PyTorch's range, so that on inputs in [-5, 5] most
    neurons start as bumps rather than as near constants. The last layer has PyTorch's initialisation.

    Raises:
        ConfigError: The inputs are images.
    """
    require_features("rbf", input_shape)
    features = input_shape[0]
    hidden = nn.Linear(features, config.width)
    for parameter in hidden.parameters():
        nn.init.uniform_(parameter, -3 / math.sqrt(features), 3 / math.sqrt(features))
    return nn.Sequential(hidden, Gaussian(), nn.Linear(config.width, outputs))
