"""The splitting operator: one symmetric matrix S per neuron, as products on a fixed sample.

``S = Hess_theta < stopgrad(dL/du), u(theta) >`` (bench/MATHS.md, section 2; S2D, arXiv 1910.02366). With the
producer linear in theta, ``z = J theta``, it is ``S V = J^T H J V`` where J is the layer applied to V, J^T its
weight gradient (`bench.curvature.maps`), and H the second derivative of the chain behind it
(`bench.curvature.hessian`). Blocks between different neurons vanish, so one product serves every neuron of a layer: one
convolution and one weight-gradient convolution.

Where H is diagonal, one number per output position, it is computed once. Behind depthwise convolutions it is
a product with the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.errors import BenchError
from bench.curvature.hessian import ChainHessian
from bench.curvature.maps import LinearMap


@dataclass(frozen=True, eq=False)
class Batch:
    """What products with one group's S need of one batch of the sample.

    Attributes:
        share: Its examples as a share of the sample's.
        last: Whether a pass over the sample ends with it.
        inputs: What each producer reads.
        hessian: H as its diagonal, shaped as the producer's output, where it is diagonal; else as a product.
        done: Examples of the pass up to its end.
    """

    share: float
    last: bool
    inputs: tuple[Tensor, ...]
    hessian: Tensor | ChainHessian
    done: int = 0


class Operator:
    """S of every neuron of one group.

    Args:
        layers: The group's producers.
        batches: Called for each pass over the sample; yields its batches. Given a number of examples, no batch has some
            before and some after a multiple of it.
        like: The neurons' parameters, shape ``(n, d)``; results have its dtype and device.
        name: The group's, for messages.

    Attributes:
        neurons: n.
        size: d.
        products: Products over the whole sample so far, with however many of the neurons.
        flops: Floating-point operations of the products so far.
    """

    def __init__(
        self, layers: Sequence[LinearMap], batches: Callable[..., Iterator[Batch]], like: Tensor, name: str
    ) -> None:
        self.batches, self.like, self.name = batches, like, name
        self.neurons, self.size = like.shape
        self.layers = list(layers)
        self.alone = len(self.layers) == 1 and self.layers[0].alone
        self.products = 0
        self.flops = 0.0

    def __call__(self, vectors: Tensor, neurons: Tensor | None = None) -> Tensor:
        """``S_i v_i`` over the whole sample.

        Args:
            vectors: One direction per neuron, shape ``(n, d)``.
            neurons: Indices of the neurons that the rows of ``vectors`` belong to; None for all.

        Returns:
            Shape ``(n, d)``, or as many rows as ``neurons``.

        Raises:
            BenchError: It is not finite.
        """
        total = torch.zeros_like(vectors)
        for batch in self.batches():
            total += self.on_batch(batch, vectors, neurons)
        return total

    def on_batch(self, batch: Batch, vectors: Tensor, neurons: Tensor | None = None) -> Tensor:
        """One batch's share of ``S_i v_i``; arguments as in calling."""
        if neurons is not None and not (self.alone and isinstance(batch.hessian, Tensor)):
            full = vectors.new_zeros(self.neurons, self.size)
            full[neurons] = vectors
            return self.on_batch(batch, full)[neurons]
        parts = torch.split(vectors, [layer.size for layer in self.layers], dim=1)
        pairs = list(zip(self.layers, batch.inputs, strict=True))
        tangents = [layer.forward(x, v) for (layer, x), v in zip(pairs, parts, strict=True)]
        self._count(
            batch,
            1,
            4 * sum(t.numel() * (layer.row + layer.bias) for t, layer in zip(tangents, self.layers, strict=True)),
        )
        if isinstance(batch.hessian, ChainHessian):
            bent = batch.hessian.product(tangents)
        else:
            dim = self.layers[0].channel_dim
            diagonal = batch.hessian if neurons is None else batch.hessian.index_select(dim, neurons)
            bent = [tangents[0].mul_(diagonal)]
        return self._finite(torch.cat([m.adjoint(x, t) for (m, x), t in zip(pairs, bent, strict=True)], dim=1))

    def dense(self) -> Tensor:
        """S itself, shape ``(n, d, d)``: from unfolded inputs where H is diagonal, else by products."""
        total = self.like.new_zeros(self.neurons, self.size, self.size)
        for batch in self.batches():
            if isinstance(batch.hessian, Tensor) and self.alone and self.layers[0].unfolds:
                self._add_unfolded(batch, batch.hessian, total)
            else:
                self._add_columns(batch, total)
        return self._finite(total)

    def _finite(self, found: Tensor) -> Tensor:
        if not found.isfinite().all():
            where = f"{self.name}: the splitting matrix is not finite on the sample"
            raise BenchError(f"{where}: gradients or activations overflow; try a lower train.lr")
        return found

    def _add_unfolded(self, batch: Batch, diagonal: Tensor, total: Tensor) -> None:
        layer = self.layers[0]
        rows = layer.rows(batch.inputs[0])
        weights = diagonal.movedim(layer.channel_dim, 0).flatten(1)
        for neuron in range(self.neurons):
            total[neuron] += (rows * weights[neuron][:, None]).T @ rows
        self._count(batch, self.size, 2 * weights.numel() * self.size**2)

    def _add_columns(self, batch: Batch, total: Tensor) -> None:
        for column in range(self.size):
            unit = self.like.new_zeros(self.neurons, self.size)
            unit[:, column] = 1
            total[:, :, column] += self.on_batch(batch, unit)

    def _count(self, batch: Batch, products: int, flops: float) -> None:
        """Count what was done on a batch. Products are over the whole sample: they are done with its last batch."""
        self.flops += flops
        self.products += products * batch.last
