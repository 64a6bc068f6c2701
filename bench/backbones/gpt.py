"""A character-level GPT: a causal transformer that reads a window of symbols and predicts the one after it."""

from __future__ import annotations

from torch import Tensor, nn

from bench.backbones.base import backbones, require_symbols
from bench.backbones.transformer import TransformerConfig, Vectors, blocks


class Gpt(nn.Module):
    """Symbols, positions, causal blocks, norm and linear at the last place: int64 (B, T) to logits (B, symbols)."""

    def __init__(self, config: TransformerConfig, length: int, symbols: int) -> None:
        super().__init__()
        self.symbols = Vectors(symbols, config.width)
        self.places = Vectors(length, config.width)
        self.blocks = blocks(config, causal=True)
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, symbols)

    def forward(self, window: Tensor) -> Tensor:
        """Logits of the symbol that follows the window."""
        x = self.blocks(self.symbols(window) + self.places.weight)
        outputs: Tensor = self.head(self.norm(x[:, -1]))
        return outputs


@backbones.register("gpt", TransformerConfig)
def gpt(config: TransformerConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """A GPT with pre-norm blocks and learned positions; its symbols are the classes, so it is for next-symbol data.

    Raises:
        ConfigError: The inputs are no sequences, or the outputs no classes.
    """
    require_symbols("gpt", input_shape, outputs)
    return Gpt(config, input_shape[0], outputs)
