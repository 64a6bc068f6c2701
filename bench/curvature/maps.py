"""Layers as linear maps of their own parameters: ``z = J theta``, one row of theta for each neuron.

J is the layer applied to directions in the place of its weights, ``J^T`` its weight gradient. Neither is ever formed. A
neuron may own several rows: a head does, or one neuron of every group of a grouped convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional as F
from torch.nn import grad

from bench.network.graph import Graph
from bench.network.groups import Group, Producer, tensor_of
from bench.network.program import arguments, operation


class LinearMap:
    """A layer that reads along the last dimension.

    Args:
        row: Numbers in a row of its weight.
        places: Rows that each neuron owns, shape ``(n, k)``.
        rows: Rows of the layer.
        bias: Whether theta has the neuron's biases, behind its rows.

    Attributes:
        size: Length of theta.
        alone: Whether neuron and row are one.
    """

    channel_dim = -1
    unfolds = True

    def __init__(self, row: int, places: Tensor, rows: int, bias: bool) -> None:
        self.row, self.places, self.rows_of_layer, self.bias = row, places, rows, bias
        self.size = places.shape[1] * (row + bias)
        self.alone = places.shape == (rows, 1) and bool(
            (places.flatten() == torch.arange(rows, device=places.device)).all()
        )

    def prepare(self, x: Tensor) -> Tensor:
        """What to keep of the layer's input."""
        return x

    def spread(self, v: Tensor) -> tuple[Tensor, Tensor | None]:
        """Directions ``(n, d)`` as a weight ``(rows, row)`` and a bias ``(rows,)``, zero where no neuron has a row."""
        if self.alone:
            return (v[:, :-1], v[:, -1]) if self.bias else (v, None)
        k, where = self.places.shape[1], self.places.flatten()
        weight = v.new_zeros(self.rows_of_layer, self.row).index_copy_(
            0, where, v[:, : k * self.row].reshape(-1, self.row)
        )
        if not self.bias:
            return weight, None
        return weight, v.new_zeros(self.rows_of_layer).index_copy_(0, where, v[:, k * self.row :].flatten())

    def gathered(self, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The transpose of `spread`."""
        if self.alone:
            return weight if bias is None else torch.cat([weight, bias[:, None]], dim=1)
        own = weight[self.places].flatten(1)
        return own if bias is None else torch.cat([own, bias[self.places]], dim=1)

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        """``J v``: inputs ``(..., in)`` and directions ``(n, d)`` to ``(..., rows)``."""
        return F.linear(x, *self.spread(v))

    def adjoint(self, x: Tensor, t: Tensor) -> Tensor:
        """``J^T t``: ``(..., rows)`` to ``(n, d)``."""
        flat = t.reshape(-1, t.shape[-1])
        return self.gathered(flat.T @ x.reshape(-1, x.shape[-1]), flat.sum(0) if self.bias else None)

    def rows(self, x: Tensor) -> Tensor:
        """The rows of J for one neuron that is one row: ``(positions, d)``."""
        flat = x.reshape(-1, x.shape[-1])
        return torch.cat([flat, flat.new_ones(len(flat), 1)], dim=1) if self.bias else flat


class ConvMap(LinearMap):
    """A convolution over one, two or three dimensions, with groups or without.

    Args:
        kernel: Shape of a row of its weight: channels, then the kernel.
        places: Rows that each neuron owns.
        rows: Rows of the layer.
        bias: Whether theta has the neuron's biases.
        stride: Of the convolution, as are the others.
        padding: Widths, or ``same`` or ``valid``.
        dilation: Between the kernel's entries.
        groups: Of channels.
    """

    channel_dim = 1

    def __init__(
        self,
        kernel: Sequence[int],
        places: Tensor,
        rows: int,
        bias: bool,
        stride: Sequence[int],
        padding: Sequence[int] | str,
        dilation: Sequence[int],
        groups: int = 1,
    ) -> None:
        super().__init__(prod(kernel), places, rows, bias)
        self.kernel, self.rank, self.groups = tuple(kernel), len(kernel) - 1, groups
        stride, dilation = (list(of) * (self.rank if len(of) == 1 else 1) for of in (stride, dilation))
        self.pads: list[int] = []
        if padding == "same":
            for k, step in zip(reversed(self.kernel[1:]), reversed(dilation), strict=True):
                self.pads += [step * (k - 1) // 2, step * (k - 1) - step * (k - 1) // 2]
        if isinstance(padding, str):
            padding = [0]
        self.geometry = stride, list(padding) * (self.rank if len(padding) == 1 else 1), dilation
        self.unfolds = self.rank == 2 and groups == 1

    def prepare(self, x: Tensor) -> Tensor:
        """The input, padded already where that is not of a given width."""
        return F.pad(x, self.pads) if any(self.pads) else x

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        """``J v``: inputs ``(N, C, ...)`` and directions ``(n, d)`` to ``(N, rows, ...)``."""
        weight, bias = self.spread(v)
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.rank - 1]
        bias = None if bias is None else bias.contiguous()
        found: Tensor = convolve(x, weight.reshape(-1, *self.kernel), bias, *self.geometry, self.groups)
        return found

    def adjoint(self, x: Tensor, t: Tensor) -> Tensor:
        """``J^T t``: ``(N, rows, ...)`` to ``(n, d)``."""
        by_weight: Any = (grad.conv1d_weight, grad.conv2d_weight, grad.conv3d_weight)[self.rank - 1]
        weight: Tensor = by_weight(x, (t.shape[1], *self.kernel), t, *self.geometry, self.groups)
        return self.gathered(weight.flatten(1), t.sum((0, *range(2, t.dim()))) if self.bias else None)

    def rows(self, x: Tensor) -> Tensor:
        """The rows of J for one neuron that is one row: ``(positions, d)``, patches of the input."""
        stride, padding, dilation = (tuple(of) for of in self.geometry)
        patches = F.unfold(x, self.kernel[1:], dilation, padding, stride)
        flat = patches.transpose(1, 2).flatten(0, 1)
        return torch.cat([flat, flat.new_ones(len(flat), 1)], dim=1) if self.bias else flat


def linear_map(graph: Graph, node: fx.Node, group: Group, producer: Producer) -> LinearMap:
    """The map of a layer that makes channels of a group.

    Args:
        graph: The network's.
        node: The layer's use.
        group: The group.
        producer: The layer.
    """
    slot = producer.weight
    weight = tensor_of(graph.model, slot.tensor)
    places = slot.owned(group.name, slot.widths(graph.model)).to(weight.device)
    rows, bias = weight.shape[slot.dim], producer.bias is not None
    if not operation(node.target).startswith("conv"):
        return LinearMap(weight.numel() // rows, places, rows, bias)
    given = arguments(node)
    geometry = (given[name] for name in ("stride", "padding", "dilation", "groups"))
    return ConvMap(weight.shape[1:], places, rows, bias, *geometry)
