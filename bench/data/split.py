"""The validation part, and the statistics that normalise inputs."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from bench.core.errors import require
from bench.core.streams import stream
from bench.data.base import Part

TOGETHER = 2**20
"""Numbers that are float64 at a time; all of them would take twice the memory of the data, and some copies of that."""


def hold_out(pool: Part, held: int, train_size: int | None, seed: int, part: str = "validation") -> tuple[Part, Part]:
    """Shuffle the published training examples and divide them.

    Args:
        pool: N examples.
        held: How many become the validation part; the same ones for every ``train_size``.
        train_size: How many of the rest become the training part; None: all.
        seed: The order.
        part: What is held out, and the option that says how many: ``validation`` or ``test``.

    Returns:
        The training part and the one that is held out, which share no example.

    Raises:
        ConfigError: A size is out of range.
    """
    count = len(pool)
    require(1 <= held < count, f"data.{part}", held, f"a number from 1 to {count - 1}")
    size = _train_size(train_size, count - held)
    order = torch.randperm(count, generator=stream(seed, part))
    return _rows(pool, order[held : held + size]), _rows(pool, order[:held])


def some(train: Part, train_size: int | None, seed: int) -> Part:
    """The training part itself, or so many of its examples.

    Raises:
        ConfigError: It has not so many.
    """
    size = _train_size(train_size, len(train))
    if train_size is None:
        return train
    return _rows(train, torch.randperm(len(train), generator=stream(seed, "train"))[:size])


def _train_size(size: int | None, most: int) -> int:
    found = most if size is None else size
    require(1 <= found <= most, "data.train_size", found, f"a number from 1 to {most}, or null for all")
    return found


def _rows(part: Part, index: Tensor) -> Part:
    return Part(part.inputs[index], part.targets[index])


def statistics(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every channel or feature, of uint8 in units of pixel / 255.

    Args:
        inputs: uint8 or float, of shape (N, C, ...).

    Returns:
        Two tensors of shape (C,), float32. A channel without variation has 1 as deviation.
    """
    return _of_floats(inputs) if inputs.is_floating_point() else _of_bytes(inputs)


def _of_floats(inputs: Tensor) -> tuple[Tensor, Tensor]:
    entries = [dim for dim in range(inputs.dim()) if dim != 1]
    mean = _mean(inputs, lambda values: values)
    std = _mean(inputs, lambda values: (values - mean[:, None]).square_()).sqrt()
    largest = torch.maximum(inputs.amax(entries), -inputs.amin(entries))
    return mean.float(), std.where(std > 1e-6 * largest.double(), 1).float()


def _mean(inputs: Tensor, of: Callable[[Tensor], Tensor]) -> Tensor:
    """Mean over each channel's entries of a function of them, both of shape (C, entries), float64."""
    total = torch.zeros(inputs.shape[1], dtype=torch.float64, device=inputs.device)
    size = max(1, TOGETHER // prod(inputs.shape[1:]))
    for start in range(0, len(inputs), size):
        total += of(inputs[start : start + size].double().transpose(0, 1).flatten(1)).sum(1)
    return total * inputs.shape[1] / inputs.numel()


def _of_bytes(images: Tensor) -> tuple[Tensor, Tensor]:
    channels = [channel.flatten().bincount(minlength=256) for channel in images.unbind(1)]
    histogram = torch.stack(channels).double()
    weight = histogram / histogram.sum(1, keepdim=True)
    level = torch.arange(256, dtype=torch.float64) / 255
    mean = weight @ level
    std = (weight * (level - mean[:, None]).square()).sum(1).sqrt()
    return mean.float(), std.where(std > 0, 1).float()
