"""A spectrum's residual is that of its ends."""

from __future__ import annotations

import torch

from bench.curvature.spectrum import End, between


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
