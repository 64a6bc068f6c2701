"""A spectrum's residual is that of its ends, and what it takes for zero."""

from __future__ import annotations

import torch

from bench.curvature.spectrum import ROUNDING, End, Spectrum, between


def test_the_residual_is_the_larger_miss_as_a_share_of_the_larger_value() -> None:
    unit = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    low = End(torch.tensor([-1.0, -4.0]), unit, torch.tensor([[-1.0, 0.5], [-4.0, 1.0]]))
    high = End(torch.tensor([2.0, 3.0]), unit, torch.tensor([[2.0, 0.2], [3.0, -3.0]]))
    found = between(low, high)
    torch.testing.assert_close(found.residual, torch.tensor([0.25, 0.75]))
    assert torch.equal(found.lowest, low.values)
    assert torch.equal(found.highest, high.values)


def test_a_matrix_of_zeros_has_no_residual() -> None:
    end = End(torch.zeros(1), torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2))
    assert not between(end, end).residual.any()


def test_the_error_is_how_far_a_value_is_from_the_curvature_along_its_vector() -> None:
    unit = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    low = End(torch.tensor([-1.0, -4.0]), unit, torch.tensor([[-1.5, 0.5], [3.0, -4.0]]))
    high = End(torch.tensor([2.0, 3.0]), unit, torch.tensor([[2.0, 7.0], [0.0, 3.25]]))
    found = between(low, high)
    assert found.error is not None
    assert found.error.tolist() == [0.5, 0.25]
    assert (found.uncertainty - found.error > 0).all()


def test_zero_is_what_lies_within_rounding_of_the_neurons_own_size() -> None:
    for dtype in (torch.float32, torch.float64):
        eps, d = torch.finfo(dtype).eps, 16
        share = ROUNDING * 4 * eps
        vectors = torch.eye(d, dtype=dtype)[:4]
        lowest = torch.tensor([-0.9 * share, -1.1 * share, -1.1e-20 * share, 0.0], dtype=dtype)
        highest = torch.tensor([1.0, 1.0, 1e-20, 0.0], dtype=dtype)
        found = Spectrum(lowest, vectors, highest, vectors, torch.zeros(4, dtype=dtype))
        assert (found.negative < 0).tolist() == [False, True, True, False]
        assert (found.positive > 0).tolist() == [True, True, True, False]
        assert found.negative[1] == lowest[1]


def test_converged_is_a_residual_below_a_thousandth() -> None:
    values, vectors = torch.ones(2), torch.eye(2)
    found = Spectrum(values, vectors, values, vectors, torch.tensor([9e-4, 2e-3]))
    assert found.converged.tolist() == [True, False]
