"""ResNets for small images (arXiv 1512.03385): a stem of stride 1 and torchvision's basic blocks."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from bench.backbones.base import backbones, require_images, require_positive
from bench.backbones.layers import activation, require_activation, use_activation


@dataclass(frozen=True)
class ResnetConfig:
    """Options.

    Args:
        width: Channels of the stem and the first stage, doubled by every further stage; published are 16 for
            resnet20 and 64 for resnet18.
        activation: relu (published), silu, gelu, softplus or tanh.
    """

    width: int = 8
    activation: str = "silu"

    def __post_init__(self) -> None:
        require_positive(width=self.width)
        require_activation(self.activation)


@backbones.register("resnet20", ResnetConfig)
def resnet20(config: ResnetConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Three stages of three blocks, the paper's network for CIFAR (section 4.2), with projections as shortcuts."""
    return _resnet("resnet20", (3, 3, 3), config, input_shape, outputs)


@backbones.register("resnet18", ResnetConfig)
def resnet18(config: ResnetConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Four stages of two blocks, with a stem for small images."""
    return _resnet("resnet18", (2, 2, 2, 2), config, input_shape, outputs)


def _resnet(
    name: str, stages: tuple[int, ...], config: ResnetConfig, input_shape: tuple[int, ...], outputs: int
) -> nn.Module:
    """A convolution 3x3, stages of basic blocks of stride 2 at each but the first, global average, linear.

    Args:
        name: Of the backbone.
        stages: Blocks of each stage.
        config: Width and activation.
        input_shape: Of one image.
        outputs: Width of the output.

    Raises:
        ConfigError: The inputs are no images.
    """
    from torchvision.models.resnet import BasicBlock, conv1x1, conv3x3  # here, as other backbones need not wait for it

    require_images(name, input_shape, side=1)
    channels = config.width
    layers = [conv3x3(input_shape[0], channels), nn.BatchNorm2d(channels), activation(config.activation)]
    for stage, blocks in enumerate(stages):
        width = config.width * 2**stage
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            changes = stride != 1 or channels != width
            shortcut = nn.Sequential(conv1x1(channels, width, stride), nn.BatchNorm2d(width)) if changes else None
            layers.append(BasicBlock(channels, width, stride, shortcut))
            channels = width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, outputs))
    use_activation(model, config.activation)
    return model
