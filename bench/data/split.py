"""The validation part, and the statistics that normalise inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.core.errors import require
from bench.core.streams import stream
from bench.data.base import Part


def hold_out(pool: Part, validation: int, train_size: int | None, seed: int) -> tuple[Part, Part]:
    """Shuffle the published training examples and divide them.

    Args:
        pool: N examples.
        validation: How many become the validation part; the same ones for every ``train_size``.
        train_size: How many of the rest become the training part; None: all.
        seed: The order.

    Returns:
        The training and the validation part, which share no example.

    Raises:
        ConfigError: A size is out of range.
    """
    count = len(pool)
    require(1 <= validation < count, "data.validation", validation, f"a number from 1 to {count - 1}")
    rest = count - validation
    size = rest if train_size is None else train_size
    require(1 <= size <= rest, "data.train_size", size, f"a number from 1 to {rest}, or null for all")
    order = torch.randperm(count, generator=stream(seed, "validation"))
    parts = order[validation : validation + size], order[:validation]
    train, held_out = (Part(pool.inputs[index], pool.targets[index]) for index in parts)
    return train, held_out


def statistics(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every channel or feature, of uint8 in units of pixel / 255.

    Args:
        inputs: uint8 or float, of shape (N, C, ...).

    Returns:
        Two tensors of shape (C,), float32. A channel without variation has 1 as deviation.
    """
    if inputs.is_floating_point():
        values = inputs.double().transpose(0, 1).flatten(1)
        mean, std = values.mean(1), values.std(1, correction=0)
        return mean.float(), std.where(std > 1e-6 * values.abs().amax(1), 1).float()
    return _of_bytes(inputs)


def _of_bytes(images: Tensor) -> tuple[Tensor, Tensor]:
    channels = [channel.flatten().bincount(minlength=256) for channel in images.unbind(1)]
    histogram = torch.stack(channels).double()
    weight = histogram / histogram.sum(1, keepdim=True)
    level = torch.arange(256, dtype=torch.float64) / 255
    mean = weight @ level
    std = (weight * (level - mean[:, None]).square()).sum(1).sqrt()
    return mean.float(), std.where(std > 0, 1).float()
