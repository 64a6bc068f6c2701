"""Loss and accuracy of a model on one part of a data set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from bench.data.base import Dataset, Part
from bench.network.modes import evaluation
from bench.train.loss import loss_function
from bench.train.precision import autocast


@dataclass(frozen=True)
class Metrics:
    """Measures over a part.

    Args:
        loss: Mean loss per example, without label smoothing.
        accuracy: Fraction of examples classified right, in [0, 1]; None for regression.
    """

    loss: float
    accuracy: float | None


def evaluate(model: nn.Module, data: Dataset, part: Part, precision: str = "fp32", batch_size: int = 1024) -> Metrics:
    """Measure a model on a part of its data, without augmentation; losses are added in float64.

    Args:
        model: On the part's device; left in the mode it was in.
        data: Whose task and normalisation apply.
        part: The examples, e.g. ``data.validation``.
        precision: ``"fp32"`` or ``"bf16"``.
        batch_size: Examples per forward pass; it decides memory, not the result.

    Raises:
        ConfigError: The precision is unknown.
    """
    device = part.inputs.device
    criterion = loss_function(data.task, reduction="none")
    precise = torch.float32 if device.type == "mps" else torch.float64  # mps has no float64
    loss = torch.zeros((), dtype=precise, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    with evaluation(model), torch.inference_mode():
        for index in torch.split(torch.arange(len(part), device=device), batch_size):
            inputs, targets = data.batch(part, index)
            with autocast(device, precision):
                outputs = model(inputs)
                loss += criterion(outputs, targets).sum(dtype=precise)
            if data.task == "classification":
                correct += (outputs.argmax(dim=1) == targets).sum()
    accuracy = correct.item() / len(part) if data.task == "classification" else None
    return Metrics(loss.item() / len(part), accuracy)
