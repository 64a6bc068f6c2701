"""Optimisers and learning rates of a training recipe."""

from __future__ import annotations

import math
from bisect import bisect_right

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from bench.train.config import TrainConfig


def make_optimizer(model: nn.Module, config: TrainConfig) -> Optimizer:
    """The recipe's optimiser over a model's trainable parameters.

    Two groups of parameters, in the model's order: those with weight decay, then those without (one-dimensional ones,
    unless ``config.decay_norm``). A group without parameters is left out. Adam updates all tensors of a group at once;
    for SGD that gains nothing on the CPU, and PyTorch does it by itself on a GPU. (``fused`` would be a little faster
    on small nets, but on the CPU it silently computes nonsense where a parameter and its state differ in memory
    layout, as they may after surgery; seen with torch 2.15.)

    Raises:
        ValueError: The model has no trainable parameters.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    decayed = [p for p in trainable if config.decay_norm or p.ndim > 1]
    others = [p for p in trainable if not config.decay_norm and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if config.optimizer == "sgd":
        return SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.nesterov)
    adam = Adam if config.optimizer == "adam" else AdamW
    return adam(groups, lr=config.lr, betas=(config.momentum, 0.999), foreach=True)


def learning_rate(config: TrainConfig, step: int, total_steps: int) -> float:
    """The learning rate of one step of a stage, a pure function of progress, so that a resumed run needs no state.

    With ``w = round(warmup * total_steps)`` the first ``w`` steps take ``lr * (step + 1) / (w + 1)``. Then

    * ``constant``: ``lr``
    * ``cosine``: ``lr * (1 + cos(pi * (step - w) / (total_steps - w))) / 2``
      (Loshchilov & Hutter, arXiv 1608.03983, one period)
    * ``step``: ``lr * decay ** m``, with ``m`` the milestones that are at most ``step / total_steps``

    Args:
        config: The recipe.
        step: Steps taken in this stage, from 0 to ``total_steps - 1``.
        total_steps: Steps of the stage, epochs times batches.
    """
    warm = min(round(config.warmup * total_steps), total_steps - 1)
    if step < warm:
        return config.lr * (step + 1) / (warm + 1)
    if config.schedule == "cosine":
        return config.lr * (1 + math.cos(math.pi * (step - warm) / (total_steps - warm))) / 2
    if config.schedule == "step":
        return config.lr * float(config.decay ** bisect_right(config.milestones, step / total_steps))
    return config.lr
