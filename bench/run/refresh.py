"""Give a network fresh parameters, or fresh batch-norm statistics."""

from __future__ import annotations

import torch
from torch import nn

from bench.core.errors import Refused
from bench.data import Dataset
from bench.network.modes import evaluation


def draw_parameters(model: nn.Module, generator: torch.Generator) -> None:
    """Draw every parameter anew by the modules' own ``reset_parameters``, inner modules first.

    A backbone with an initialisation of its own defines ``reset_parameters`` too and has the last word.

    Raises:
        Refused: A parameter has no module that draws it.
    """
    if left := _not_drawn(model):
        raise Refused(f"cannot start afresh: no reset_parameters draws {', '.join(left)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        for module in reversed(list(model.modules())):
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()


def _not_drawn(module: nn.Module, name: str = "") -> list[str]:
    """Names of parameters that no ``reset_parameters`` of their module or of one around it draws."""
    if callable(getattr(module, "reset_parameters", None)):
        return []
    own = [name + parameter for parameter, _ in module.named_parameters(recurse=False)]
    return own + [left for child, inner in module.named_children() for left in _not_drawn(inner, f"{name}{child}.")]


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
    order = torch.randperm(len(data.train), generator=generator)
    images = 0
    with evaluation(model), torch.no_grad():
        for norm in norms:
            norm.train()
        for index in torch.split(order, size)[:batches]:
            model(data.batch(data.train, index)[0])
            images += len(index)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return images
