"""What an eigensolver finds, and what it asks for on the way.

An eigensolver either finds the `Spectrum` of an operator by itself, or starts a *search*: a generator that asks for
products with S and is sent them. Whoever carries the search out (`bench.curvature.solve`) chooses where the products
come from. So one search can have its layer's products from batches that lie in memory, and many searches can share each
pass over a sample that does not fit. A search may also say on the way what it knows, as an `Estimate`, and go on with
the neurons alone that it is told to.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bench.curvature.operator import Operator

ROUNDING = 4.0
"""Times ``sqrt(d)``, the precision of the numbers and the larger ``|lambda|``: what eigenvalues may be off by. Errors
of sums grow as the root of their length (Higham and Mary, 2019)."""

CONVERGED = 1e-3
"""Residual up to which a search has converged."""

STEPS = 24
"""Products that most searches take: what a search holds is estimated by them."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Both ends of the spectrum of each of n neurons' S.

    An eigenvalue stands for the curvature along its vector, ``v^T S v``, which is what a split along v gains whether or
    not v is an eigenvector yet. Within `uncertainty` of zero it is zero.

    Attributes:
        lowest: Smallest eigenvalues, shape ``(n,)``.
        lowest_vectors: Their unit eigenvectors, shape ``(n, d)``.
        highest: Largest eigenvalues, shape ``(n,)``.
        highest_vectors: Their unit eigenvectors, shape ``(n, d)``.
        residual: Larger ``||S v - lambda v||`` of the two ends, as a share of the larger ``|lambda|``; shape ``(n,)``.
        error: How far ``lambda`` may be from ``v^T S v`` besides rounding, shape ``(n,)``; None where it is not.
    """

    lowest: Tensor
    lowest_vectors: Tensor
    highest: Tensor
    highest_vectors: Tensor
    residual: Tensor
    error: Tensor | None = None

    @property
    def uncertainty(self) -> Tensor:
        """What each neuron's eigenvalues may be off by as computed, in the size of its own spectrum; shape ``(n,)``."""
        scale, precision = torch.maximum(self.lowest.abs(), self.highest.abs()), torch.finfo(self.lowest.dtype)
        rounding = rounding_share(self.lowest_vectors) * scale + precision.tiny
        return rounding if self.error is None else rounding + self.error

    @property
    def negative(self) -> Tensor:
        """The smallest eigenvalues where they are below zero, else zeros; shape ``(n,)``."""
        return torch.where(self.lowest < -self.uncertainty, self.lowest, torch.zeros_like(self.lowest))

    @property
    def positive(self) -> Tensor:
        """The largest eigenvalues where they are above zero, else zeros; shape ``(n,)``."""
        return torch.where(self.highest > self.uncertainty, self.highest, torch.zeros_like(self.highest))

    @property
    def converged(self) -> Tensor:
        """Where the residual says that these are eigenpairs, shape ``(n,)``."""
        return self.residual <= CONVERGED


def rounding_share(vectors: Tensor) -> float:
    """What an eigenvalue may be off by, as a share of the larger ``|lambda|``: for vectors ``(..., d)``."""
    return float(ROUNDING * vectors.shape[-1] ** 0.5 * torch.finfo(vectors.dtype).eps)


@dataclass(frozen=True, eq=False)
class Ask:
    """A product that a search asks for.

    Attributes:
        vectors: One direction per neuron, shape ``(n, d)``.
        neurons: Indices of the neurons that the rows belong to; None for all.
        examples: Examples of the next mini-batch, as an estimate of the sample; None for the whole sample.
    """

    vectors: Tensor
    neurons: Tensor | None = None
    examples: int | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """The product, shaped as the vectors, and whether a pass over the sample ends with it."""

    product: Tensor
    last: bool


@dataclass(frozen=True, eq=False)
class Estimate:
    """What a search knows before its end.

    Attributes:
        likely: Eigenpairs as far as they have been found; those of settled neurons are final.
        slack: How far beyond each end the spectrum may reach, lowest and highest; zero where settled; shape ``(n, 2)``.
        settled: Neurons whose eigenpairs have been found, shape ``(n,)``.
    """

    likely: Spectrum
    slack: Tensor
    settled: Tensor

    def optimistic(self, but: Sequence[int] = ()) -> Spectrum:
        """The widest spectra that there may be: no neuron gains more by a split. The likely ones of some neurons."""
        slack = self.slack.clone()
        slack[list(but)] = 0
        return replace(self.likely, lowest=self.likely.lowest - slack[:, 0], highest=self.likely.highest + slack[:, 1])


Search = Generator[Ask | Estimate, Any, Spectrum]
"""It is sent an `Answer` to what it asks; to an `Estimate` the indices of neurons, with which it goes on until they are
settled, and says again what it knows, or None, and it goes on with all to its end."""

Eigensolver = Callable[[Operator, torch.Generator], Search | Spectrum]
"""Given an operator and a random stream on the CPU. A search reads shapes off the operator and leaves products to
whoever carries it out; a function that makes its products by itself returns what it found."""


class End(NamedTuple):
    """One end of n spectra: eigenvalues ``(n,)``, unit eigenvectors ``(n, d)``, and products of S with these."""

    values: Tensor
    vectors: Tensor
    products: Tensor


def between(low: End, high: End) -> Spectrum:
    """The `Spectrum` with these ends; residuals and errors are those of their products."""
    misses = [torch.linalg.vector_norm(end.products - end.values[:, None] * end.vectors, dim=1) for end in (low, high)]
    errors = [((end.products * end.vectors).sum(1) - end.values).abs() for end in (low, high)]
    scale = torch.maximum(low.values.abs(), high.values.abs()).clamp(min=torch.finfo(low.values.dtype).tiny)
    residual = torch.maximum(*misses) / scale
    return Spectrum(low.values, low.vectors, high.values, high.vectors, residual, torch.maximum(*errors))
