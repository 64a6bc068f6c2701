"""A fully connected network, for features and for flattened images."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from bench.backbones.base import backbones, require_positive
from bench.backbones.layers import activation, require_activation


@dataclass(frozen=True)
class MlpConfig:
    """Options.

    Args:
        width: Neurons of every hidden layer.
        depth: Hidden layers.
        activation: relu, silu, gelu, softplus or tanh.
    """

    width: int = 4
    depth: int = 2
    activation: str = "silu"

    def __post_init__(self) -> None:
        require_positive(width=self.width, depth=self.depth)
        require_activation(self.activation)


@backbones.register("mlp", MlpConfig)
def mlp(config: MlpConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Flatten, ``depth`` times linear and activation, linear; PyTorch's initialisation."""
    layers: list[nn.Module] = [nn.Flatten()]
    width = math.prod(input_shape)
    for _ in range(config.depth):
        layers += [nn.Linear(width, config.width), activation(config.activation)]
        width = config.width
    return nn.Sequential(*layers, nn.Linear(width, outputs))
