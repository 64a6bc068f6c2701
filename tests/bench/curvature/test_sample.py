"""Batches of a sample, in order and prepared."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from bench.curvature.sample import Sample


def test_batches_are_the_sample_in_order_and_prepared() -> None:
    inputs, targets = torch.arange(7), torch.arange(7) % 3
    plain, halved = Sample(inputs, targets, F.mse_loss), Sample(inputs, targets, F.mse_loss, lambda part: part / 2)
    assert len(plain) == len(halved) == 7
    batches = list(plain.batches(3))
    assert [len(part) for part, _ in batches] == [3, 3, 1]
    assert torch.equal(torch.cat([part for part, _ in batches]), inputs)
    assert torch.equal(torch.cat([part for _, part in batches]), targets)
    assert torch.equal(torch.cat([part for part, _ in halved.batches(4)]), inputs / 2)
