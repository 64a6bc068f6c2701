"""What must hold before anything is trained: something to train, and finite numbers."""

from __future__ import annotations

import torch
from torch import nn

from bench.core.errors import BenchError, require
from bench.curvature.sample import Sample
from bench.network.modes import evaluation

TRIED = 64
"""Examples on which the loss is tried."""


def require_trainable(model: nn.Module, backbone: str) -> None:
    """Raise `ConfigError` unless some parameter is trained, and all are finite; a mask may well be infinite."""
    trained = any(parameter.requires_grad for parameter in model.parameters())
    require(trained, "backbone", backbone, "parameters that are trained; all are frozen (requires_grad is False)")
    for name, parameter in model.named_parameters():
        finite = bool(torch.isfinite(parameter).all())
        require(finite, "backbone", backbone, f"finite parameters at the start; {name} has NaN or infinite ones")


def require_finite_loss(model: nn.Module, sample: Sample, backbone: str, data: str) -> None:
    """Raise `BenchError` unless the network's loss on the first training examples is a finite number."""
    inputs, targets = next(iter(sample.batches(TRIED)))
    with evaluation(model), torch.no_grad():
        loss = float(sample.loss(model(inputs), targets))
    finite = bool(torch.isfinite(torch.tensor(loss)))
    if not finite:
        where = "the network's outputs are not" if bool(torch.isfinite(inputs).all()) else "the data's inputs are not"
        raise BenchError(f"the loss of backbone={backbone} on data={data} is {loss} at the start: {where} finite")
