"""What the transformers share: options, and pre-norm blocks that grow in heads and hidden units.

A block keeps no number of heads or units; they follow from its weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from bench.backbones.base import require_positive
from bench.backbones.layers import activation, require_activation
from bench.core.errors import require


@dataclass(frozen=True)
class TransformerConfig:
    """Options of every transformer.

    Args:
        width: Channels of the stream that the blocks add to.
        depth: Blocks.
        heads: Attention heads of every block.
        head_size: Channels of a head's queries, keys and values each; None: ``width // heads``, at least 1.
        hidden: Units of every block's MLP; None: ``2 * width``.
        activation: relu, silu, gelu, softplus or tanh.
    """

    width: int = 16
    depth: int = 2
    heads: int = 2
    head_size: int | None = None
    hidden: int | None = None
    activation: str = "gelu"

    def __post_init__(self) -> None:
        require_positive(width=self.width, depth=self.depth, heads=self.heads)
        for option in ("head_size", "hidden"):
            size = getattr(self, option)
            require(size is None or size >= 1, f"backbone.{option}", size, "a number of at least 1, or null")
        require_activation(self.activation)


class Vectors(nn.Embedding):
    """Learned vectors by number, of about unit length to begin with."""

    def reset_parameters(self) -> None:
        """Draw every entry from N(0, 1 / width); with PyTorch's N(0, 1), positions would drown what stands there."""
        nn.init.normal_(self.weight, std=self.weight.shape[1] ** -0.5)


class Attention(nn.Module):
    """Self-attention.

    Args:
        width: Channels of the stream.
        heads: How many to begin with.
        head_size: Channels of a head's queries, keys and values each.
        causal: Whether a token sees only itself and those before it.
    """

    def __init__(self, width: int, heads: int, head_size: int, causal: bool) -> None:
        super().__init__()
        self.head_size, self.causal = head_size, causal
        self.qkv = nn.Linear(width, 3 * heads * head_size)
        self.proj = nn.Linear(heads * head_size, width)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (B, tokens, width), as that of ``x``."""
        batch, tokens, _ = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, -1, self.head_size).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        outputs: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return outputs


class Block(nn.Module):
    """Attention and an MLP, each behind a norm and added to the stream.

    Args:
        config: The sizes.
        causal: Whether a token sees only itself and those before it.
    """

    def __init__(self, config: TransformerConfig, causal: bool) -> None:
        super().__init__()
        head_size = config.head_size or max(config.width // config.heads, 1)
        hidden = config.hidden or 2 * config.width
        self.norm1 = nn.LayerNorm(config.width)
        self.attention = Attention(config.width, config.heads, head_size, causal)
        self.norm2 = nn.LayerNorm(config.width)
        self.mlp = nn.Sequential(
            nn.Linear(config.width, hidden), activation(config.activation), nn.Linear(hidden, config.width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Shape (B, tokens, width), as that of ``x``."""
        x = x + self.attention(self.norm1(x))
        outputs: Tensor = x + self.mlp(self.norm2(x))
        return outputs


def blocks(config: TransformerConfig, causal: bool = False) -> nn.Sequential:
    """``depth`` blocks, with PyTorch's initialisation."""
    return nn.Sequential(*(Block(config, causal) for _ in range(config.depth)))
