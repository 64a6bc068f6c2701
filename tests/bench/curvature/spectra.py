"""Matrices with known spectra in the place of a layer's, and what is true of every spectrum found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from bench.curvature.eigensolvers import eigensolver
from bench.curvature.operator import Batch, Operator
from bench.curvature.passes import Curvature
from bench.curvature.solve import Running, alone, carry_out_together
from bench.curvature.spectrum import Search, Spectrum


class Matrices(Operator):
    """S as it is given, on a sample of one batch.

    Attributes:
        common: Products with all neurons.
    """

    def __init__(self, matrices: Tensor) -> None:
        self.name, self.matrices, self.like = "given", matrices, matrices[:, 0]
        self.neurons, self.size = self.like.shape
        self.products = self.common = 0
        self.flops = 0.0
        self.batches = self._one

    def _one(self, cut: int | None = None) -> Iterator[Batch]:
        yield Batch(1.0, True, (), self.matrices)

    def on_batch(self, batch: Batch, vectors: Tensor, neurons: Tensor | None = None) -> Tensor:
        self.common += neurons is None
        self._count(batch, 1, 0.0)
        chosen = self.matrices if neurons is None else self.matrices[neurons]
        return torch.einsum("nij,nj->ni", chosen, vectors)

    def dense(self) -> Tensor:
        self.products += self.size
        return self.matrices


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def solved(name: str, operator: Operator, seed: int = 0, **options: object) -> Spectrum:
    """What the eigensolver of this name finds by itself."""
    return alone(eigensolver(name, **options)(operator, generator(seed)), operator)


def together(started: Mapping[str, Search | Spectrum], curvature: Curvature) -> dict[str, Spectrum]:
    """What searches in several groups find that share their passes."""
    groups = curvature.graph.groups
    searches = {name: Running(search, curvature.operator(groups[name])) for name, search in started.items()}
    carry_out_together(searches, curvature)
    return {name: one.spectrum() for name, one in searches.items()}


def matrices(curvature: Curvature) -> dict[str, Tensor]:
    """S of every group."""
    return {name: curvature.operator(group).dense() for name, group in curvature.graph.groups.items()}


def close(one: Tensor, two: Tensor, tolerance: float = 1e-10) -> bool:
    """Whether they agree, as a share of the largest entry."""
    return float((one - two).abs().max()) <= tolerance * float(two.abs().max())


def symmetric(values: Tensor, seed: int = 0) -> Tensor:
    """Matrices with these eigenvalues, shape ``(n, d)``, in random bases."""
    n, d = values.shape
    bases = torch.linalg.qr(torch.randn(n, d, d, generator=generator(seed), dtype=torch.float64)).Q
    return torch.einsum("nij,nj,nkj->nik", bases, values.double(), bases)


def check(spectrum: Spectrum, matrices: Tensor, tolerance: float, slack: float = 1e-12) -> None:
    """Values within ``tolerance`` of the largest, and an honest spectrum."""
    values = torch.linalg.eigvalsh(matrices)
    scale = values.abs().amax(1).clamp(min=1e-300)
    assert ((spectrum.lowest - values[:, 0]).abs() <= tolerance * scale).all()
    assert ((spectrum.highest - values[:, -1]).abs() <= tolerance * scale).all()
    check_honest(spectrum, matrices, slack)


def check_honest(spectrum: Spectrum, matrices: Tensor, slack: float = 1e-12) -> None:
    """Unit vectors, and the residual that the pairs have."""
    true = torch.zeros(len(matrices), dtype=torch.float64)
    for value, vector in (
        (spectrum.lowest, spectrum.lowest_vectors),
        (spectrum.highest, spectrum.highest_vectors),
    ):
        assert torch.allclose(torch.linalg.vector_norm(vector, dim=1), torch.ones_like(value))
        miss = torch.einsum("nij,nj->ni", matrices, vector) - value[:, None] * vector
        true = torch.maximum(true, torch.linalg.vector_norm(miss, dim=1))
    ends = torch.maximum(spectrum.lowest.abs(), spectrum.highest.abs()).clamp(min=1e-300)
    torch.testing.assert_close(spectrum.residual.double(), true / ends, rtol=1e-3, atol=slack)


CASES: dict[str, Tensor] = {
    "spread": torch.linspace(-1, 2, 40).expand(3, -1),
    "rank one": torch.tensor([[0.0] * 9 + [2.0], [-3.0] + [0.0] * 9]),
    "rank two": torch.tensor([[-1.0] + [0.0] * 20 + [1.0]]),
    "zero": torch.zeros(3, 6),
    "some zero": torch.stack([torch.zeros(12), torch.linspace(-1, 1, 12)]),
    "one dimension": torch.tensor([[-2.0], [0.0], [3.0]]),
    "two dimensions": torch.tensor([[-2.0, 1.0], [1.0, 1.0]]),
    "identical": torch.full((2, 30), -0.7),
    "two values": torch.cat([torch.full((2, 15), -1.0), torch.full((2, 15), 0.5)], 1),
    "definite": torch.linspace(0.1, 1, 20).expand(2, -1),
    "tiny": 1e-9 * torch.linspace(-1, 2, 20).expand(2, -1),
    "huge": 1e9 * torch.linspace(-1, 2, 20).expand(2, -1),
    "mixed speeds": torch.stack([torch.tensor([-9.0, *[0.0] * 48, 9.0]), torch.linspace(-1, 1, 50)]),
}
"""Eigenvalues, shape ``(n, d)``."""
