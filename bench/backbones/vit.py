"""A small vision transformer (arXiv 2010.11929): patches as tokens, the mean over tokens instead of a class token."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from bench.backbones.base import backbones, require_images, require_positive
from bench.backbones.transformer import TransformerConfig, Vectors, blocks
from bench.core.errors import require


@dataclass(frozen=True)
class VitConfig(TransformerConfig):
    """As `TransformerConfig`, and the patches.

    Args:
        patch: Pixels of a patch in height and width; a divisor of the images'.
    """

    patch: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(patch=self.patch)


class Vit(nn.Module):
    """Patches, positions, blocks, norm, mean over tokens, linear: images (B, C, H, W) to (B, outputs)."""

    def __init__(self, config: VitConfig, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        channels, height, width = input_shape
        tokens = (height // config.patch) * (width // config.patch)
        self.patches = nn.Conv2d(channels, config.width, config.patch, stride=config.patch)
        self.places = Vectors(tokens, config.width)
        self.blocks = blocks(config)
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        x = self.patches(images).flatten(2).transpose(1, 2) + self.places.weight
        outputs: Tensor = self.head(self.norm(self.blocks(x)).mean(1))
        return outputs


@backbones.register("vit", VitConfig)
def vit(config: VitConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """A vision transformer with pre-norm blocks and learned positions.

    Raises:
        ConfigError: The inputs are no images, or cannot be cut into patches.
    """
    require_images("vit", input_shape, side=1)
    _, height, width = input_shape
    divides = height % config.patch == 0 and width % config.patch == 0
    require(divides, "backbone.patch", config.patch, f"a divisor of the images' height and width, {height}x{width}")
    return Vit(config, input_shape, outputs)
