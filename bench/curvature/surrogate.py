"""Kinked activations, and the second derivative that stands in for the one they have not."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction, FunctionCtx

from bench.network.operations import Kinks

SURROGATE = "softplus3"
"""Second derivative given to ReLU: that of softplus with beta = 3, ``3 s(3z) (1 - s(3z))``, as in the
released code of S2D. Forward and first derivative stay ReLU's."""


class _Step(torch.autograd.Function):
    """``z > 0`` with the derivative of the logistic function ``s(3z)``."""

    @staticmethod
    def forward(ctx: FunctionCtx, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return (z > 0).to(z.dtype)

    @staticmethod
    def backward(ctx: BackwardCFunction, *gradients: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        s = torch.sigmoid(3 * z)
        return gradients[0] * 3 * s * (1 - s)


class _Relu(torch.autograd.Function):
    """ReLU whose backward pass is differentiable by way of `_Step`."""

    @staticmethod
    def forward(ctx: FunctionCtx, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return z.clamp(min=0)

    @staticmethod
    def backward(ctx: BackwardCFunction, *gradients: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        return gradients[0] * surrogate_step(z)


def surrogate_step(z: Tensor) -> Tensor:
    """Derivative of ReLU, itself with the surrogate's derivative."""
    return _Step.apply(z)  # type: ignore[no-any-return]


def surrogate_relu(z: Tensor) -> Tensor:
    """ReLU in value and first derivative, softplus with beta = 3 in the second."""
    return _Relu.apply(z)  # type: ignore[no-any-return]


def surrogate(kinks: Kinks) -> Callable[[Tensor], Tensor]:
    """The stand-in for a piecewise linear function.

    Args:
        kinks: The function; its numbers may be tensors of one per channel.
    """
    slope, places, shift = kinks

    def function(z: Tensor) -> Tensor:
        found = z * per_channel(slope, z) if isinstance(slope, Tensor) else slope * z if slope else None
        for at, change in places:
            bent = surrogate_relu(z - at if at else z)
            term = (
                per_channel(change, z) * bent if isinstance(change, Tensor) else bent if change == 1 else change * bent
            )
            found = term if found is None else found + term
        assert found is not None
        return found + shift if shift else found

    return function


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """One value per channel, shape ``(C,)``, or one for all, shaped to meet a tensor ``(N, C, ...)``."""
    return values.reshape(1, -1, *[1] * (like.dim() - 2)) if values.dim() else values
