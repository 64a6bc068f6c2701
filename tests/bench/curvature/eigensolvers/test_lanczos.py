"""Lanczos: where it stops, what it spends, and what it bears."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.network.graph import Graph
from tests.bench.curvature.spectra import CASES, Matrices, check, solved, symmetric


@pytest.mark.parametrize("case", CASES)
def test_both_ends_in_single_precision(case: str) -> None:
    found = solved("lanczos", Matrices(symmetric(CASES[case]).float()))
    scale = CASES[case].abs().amax(1).clamp(min=1e-30)
    assert ((found.lowest - CASES[case].amin(1)).abs() <= 2e-5 * scale).all()
    assert ((found.highest - CASES[case].amax(1)).abs() <= 2e-5 * scale).all()
    assert found.residual.isfinite().all()


@settings(max_examples=40)
@given(
    n=st.integers(1, 5), d=st.integers(1, 30), rank=st.integers(0, 30), seed=st.integers(0, 10**6), repeat=st.booleans()
)
def test_random_spectra(n: int, d: int, rank: int, seed: int, repeat: bool) -> None:
    values = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    values[:, rank:] = 0
    values = values.round() if repeat else values
    matrices = symmetric(values, seed)
    check(solved("lanczos", Matrices(matrices), seed), matrices, 1e-9)


@pytest.mark.parametrize(("case", "products"), [("rank two", 3), ("zero", 1), ("identical", 2)])
def test_it_stops_at_breakdown(case: str, products: int) -> None:
    """A Krylov space of rank r + 1 is exhausted after r + 1 steps, and no more products are spent on it."""
    operator = Matrices(symmetric(CASES[case]))
    solved("lanczos", operator)
    assert 1 <= operator.products <= products


def test_it_spends_common_products_first_then_goes_on_with_the_slow_ones() -> None:
    values = torch.cat([torch.tensor([[-1.0, *[0.0] * 198, 1.0]]).expand(9, -1), torch.linspace(-1, 1, 200)[None]])
    operator = Matrices(symmetric(values))
    found = solved("lanczos", operator, products=24)
    assert operator.common <= 24 < operator.products
    check(found, operator.matrices, 1e-9)


def test_it_says_how_far_it_got_when_it_is_cut_short() -> None:
    operator = Matrices(symmetric(torch.linspace(-1, 1, 200).expand(2, -1)))
    found = solved("lanczos", operator, limit=8)
    assert operator.products == 8
    assert found.residual.min() > 1e-3
    check(found, operator.matrices, 0.2)


def test_a_trained_net_within_24_common_products() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU(), nn.Conv2d(8, 12, 3, bias=False)]
    model = nn.Sequential(
        *layers, nn.BatchNorm2d(12), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 3)
    )
    inputs = torch.randn(60, 2, 7, 7)
    targets = (inputs[:, 0, :3].mean((1, 2)) > 0).long() + (inputs[:, 1].mean((1, 2)) > 0).long()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(15):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    model.double().eval()
    graph = Graph(model, (2, 7, 7))
    curvature = Curvature(graph, Sample(inputs.double(), targets, F.cross_entropy))
    for group in graph.groups.values():
        operator = Matrices(curvature.operator(group).dense())
        found = solved("lanczos", operator)
        assert operator.common <= 24
        check(found, operator.matrices, 1e-5)


@pytest.mark.parametrize("power", [-100, -60, 60])
def test_the_size_of_the_numbers_does_not_matter(power: int) -> None:
    """An untrained deep network has matrices of 1e-30: in float32 their squares are zero."""
    matrices = symmetric(torch.linspace(-1, 2, 12).repeat(3, 1)).float()
    expected, found = (solved("lanczos", Matrices(m)) for m in (matrices, matrices * 2.0**power))
    assert torch.equal(found.lowest, expected.lowest * 2.0**power)
    assert torch.equal(found.highest_vectors, expected.highest_vectors)
    assert torch.equal(found.residual, expected.residual)
