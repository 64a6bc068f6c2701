"""A network with a shortcut around its hidden layer."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torch import Tensor, nn

from bench.backbones import backbones


@dataclass(frozen=True)
class ResidualConfig:
    """Options."""

    width: int = 4


class Residual(nn.Module):
    """x -> W silu(U x + b) + V x."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(inputs, width), nn.Linear(width, outputs)
        self.shortcut = nn.Linear(inputs, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        x = inputs.flatten(1)
        return self.out(nn.functional.silu(self.hidden(x))) + self.shortcut(x)


@backbones.register("residual", ResidualConfig)
def residual(config: ResidualConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Of images and vectors."""
    return Residual(prod(input_shape), config.width, outputs)
