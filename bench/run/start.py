"""What must hold before anything is trained: a finite loss."""

from __future__ import annotations

import torch
from torch import nn

from bench.core.errors import BenchError
from bench.curvature.sample import Sample
from bench.network.modes import evaluation

TRIED = 64
"""Examples on which the loss is tried."""


def require_finite_loss(model: nn.Module, sample: Sample, backbone: str, data: str) -> None:
    """Raise `BenchError` unless the network's loss on the first training examples is a finite number."""
    inputs, targets = next(iter(sample.batches(TRIED)))
    with evaluation(model), torch.no_grad():
        loss = float(sample.loss(model(inputs), targets))
    finite = bool(torch.isfinite(torch.tensor(loss)))
    if not finite:
        where = "the network's outputs are not" if bool(torch.isfinite(inputs).all()) else "the data's inputs are not"
        raise BenchError(f"the loss of backbone={backbone} on data={data} is {loss} at the start: {where} finite")
