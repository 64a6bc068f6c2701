"""Kinked activations, and the second derivative that stands in for the one they have not."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, fx, nn
from torch.autograd.function import BackwardCFunction, FunctionCtx

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


def surrogate(node: fx.Node, module: nn.Module | None) -> Callable[[Tensor], Tensor] | None:
    """The stand-in for a kinked activation, or None where none is needed."""
    name = type(module).__name__ if module is not None else str(getattr(node.target, "__name__", node.target))
    if name in ("ReLU", "relu"):
        return surrogate_relu
    if name in ("ReLU6", "relu6"):
        return lambda z: surrogate_relu(z) - surrogate_relu(z - 6)
    if name in ("LeakyReLU", "leaky_relu"):
        given = node.kwargs.get("negative_slope", node.args[1] if len(node.args) > 1 else 0.01)
        a = module.negative_slope if isinstance(module, nn.LeakyReLU) else cast(float, given)
        return lambda z: a * z + (1 - a) * surrogate_relu(z)
    if isinstance(module, nn.PReLU):
        slopes = module.weight.detach()
        return lambda z: per_channel(slopes, z) * z + (1 - per_channel(slopes, z)) * surrogate_relu(z)
    if isinstance(module, nn.Hardtanh):
        low, high = module.min_val, module.max_val
        return lambda z: low + surrogate_relu(z - low) - surrogate_relu(z - high)
    if isinstance(module, nn.Hardsigmoid):
        return lambda z: (surrogate_relu(z + 3) - surrogate_relu(z - 3)) / 6
    return None


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """One value per channel, shape ``(C,)``, shaped to meet a tensor ``(N, C, ...)``."""
    return values.reshape(1, -1, *[1] * (like.dim() - 2))
