"""Undo a growth event that fails: networks, optimisers and lineage become what they were before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

Undo = Callable[[], None]

TENSORS = ("_parameters", "_buffers")
"""Where a module holds them."""


@contextmanager
def undone_on_failure(
    models: Sequence[nn.Module], optimizers: Sequence[Optimizer], lineage: dict[str, Tensor]
) -> Iterator[None]:
    """Whatever is raised inside, everything is as it was.

    Surgery puts other parameters in the place of those that are there, so the same ones come back, with their values.

    Args:
        models: The network, and averages of it.
        optimizers: The network's.
        lineage: Of its groups.
    """
    undo = [*map(_model, models), *map(_optimizer, optimizers), _lineage(lineage)]
    try:
        yield
    except BaseException:
        for one in undo:
            one()
        raise


def _model(model: nn.Module) -> Undo:
    values = [(held, held.detach().clone()) for held in (*model.parameters(), *model.buffers())]
    kept = [(module, _attributes(module)) for module in model.modules()]

    def undo() -> None:
        for module, attributes in kept:
            vars(module).clear()
            vars(module).update(attributes)
        for held, value in values:
            held.data.copy_(value)

    return undo


def _attributes(module: nn.Module) -> dict[str, Any]:
    """All that a module has; of what holds tensors a copy."""
    return {name: value.copy() if name in TENSORS else value for name, value in vars(module).items()}


def _optimizer(optimizer: Optimizer) -> Undo:
    held = [list(group["params"]) for group in optimizer.param_groups]
    states = {parameter: dict(state) for parameter, state in optimizer.state.items()}

    def undo() -> None:
        for group, parameters in zip(optimizer.param_groups, held, strict=True):
            group["params"][:] = parameters
        optimizer.state.clear()
        optimizer.state.update(states)

    return undo


def _lineage(lineage: dict[str, Tensor]) -> Undo:
    kept = dict(lineage)

    def undo() -> None:
        lineage.clear()
        lineage.update(kept)

    return undo
