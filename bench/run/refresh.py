"""Give a network fresh batch-norm statistics."""

from __future__ import annotations

import torch
from torch import nn

from bench.data import Dataset
from bench.network.modes import evaluation
from bench.network.newborn import BatchNorm
from bench.train.loop import batch_sizes


def refresh_norm(model: nn.Module, data: Dataset, batches: int, size: int, generator: torch.Generator) -> int:
    """Estimate batch-norm statistics again, as plain averages over training batches.

    Args:
        model: On the data's device.
        data: Batches are of ``data.train``, not augmented.
        batches: How many at most.
        size: Of a batch, as in training (`bench.train.loop.batch_sizes`).
        generator: Draws their order.

    Returns:
        Images seen; 0 where the model has no batch norm.
    """
    norms = [module for module in model.modules() if isinstance(module, BatchNorm) and module.track_running_stats]
    if not norms:
        return 0
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average
    order = torch.randperm(len(data.train), generator=generator)
    images = 0
    with evaluation(model), torch.no_grad():
        for norm in norms:
            norm.train()
        for index in torch.split(order, batch_sizes(len(order), size))[:batches]:
            model(data.batch(data.train, index)[0])
            images += len(index)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return images
