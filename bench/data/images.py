"""Image files as tensors of one shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

GREY = ("1", "L", "LA")
"""Modes of PIL's that have one channel of at most eight bits; opacity is left out."""

DEEP = ("I", "F")
"""How the names of its modes begin that have more than eight bits."""


def pixels(image: Any, size: int | None) -> Tensor:
    """An image as it is seen, upright.

    Args:
        image: One of PIL's.
        size: Height and width; its middle square is scaled to that. None leaves it.

    Returns:
        uint8 of shape (C, H, W): one channel if the image is grey, else three.

    Raises:
        ValueError: Its pixels have more than eight bits.
    """
    from PIL import Image, ImageOps  # here, as other sets need not wait for it

    if image.mode.startswith(DEEP):
        raise ValueError(f"pixels of more than eight bits (mode {image.mode}); expected 8; data=file: takes floats")
    upright = ImageOps.exif_transpose(image).convert("L" if image.mode in GREY else "RGB")
    if size is not None:
        upright = ImageOps.fit(upright, (size, size), Image.Resampling.BILINEAR)
    values = torch.from_numpy(np.array(upright))
    return values[None] if values.dim() == 2 else values.permute(2, 0, 1)


def together(inputs: Iterable[tuple[str, Tensor]], otherwise: str = "") -> Tensor:
    """Inputs of one shape as one tensor; grey images become coloured if there are coloured ones.

    Args:
        inputs: Each with what it is called in messages; images are uint8 of shape (1 or 3, H, W).
        otherwise: What a message says beside that they must have one shape.

    Returns:
        Shape (N, ...).

    Raises:
        ValueError: There is none, or they have different shapes.
    """
    found: list[Tensor] = []
    first = ""
    for name, one in inputs:
        first = first or name
        found.append(one)
        if _form(one) != _form(found[0]):
            shapes = f"{tuple(found[0].shape)} ({first}) and {tuple(one.shape)} ({name})"
            raise ValueError(f"inputs of shapes {shapes}; expected one shape{otherwise}")
    if not found:
        raise ValueError("no examples in a part; expected some")
    if found[0].dim() == 3:
        channels = max(len(one) for one in found)
        found = [one.expand(channels, -1, -1) for one in found]
    return torch.stack(found)


def alike(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Images by part; grey ones become coloured where another part is."""
    coloured = any(inputs.shape[1] == 3 for inputs in parts.values())
    return {part: inputs.expand(-1, 3, -1, -1) if coloured else inputs for part, inputs in parts.items()}


def _form(one: Tensor) -> tuple[object, ...]:
    """Type and shape, in which grey and coloured images do not differ."""
    colours = one.dtype == torch.uint8 and one.dim() == 3 and one.shape[0] in (1, 3)
    return (one.dtype, "image", *one.shape[1:]) if colours else (one.dtype, *one.shape)
