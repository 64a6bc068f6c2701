"""What must hold before anything is trained: symbols that are known, a finite loss, a step of training.

And what is said of the data then.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from bench.core.errors import BenchError, ConfigError, DataError, is_out_of_memory
from bench.core.output import notice
from bench.curvature.sample import Sample
from bench.data.base import Dataset
from bench.network.modes import evaluation, mode
from bench.network.program import cause, place
from bench.train.loop import batch_sizes
from bench.train.loss import Loss

TRIED = 64
"""Examples on which the loss is tried."""

LISTED = 5
"""Classes that are named."""


def require_known_symbols(model: nn.Module, data: Dataset, backbone: str) -> None:
    """Raise `DataError` if the network takes symbols, but not the largest of all parts; tried on the CPU.

    A GPU that is asked for a row that its table has not got can do nothing more in this process. What takes no symbols
    at all is told by `bench.network.graph`.
    """
    if data.input_dtype != torch.int64:
        return
    examples = [part.inputs for part in (data.train, data.validation, data.test)]
    inputs = torch.stack([one[one.amax(1).argmax()] for one in examples]).cpu()
    if any(parameter.device.type != "cpu" for parameter in model.parameters()):
        model = deepcopy(model).cpu()
    with evaluation(model), torch.no_grad():
        try:
            model(torch.zeros_like(inputs))
        except Exception:  # it may fail in any way
            return
        try:
            model(inputs)
        except Exception as error:
            why = f"{cause(error)}{place(error)}"
            what = f"symbols up to {int(inputs.max())}, which backbone={backbone} does not take: {why}"
            raise DataError(f"data={data.name}: {what}") from error


def note_unseen_classes(data: Dataset) -> None:
    """Say which classes of the held-out parts no training example has; symbols that are rare are no mistake."""
    if data.task != "classification" or data.input_dtype == torch.int64:
        return
    seen = torch.unique(data.train.targets)
    unseen = {part: _without(getattr(data, part).targets, seen) for part in ("validation", "test")}
    if found := sorted({number for numbers in unseen.values() for number in numbers}):
        named = [data.classes[number] if data.classes else str(number) for number in found]
        listed = ", ".join(named[:LISTED]) + (f" and {len(named) - LISTED} more" if len(named) > LISTED else "")
        parts = " and ".join(part for part, numbers in unseen.items() if numbers)
        notice(f"data={data.name}: classes without a training example, so not learnt: {listed} (in {parts})")


def _without(targets: Tensor, seen: Tensor) -> list[int]:
    """The classes of targets that are not among those seen."""
    there = torch.unique(targets)
    found: list[int] = there[~torch.isin(there, seen)].tolist()
    return found


def require_finite_loss(model: nn.Module, sample: Sample, backbone: str, data: str) -> None:
    """Raise `BenchError` unless the network's loss on the first training examples is a finite number."""
    inputs, targets = next(iter(sample.batches(TRIED)))
    with evaluation(model), torch.no_grad():
        loss = float(sample.loss(model(inputs), targets))
    finite = bool(torch.isfinite(torch.tensor(loss)))
    if not finite:
        where = "the network's outputs are not" if bool(torch.isfinite(inputs).all()) else "the data's inputs are not"
        raise BenchError(f"the loss of backbone={backbone} on data={data} is {loss} at the start: {where} finite")


def require_a_step(model: nn.Module, data: Dataset, loss: Loss, batch_size: int, backbone: str) -> None:
    """Raise `BenchError` unless the network can be trained on an epoch's smallest batch; nothing of it changes.

    Batch norm has no variance over a single example, and what is written in place may have no gradient.
    """
    size = min(batch_sizes(len(data.train), batch_size))
    inputs, targets = data.batch(data.train, torch.arange(size))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    device = inputs.device
    try:
        with mode(model, training=True), torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.autograd.grad(loss(model(inputs), targets), trained, allow_unused=True)
    except Exception as error:  # it may fail in any way
        if is_out_of_memory(error):
            raise
        why = f"{cause(error)}{place(error)}"
        if size == batch_size:
            expected = f"batches that backbone={backbone} can be trained on; one of {size} fails: {why}"
            raise ConfigError("train.batch_size", batch_size, expected) from error
        raise BenchError(f"backbone={backbone}: training on {size} of the data's examples fails: {why}") from error
