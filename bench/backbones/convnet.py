"""A small network in the manner of VGG (arXiv 1409.1556), with batch normalisation and global average pooling."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from bench.backbones.base import backbones, require_images, require_positive
from bench.backbones.layers import activation, require_activation


@dataclass(frozen=True)
class ConvnetConfig:
    """Options.

    Args:
        width: Channels of every block.
        depth: Blocks.
        activation: relu, silu, gelu, softplus or tanh.
    """

    width: int = 8
    depth: int = 4
    activation: str = "silu"

    def __post_init__(self) -> None:
        require_positive(width=self.width, depth=self.depth)
        require_activation(self.activation)


@backbones.register("convnet", ConvnetConfig)
def convnet(config: ConvnetConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """``depth`` times convolution 3x3, batch norm and activation, then global average and linear.

    A max pool of 2 stands between two blocks wherever 4x4 pixels remain. PyTorch's initialisation.

    Raises:
        ConfigError: The inputs are no images.
    """
    require_images("convnet", input_shape, side=1)
    channels, side = input_shape[0], min(input_shape[1:])
    layers: list[nn.Module] = []
    for block in range(config.depth):
        if block > 0 and side >= 8:
            layers.append(nn.MaxPool2d(2))
            side //= 2
        layers += [
            nn.Conv2d(channels, config.width, 3, padding=1, bias=False),
            nn.BatchNorm2d(config.width),
            activation(config.activation),
        ]
        channels = config.width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, outputs))
