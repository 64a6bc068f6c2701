"""A data set resident in memory, and batches of it by index.

Images stay uint8, a quarter of the memory traffic of float32; a batch is gathered, augmented and
normalised as a whole, with no loop over images and no wait for the device. They lie in memory with
their channels last, and so do the batches, which PyTorch's convolutions work on faster.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Literal

import torch
from torch import Tensor

from bench.core.record import DataRecord
from bench.core.registry import Registry
from bench.core.streams import stream
from bench.data.augment import crop_and_flip


@dataclass(frozen=True)
class Part:
    """Examples: one part of a data set.

    Args:
        inputs: Images, uint8 or float of shape (N, C, H, W), features, float of shape (N, F), or symbols, int64 of
            shape (N, T).
        targets: Classes, int64 of shape (N,), or values, float32 of shape (N, K).
    """

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def to(self, device: torch.device | str) -> Part:
        """The same examples on ``device``, images in memory with their channels last."""
        inputs = self.inputs.to(device)
        if inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return Part(inputs, self.targets.to(device))


@dataclass(frozen=True)
class Dataset:
    """Three parts and how their inputs become a network's.

    Args:
        name: The registered name.
        task: What the targets are.
        outputs: The number of classes, or the width of the target.
        input_shape: The shape of one input, (C, H, W), (F,) or (T,).
        train: What a network is trained on.
        validation: What choices are made on; held out from the published training set.
        test: What is reported, never used.
        mean: Per channel, shape (C,), or per feature, shape (F,); of uint8 in units of pixel / 255, of floats as they
            are; empty for symbols.
        std: As ``mean``. Neither knows of the validation or the test part.
        crop: Zero padding of the random crop, in pixels.
        flip: Whether half of the training images are mirrored.
        files: `bench.core.provenance.stamp` of what it was read from, by its path below ``data.root``.
        classes: The classes' names in the order of their numbers; empty if nobody named them.
        held_out: Parts that were drawn from the training examples.
    """

    name: str
    task: Literal["classification", "regression"]
    outputs: int
    input_shape: tuple[int, ...]
    train: Part
    validation: Part
    test: Part
    mean: Tensor
    std: Tensor
    crop: int = 0
    flip: bool = False
    files: dict[str, list[int]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ("validation",)

    @property
    def input_dtype(self) -> torch.dtype:
        """What a network is fed: int64 if inputs are symbols, which stay as they are, float32 otherwise."""
        return torch.int64 if self.train.inputs.dtype == torch.int64 else torch.float32

    def digest(self) -> str:
        """Sixteen hex digits that name the content: all examples, and how they are normalised."""
        found = hashlib.sha256()
        parts = [tensor for part in (self.train, self.validation, self.test) for tensor in (part.inputs, part.targets)]
        for tensor in (*parts, self.mean, self.std):
            found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            found.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        return found.hexdigest()[:16]

    def record(self) -> DataRecord:
        """What a run's record says of it."""
        return DataRecord(
            task=self.task,
            outputs=self.outputs,
            input_shape=list(self.input_shape),
            examples={part: len(getattr(self, part)) for part in ("train", "validation", "test")},
            held_out=list(self.held_out),
            mean=self.mean.tolist(),
            std=self.std.tolist(),
            classes=list(self.classes),
        )

    def to(self, device: torch.device | str) -> Dataset:
        """The same data set on ``device``."""
        parts = {part: getattr(self, part).to(device) for part in ("train", "validation", "test")}
        return replace(self, **parts, mean=self.mean.to(device), std=self.std.to(device))

    def batch(self, part: Part, index: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Normalised examples of a part of this data set.

        Args:
            part: Where to take them.
            index: Which, int64 of shape (B,), on the CPU or on the part's device.
            generator: The source of random crops and flips, on the CPU so that every device draws the
                same; without it nothing is augmented.

        Returns:
            Inputs, `input_dtype` of shape (B, *input_shape), images with their channels last in memory, and
            targets, of shape (B,) or (B, K).
        """
        index = index.to(part.inputs.device, non_blocking=True)
        inputs = part.inputs.movedim(1, -1).index_select(0, index)
        if generator is not None and (self.crop or self.flip):
            inputs = crop_and_flip(inputs, self.crop, self.flip, generator)
        return self._normal(inputs).movedim(-1, 1), part.targets.index_select(0, index)

    def normalised(self, inputs: Tensor) -> Tensor:
        """Inputs as a part has them, shape (B, *input_shape), as `batch` gives them without augmentation."""
        return self._normal(inputs.movedim(1, -1)).movedim(-1, 1)

    def sample(self, size: int | None, seed: int) -> Part:
        """A fixed random subset of the training part, not yet `normalised`.

        Args:
            size: How many examples; all of them, shuffled, if the training part has fewer or with None.
            seed: The same seed gives the same examples, on every device.
        """
        index = torch.randperm(len(self.train), generator=stream(seed, "sample"))[:size].to(self.train.inputs.device)
        inputs = self.train.inputs.movedim(1, -1).index_select(0, index).movedim(-1, 1)
        return Part(inputs, self.train.targets.index_select(0, index))

    def _normal(self, inputs: Tensor) -> Tensor:
        """Of shape (B, ..., channels or features)."""
        if self.input_dtype == torch.int64:
            return inputs
        scale, shift = self._affine
        return inputs.to(torch.float32, copy=True).flatten(1).mul_(scale).add_(shift).view(inputs.shape)

    @cached_property
    def _affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift, one number per input, with (input / unit - mean) / std = scale * input + shift."""
        unit = 255.0 if self.train.inputs.dtype == torch.uint8 else 1.0
        pixels = prod(self.input_shape[1:])
        return (1 / (self.std * unit)).repeat(pixels), (-self.mean / self.std).repeat(pixels)


datasets: Registry[Callable[..., Dataset]] = Registry("data", "bench.data", "growth_bench.data")
"""Data sets by name: the modules of this package, and other packages' by their entry points.

A factory takes its options and the seed that holds out the validation part."""
