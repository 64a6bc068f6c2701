"""The fixed part of the training set on which curvature and loss are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
"""``loss(outputs, targets)``, the mean over the examples."""


def as_they_are(inputs: Tensor) -> Tensor:
    """Inputs that are already what the network takes."""
    return inputs


@dataclass(frozen=True, eq=False)
class Sample:
    """Examples, and how a network is judged on them.

    Attributes:
        inputs: Shape ``(N, ...)``, on the network's device.
        targets: Shape ``(N, ...)``.
        loss: Of a network's outputs and targets.
        prepare: Makes a batch of ``inputs`` what the network takes, e.g. normalised images of raw ones.
    """

    inputs: Tensor
    targets: Tensor
    loss: Loss
    prepare: Callable[[Tensor], Tensor] = as_they_are

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.inputs)

    def some(self, count: int) -> Tensor:
        """The first inputs, at most ``count``, as the network takes them."""
        return next(self.batches(count))[0]

    def batches(self, size: int, cut: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs as the network takes them, and targets, at most ``size`` examples at a time and in order.

        Args:
            size: Examples at most.
            cut: No batch has some examples before and some after a multiple of it; None for batches of ``size``.
        """
        whole = cut or len(self)
        for first in range(0, len(self), whole):
            end = min(first + whole, len(self))
            for start in range(first, end, size):
                part = slice(start, min(start + size, end))
                yield self.prepare(self.inputs[part]), self.targets[part]
