"""A network as it is used: raw inputs go in, as the data set has them, and their normalisation is part of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Served(nn.Module):
    """A network behind its normalisation.

    Args:
        network: From normalised inputs to outputs.
        mean: Per channel or feature, as a run's record has it; empty for symbols, which stay as they are.
        std: As ``mean``.
        unit: What raw inputs are divided by first: 255 for pixels of uint8, 1 for floats.
        dimensions: Of one input: 3 for images.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self, network: nn.Module, mean: Sequence[float], std: Sequence[float], unit: float, dimensions: int
    ) -> None:
        super().__init__()
        self.network, self.is_normalised = network, bool(mean)
        if self.is_normalised:
            shape = (-1, *[1] * (dimensions - 1))
            means, deviations = (torch.tensor(list(values), dtype=torch.float32) for values in (mean, std))
            self.register_buffer("scale", (1 / (deviations * unit)).reshape(shape))
            self.register_buffer("shift", (-means / deviations).reshape(shape))

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs, shape (B, outputs), of raw inputs, shape (B, ...)."""
        if self.is_normalised:
            inputs = inputs.to(torch.float32) * self.scale + self.shift
        outputs: Tensor = self.network(inputs)
        return outputs
