"""Give a network fresh parameters, or fresh batch-norm statistics."""

from __future__ import annotations

import torch
from torch import nn

from bench.data import Dataset


def draw_parameters(model: nn.Module, generator: torch.Generator) -> None:
    """Draw every parameter anew by the modules' own ``reset_parameters``, inner modules first.

    A backbone with an initialisation of its own defines ``reset_parameters`` too and has the last word.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        for module in reversed(list(model.modules())):
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()


def refresh_norm(model: nn.Module, data: Dataset, batches: int, size: int, generator: torch.Generator) -> int:
    """Estimate batch-norm statistics again, as plain averages over training batches.

    Returns:
        Images seen; 0 where the model has no batch norm.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) and m.track_running_stats]
    if not norms:
        return 0
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average
    training = model.training
    model.train()
    order = torch.randperm(len(data.train), generator=generator)
    images = 0
    with torch.no_grad():
        for index in torch.split(order, size)[:batches]:
            model(data.batch(data.train, index)[0])
            images += len(index)
    model.train(training)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return images
