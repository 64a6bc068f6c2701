"""A product with S by automatic differentiation alone: what one writes without `bench.curvature.operator`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from bench.curvature.passes import Curvature
from bench.network.groups import Group


class PlainOperator:
    """Hessian-vector products of ``< stopgrad(dL/du), u(theta) >`` by double backward through layer and chain.

    Args:
        curvature: Has the sample; its pass is made once and held.
        group: A group with one producer, padded with zeros if at all.
    """

    def __init__(self, curvature: Curvature, group: Group) -> None:
        chain, operator = curvature.chains[group.name], curvature.operator(group)
        self.chain, self.like = chain, operator.like
        self.batches = [
            (operator.layers[0].prepare(swept.values[chain.inputs[0]]), [swept.gradients[end] for end in chain.ends])
            for swept in curvature.sweep([group.name])
        ]
        (producer,) = group.producers
        self.layer = curvature.graph.model.get_submodule(producer.layer)
        self.names = ["weight", "bias"] if producer.bias else ["weight"]

    def __call__(self, vectors: Tensor) -> Tensor:
        """``S_i v_i`` over the whole sample, shape ``(n, d)``."""
        total = torch.zeros_like(vectors)
        for inputs, gradients in self.batches:
            total += self._on_batch(inputs, gradients, vectors)
        return total

    def _on_batch(self, inputs: Tensor, gradients: Sequence[Tensor], vectors: Tensor) -> Tensor:
        theta = {name: getattr(self.layer, name).detach().requires_grad_() for name in self.names}
        with torch.enable_grad():
            ends = self.chain([functional_call(self.layer, theta, (inputs,))])
            phi = _inner(gradients, ends)
            first = torch.autograd.grad(phi, list(theta.values()), create_graph=True)
            widths = [parameter[0].numel() for parameter in theta.values()]
            directions = torch.split(vectors, widths, dim=1)
            inner = _inner([v.reshape_as(g) for v, g in zip(directions, first, strict=True)], first)
            second = torch.autograd.grad(inner, list(theta.values()))
        return torch.cat([part.reshape(len(vectors), -1) for part in second], dim=1)


def _inner(one: Sequence[Tensor], two: Sequence[Tensor]) -> Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(one, two, strict=True)]).sum()
