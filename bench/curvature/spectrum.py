"""What an eigensolver finds, and what it asks for on the way.

An eigensolver either finds the `Spectrum` of an operator by itself, or starts a *search*: a generator that asks for
products with S and is sent them. Whoever carries the search out (`bench.curvature.solve`) chooses where the products
come from. So one search can have its layer's products from batches that lie in memory, and many searches can share each
pass over a sample that does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from bench.curvature.operator import Operator

STEPS = 24
"""Products that most searches take: what a search holds is estimated by them."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Both ends of the spectrum of each of n neurons' S.

    Attributes:
        lowest: Smallest eigenvalues, shape ``(n,)``.
        lowest_vectors: Their unit eigenvectors, shape ``(n, d)``.
        highest: Largest eigenvalues, shape ``(n,)``.
        highest_vectors: Their unit eigenvectors, shape ``(n, d)``.
        residual: Larger ``||S v - lambda v||`` of the two ends, as a share of the larger ``|lambda|``; shape ``(n,)``.
    """

    lowest: Tensor
    lowest_vectors: Tensor
    highest: Tensor
    highest_vectors: Tensor
    residual: Tensor


@dataclass(frozen=True, eq=False)
class Ask:
    """A product that a search asks for.

    Attributes:
        vectors: One direction per neuron, shape ``(n, d)``.
        neurons: Indices of the neurons that the rows belong to; None for all.
        whole: Whether over the whole sample, or on the next batch, as an estimate of that.
    """

    vectors: Tensor
    neurons: Tensor | None = None
    whole: bool = True


@dataclass(frozen=True, eq=False)
class Answer:
    """The product, shaped as the vectors, and whether a pass over the sample ends with it."""

    product: Tensor
    last: bool


Search = Generator[Ask, Answer, Spectrum]

Eigensolver = Callable[[Operator, torch.Generator], Search | Spectrum]
"""Given an operator and a random stream on the CPU. A search reads shapes off the operator and leaves products to
whoever carries it out; a function that makes its products by itself returns what it found."""


class End(NamedTuple):
    """One end of n spectra: eigenvalues ``(n,)``, unit eigenvectors ``(n, d)``, and products of S with these."""

    values: Tensor
    vectors: Tensor
    products: Tensor


def between(low: End, high: End) -> Spectrum:
    """The `Spectrum` with these ends; its residuals are those of their products."""
    misses = [torch.linalg.vector_norm(end.products - end.values[:, None] * end.vectors, dim=1) for end in (low, high)]
    scale = torch.maximum(low.values.abs(), high.values.abs()).clamp(min=torch.finfo(low.values.dtype).tiny)
    return Spectrum(low.values, low.vectors, high.values, high.vectors, torch.maximum(*misses) / scale)
