"""VGG with batch norm (arXiv 1409.1556): torchvision's layers, as wide as each other, with a head for small images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from bench.backbones.base import backbones, require_images, require_positive
from bench.backbones.layers import require_activation, use_activation


@dataclass(frozen=True)
class VggConfig:
    """Options.

    Args:
        width: Channels of every convolution; growth finds their proportions.
        activation: relu (published), silu, gelu, softplus or tanh.
    """

    width: int = 8
    activation: str = "silu"

    def __post_init__(self) -> None:
        require_positive(width=self.width)
        require_activation(self.activation)


@backbones.register("vgg11_bn", VggConfig)
def vgg11_bn(config: VggConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """8 convolutions."""
    return _vgg("vgg11_bn", "A", config, input_shape, outputs)


@backbones.register("vgg16_bn", VggConfig)
def vgg16_bn(config: VggConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """13 convolutions."""
    return _vgg("vgg16_bn", "D", config, input_shape, outputs)


@backbones.register("vgg19_bn", VggConfig)
def vgg19_bn(config: VggConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """16 convolutions."""
    return _vgg("vgg19_bn", "E", config, input_shape, outputs)


def _vgg(name: str, letter: str, config: VggConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Convolutions 3x3 with batch norm and activation, max pools while 2 pixels remain, global average, linear.

    Args:
        name: Of the backbone.
        letter: Of the configuration in the paper's table 1.
        config: Width and activation.
        input_shape: Of one image.
        outputs: Width of the output.

    Raises:
        ConfigError: The inputs are no images.
    """
    from torchvision.models.vgg import cfgs, make_layers  # here, as other backbones need not wait for it

    require_images(name, input_shape, side=1)
    layers: list[str | int] = []
    side = min(input_shape[1:])
    for layer in cfgs[letter]:
        if layer != "M":
            layers.append(config.width)
        elif side >= 2:
            layers.append("M")
            side //= 2
    features = make_layers(layers, batch_norm=True)
    features[0] = nn.Conv2d(input_shape[0], config.width, 3, padding=1)  # torchvision's is for 3 channels
    use_activation(features, config.activation)
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(config.width, outputs))
