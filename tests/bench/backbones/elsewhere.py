"""Networks from elsewhere: torchvision's that are tried, and factories as users write them.

Tests copy this file to where a user's module would be, and name its factories by ``backbone=import:mine:NAME``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NETWORKS = ["mobilenet_v3_small", "squeezenet1_1", "shufflenet_v2_x0_5"]
"""Small ones of three kinds; `bench.networks` tries all there are."""


def tiny(input_shape: tuple[int, ...], outputs: int, width: int = 3) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(input_shape).numel(), width), nn.Linear(width, outputs))


def wrong(input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    return tiny(input_shape, outputs + 1)


class Paired(nn.Sequential):
    """Puts out its features beside its logits."""

    def forward(self, x: Tensor) -> Tensor:
        features = self[0](x)
        return self[1](features), features  # type: ignore[return-value]


def paired(input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    return Paired(nn.Flatten(), nn.LazyLinear(outputs))


class Viewing(nn.Module):
    """Asks for memory as PyTorch lays it out by default, as many networks do."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(channels, 4, 3), nn.LazyLinear(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.silu(self.conv(x)), 2)
        outputs: Tensor = self.head(x.view(x.size(0), -1))
        return outputs


def viewing(input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    model = Viewing(input_shape[0], outputs)
    model(torch.zeros(1, *input_shape))
    return model
