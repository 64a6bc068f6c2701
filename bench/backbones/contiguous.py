"""Networks that ask how tensors lie in memory: ``x.view(len(x), -1)`` behind a convolution.

Batches of images have their channels last in memory (`bench.data.base`), which such a network refuses.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.network.modes import evaluation


class Contiguous(nn.Module):
    """A network behind a door that lays its inputs out as PyTorch does by default."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        """What the network makes of the inputs."""
        outputs: Tensor = self.model(inputs.clone(memory_format=torch.contiguous_format))
        return outputs


def for_channels_last(model: nn.Module, input_shape: tuple[int, ...]) -> nn.Module:
    """The network, behind `Contiguous` if it takes images in memory's default order only."""
    if len(input_shape) != 3:
        return model
    images = torch.zeros(2, *input_shape[1:], input_shape[0]).movedim(-1, 1)
    with evaluation(model), torch.no_grad():
        try:
            model(images)
        except Exception:  # if it objects to more than that, `bench.network.graph` tells it
            return Contiguous(model)
    return model
