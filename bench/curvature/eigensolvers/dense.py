"""S itself, decomposed in float64 by ``torch.linalg.eigh``."""

from __future__ import annotations

import torch

from bench.core.registry import NoOptions
from bench.curvature.eigensolvers.base import eigensolvers
from bench.curvature.operator import Operator
from bench.curvature.spectrum import End, Spectrum, between


@eigensolvers.register("dense")
def dense(options: NoOptions, operator: Operator, generator: torch.Generator) -> Spectrum:
    """Form S and decompose it: exact, at ``d`` products and a memory of ``n d^2``. The generator is not used."""
    matrix = operator.dense()
    values, vectors = torch.linalg.eigh(matrix.cpu().double() if matrix.device.type == "mps" else matrix.double())
    values, vectors = values.to(matrix), vectors.to(matrix)
    low, high = vectors[:, :, 0], vectors[:, :, -1]
    products = [torch.einsum("nij,nj->ni", matrix, v) for v in (low, high)]
    return between(End(values[:, 0], low, products[0]), End(values[:, -1], high, products[1]))
