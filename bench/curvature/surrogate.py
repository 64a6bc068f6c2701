"""Kinks, and the second derivative that stands in for the one they have not.

Where the slope along ``u`` jumps by ``c`` at ``u = 0``, the second derivative is ``c`` times a delta, which automatic
differentiation does not see. In its place comes a bump of area one, the derivative of the logistic function:

    delta(u)  ->  bump(u / width) / width,       bump(x) = s(x) (1 - s(x)),   s(x) = 1 / (1 + exp(-x))

Kinks of activations get the width of S2D's released code, which takes softplus with beta = 3 for ReLU. Ties of maxima
get one of their own (`bench.curvature.ties`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction, FunctionCtx

KINKS = "softplus3"
"""Name of the surrogate for kinks of activations: the second derivative of softplus with beta = 3."""
WIDTH = 1 / 3
TIES = "ties"
"""Name of the surrogate for ties of maxima."""


def bump(u: Tensor, width: float) -> Tensor:
    """``s(u / width) (1 - s(u / width)) / width``, of area one."""
    s = torch.sigmoid(u / width)
    return s * (1 - s) / width


class _Slope(torch.autograd.Function):
    """Zero, with the bump as its derivative."""

    @staticmethod
    def forward(ctx: FunctionCtx, u: Tensor) -> Tensor:
        ctx.save_for_backward(u)
        return torch.zeros_like(u)

    @staticmethod
    def backward(ctx: BackwardCFunction, *gradients: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors
        return gradients[0] * bump(u, WIDTH)


class _Kink(torch.autograd.Function):
    """Zero, with `_Slope` as its derivative."""

    @staticmethod
    def forward(ctx: FunctionCtx, u: Tensor) -> Tensor:
        ctx.save_for_backward(u)
        return torch.zeros_like(u)

    @staticmethod
    def backward(ctx: BackwardCFunction, *gradients: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors
        slope: Tensor = _Slope.apply(u)
        return gradients[0] * slope


def kink(u: Tensor) -> Tensor:
    """What automatic differentiation leaves out of a kink at ``u = 0``: zero, but for the second derivative."""
    return _Kink.apply(u)  # type: ignore[no-any-return]


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """One value per channel, shape ``(C,)``, or one for all, shaped to meet a tensor ``(N, C, ...)``."""
    return values.reshape(1, -1, *[1] * (like.dim() - 2)) if values.dim() else values
