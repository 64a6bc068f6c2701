"""The augmentation of the CIFAR recipe for a whole batch: mirror, pad with zeros, crop."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def crop_and_flip(images: Tensor, crop: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Mirror half of the images, pad each with ``crop`` zeros on all sides, and cut its size at a random place.

    Every cut is a window of one flat buffer, so that one gather by the windows' first pixels makes the
    batch. Same distribution as torchvision's ``RandomCrop(size, padding=crop)`` followed by
    ``RandomHorizontalFlip()``.

    Args:
        images: Shape (B, H, W, C) with B > 0, any dtype and device; in pixels, so that zero is black.
        crop: The padding.
        flip: Whether to mirror.
        generator: On the CPU. It draws B rows and B columns from 0 to ``2 * crop`` where ``crop`` is not
            zero, then B times 0 or 1, where 1 mirrors, with ``flip``.

    Returns:
        Shape, dtype and device of ``images``.
    """
    count, height, width, channels = images.shape
    rows, columns = height + 2 * crop, width + 2 * crop
    start = torch.arange(count) * (rows * columns)
    if crop:
        top, left = torch.randint(2 * crop + 1, (2, count), generator=generator)
        start += top * columns + left
    if flip:
        images = torch.cat([images, images.flip(2)])
        start += torch.randint(2, (count,), generator=generator) * (count * rows * columns)
    buffer = pad(images, (0, 0, crop, crop, crop, crop)).flatten()
    line, pixel = columns * channels, channels
    starts = (len(buffer) - (height - 1) * line - width * pixel) // pixel + 1
    windows = buffer.as_strided((starts, height, width * pixel), (pixel, line, 1))
    return windows.index_select(0, start.to(images.device, non_blocking=True)).view(count, height, width, channels)
