"""MobileNetV2 (arXiv 1801.04381): torchvision's, with the stem and strides that suit small images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from bench.backbones.base import backbones, require_images
from bench.backbones.layers import require_activation, use_activation
from bench.backbones.mobilenet_v1 import LEAST
from bench.core.errors import require

PUBLISHED_WIDTH = 32
"""Channels of the published stem; all other layers follow it in proportion."""

STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks and stride of each stage: the published ones but for the second's stride, 1 for 2."""

LAST = 1280
"""Published channels of the last convolution."""


@dataclass(frozen=True)
class MobilenetV2Config:
    """Options.

    Args:
        width: Channels of the stem; 32 are the published network, other layers follow in proportion.
        activation: relu, silu, gelu, softplus or tanh, in place of the published relu6.
    """

    width: int = 8
    activation: str = "silu"

    def __post_init__(self) -> None:
        require(self.width >= 2, "backbone.width", self.width, LEAST)
        require_activation(self.activation)


@backbones.register("mobilenet_v2", MobilenetV2Config)
def mobilenet_v2(config: MobilenetV2Config, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """torchvision's ``MobileNetV2``; the stem and the second stage keep the images' size, no dropout.

    Raises:
        ConfigError: The inputs are no images.
    """
    from torchvision.models.mobilenetv2 import MobileNetV2  # here, as other backbones need not wait for it
    from torchvision.ops.misc import Conv2dNormActivation

    require_images("mobilenet_v2", input_shape, side=1)
    scale = config.width / PUBLISHED_WIDTH
    stages = [list(stage) for stage in STAGES]
    model = MobileNetV2(outputs, scale, stages, round_nearest=1, dropout=0.0)
    _, *blocks, head = model.features
    last = round(LAST * scale)  # torchvision makes it no narrower than published
    stem = Conv2dNormActivation(input_shape[0], config.width, activation_layer=nn.ReLU6)
    head = Conv2dNormActivation(head[0].in_channels, last, kernel_size=1, activation_layer=nn.ReLU6)
    model = nn.Sequential(stem, *blocks, head, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, outputs))
    use_activation(model, config.activation)
    return model
