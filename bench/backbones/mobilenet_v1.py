"""MobileNetV1 (arXiv 1704.04861) for small images, as the S2D papers grow it (arXiv 1910.02366, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from bench.backbones.base import backbones, require_images
from bench.backbones.layers import activation, require_activation
from bench.core.errors import require

LAYERS = 14
"""The stem and 13 blocks of a depthwise and a pointwise convolution."""

HALVING = (2, 4, 6, 12)
"""Blocks of stride 2, counted from 1."""

LEAST = "at least 2: a depthwise convolution of one channel is a plain one"


@dataclass(frozen=True)
class MobilenetV1Config:
    """Options.

    Args:
        width: Channels of the stem and of every block.
        widths: Channels of the stem and of each of the 13 blocks instead, 14 numbers.
        activation: relu (the S2D paper), silu (fast S2D), gelu, softplus or tanh.
    """

    width: int = 8
    widths: tuple[int, ...] | None = None
    activation: str = "silu"

    def __post_init__(self) -> None:
        require(self.width >= 2, "backbone.width", self.width, LEAST)
        require_activation(self.activation)
        if self.widths is not None:
            object.__setattr__(self, "widths", tuple(self.widths))  # YAML hands over a list
            fits = len(self.widths) == LAYERS and min(self.widths) >= 2
            require(fits, "backbone.widths", list(self.widths), f"null, or {LAYERS} numbers, each {LEAST}")


@backbones.register("mobilenet_v1", MobilenetV1Config)
def mobilenet_v1(config: MobilenetV1Config, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """A convolution 3x3, 13 blocks, global average, linear; batch norm and activation behind every convolution.

    Strides are of the papers' CIFAR form: 2 at blocks 2, 4, 6 and 12, 1 elsewhere. PyTorch's initialisation.

    Raises:
        ConfigError: The inputs are no images.
    """
    require_images("mobilenet_v1", input_shape, side=1)
    stem, *widths = config.widths or (config.width,) * LAYERS
    layers = _convolution(input_shape[0], stem, 3, config.activation)
    channels = stem
    for block, width in enumerate(widths, start=1):
        stride = 2 if block in HALVING else 1
        layers += _convolution(channels, channels, 3, config.activation, stride, groups=channels)
        layers += _convolution(channels, width, 1, config.activation)
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, outputs))


def _convolution(before: int, after: int, size: int, name: str, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(before, after, size, stride, padding=size // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(after), activation(name)]
