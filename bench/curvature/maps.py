"""Layers as linear maps of their own parameters: ``z = J theta``, one row of theta for each neuron.

J is the layer applied to directions in the place of its weights, ``J^T`` its weight gradient. Neither is ever formed.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight


class LinearMap:
    """``Linear`` as a map of theta: one row of a weight, and the bias."""

    channel_dim = -1

    def __init__(self, layer: nn.Linear, bias: bool) -> None:
        self.layer, self.bias = layer, bias
        self.size = layer.in_features + bias

    def prepare(self, x: Tensor) -> Tensor:
        """What to keep of the layer's input."""
        return x

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        """``J v``: inputs ``(..., in)`` and directions ``(n, d)`` to ``(..., n)``."""
        return F.linear(x, v[:, :-1], v[:, -1]) if self.bias else F.linear(x, v)

    def adjoint(self, x: Tensor, t: Tensor) -> Tensor:
        """``J^T t``: ``(..., n)`` to ``(n, d)``."""
        flat = t.reshape(-1, t.shape[-1])
        weight = flat.T @ x.reshape(-1, x.shape[-1])
        return torch.cat([weight, flat.sum(0)[:, None]], dim=1) if self.bias else weight

    def rows(self, x: Tensor) -> Tensor:
        """The rows of J for one neuron: ``(positions, d)``."""
        flat = x.reshape(-1, x.shape[-1])
        return torch.cat([flat, flat.new_ones(len(flat), 1)], dim=1) if self.bias else flat


class ConvMap:
    """``Conv2d`` as a map of theta: one output channel's kernel, flattened, and the bias."""

    channel_dim = 1

    def __init__(self, layer: nn.Conv2d, bias: bool) -> None:
        self.layer, self.bias = layer, bias
        self.kernel = tuple(layer.weight.shape[1:])
        self.size = prod(self.kernel) + bias
        own = layer.padding
        self.pads = isinstance(own, str) or layer.padding_mode != "zeros"
        padding = (0, 0) if isinstance(own, str) or self.pads else own  # of what `prepare` leaves
        self.geometry = layer.stride, padding, layer.dilation

    def prepare(self, x: Tensor) -> Tensor:
        """The input, padded already where that is not plain zeros of a given width."""
        if self.pads:
            mode = "constant" if self.layer.padding_mode == "zeros" else self.layer.padding_mode
            return F.pad(x, self.layer._reversed_padding_repeated_twice, mode=mode)
        return x

    def _kernels(self, v: Tensor) -> Tensor:
        return (v[:, :-1] if self.bias else v).reshape(-1, *self.kernel)

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        """``J v``: inputs ``(N, C, H, W)`` and directions ``(n, d)`` to ``(N, n, H', W')``."""
        bias = v[:, -1].contiguous() if self.bias else None
        return F.conv2d(x, self._kernels(v), bias, *self.geometry)

    def adjoint(self, x: Tensor, t: Tensor) -> Tensor:
        """``J^T t``: ``(N, n, H', W')`` to ``(n, d)``."""
        size = (t.shape[1], *self.kernel)
        weight: Tensor = conv2d_weight(x, size, t, *self.geometry)  # type: ignore[no-untyped-call]
        weight = weight.flatten(1)
        return torch.cat([weight, t.sum((0, 2, 3))[:, None]], dim=1) if self.bias else weight

    def rows(self, x: Tensor) -> Tensor:
        """The rows of J for one neuron: ``(positions, d)``, patches of the input."""
        stride, padding, dilation = self.geometry
        patches = F.unfold(x, self.layer.kernel_size, dilation, padding, stride)
        flat = patches.transpose(1, 2).flatten(0, 1)
        return torch.cat([flat, flat.new_ones(len(flat), 1)], dim=1) if self.bias else flat


def linear_map(layer: nn.Module, bias: bool) -> LinearMap | ConvMap:
    """The map of a layer that a group may have as a producer."""
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    return LinearMap(layer, bias) if isinstance(layer, nn.Linear) else ConvMap(layer, bias)
