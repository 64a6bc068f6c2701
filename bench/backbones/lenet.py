"""A narrow LeNet-5 (LeCun et al. 1998) with same padding, from 4x4 pixels up."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from bench.backbones.base import backbones, require_images, require_positive
from bench.backbones.layers import activation, require_activation


@dataclass(frozen=True)
class LenetConfig:
    """Options.

    Args:
        width: Channels of the first convolution; the other hidden layers have 2, 4 and 2 times as many.
        activation: relu, silu, gelu, softplus or tanh.
    """

    width: int = 4
    activation: str = "silu"

    def __post_init__(self) -> None:
        require_positive(width=self.width)
        require_activation(self.activation)


@backbones.register("lenet", LenetConfig)
def lenet(config: LenetConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Two convolutions 5x5, each with a max pool of 2, and three linear layers; PyTorch's initialisation.

    Raises:
        ConfigError: The inputs are no images, or smaller than 4x4.
    """
    require_images("lenet", input_shape, side=4)
    channels, height, width = input_shape
    first, second, third, fourth = (config.width * factor for factor in (1, 2, 4, 2))
    return nn.Sequential(
        nn.Conv2d(channels, first, 5, padding=2),
        activation(config.activation),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 5, padding=2),
        activation(config.activation),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(second * (height // 4) * (width // 4), third),
        activation(config.activation),
        nn.Linear(third, fourth),
        activation(config.activation),
        nn.Linear(fourth, outputs),
    )
