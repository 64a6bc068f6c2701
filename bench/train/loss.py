"""The loss of each task."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from bench.core.errors import require, require_choice

Loss = Callable[[Tensor, Tensor], Tensor]


def loss_function(task: str, label_smoothing: float = 0.0, reduction: str = "mean") -> Loss:
    """The loss as a function of (outputs, targets).

    * ``classification``: cross-entropy in nats of logits (N, K) against class indices (N,).
    * ``regression``: squared error of outputs (N, K) against targets (N, K), averaged over the K outputs.

    Args:
        task: ``"classification"`` or ``"regression"``.
        label_smoothing: Share of the target spread over all classes; 0 for regression.
        reduction: Over the N examples: ``"mean"``, ``"sum"``, or ``"none"`` for a loss of shape (N,).

    Raises:
        ConfigError: An argument has a value other than these.
    """
    require_choice("task", task, ("classification", "regression"))
    require_choice("reduction", reduction, ("mean", "sum", "none"))
    require(
        task == "classification" or label_smoothing == 0, "train.label_smoothing", label_smoothing, "0 for regression"
    )

    def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, reduction=reduction, label_smoothing=label_smoothing)

    def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
        if reduction == "mean":
            return F.mse_loss(outputs, targets)
        losses = F.mse_loss(outputs, targets, reduction="none").mean(dim=1)
        return losses.sum() if reduction == "sum" else losses

    return cross_entropy if task == "classification" else squared_error
