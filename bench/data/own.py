"""Data of one's own: parts that are missing are held out, types decide what inputs and targets are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from bench.core.errors import DataError, require, require_choice
from bench.core.output import notice
from bench.data.base import Dataset, Part
from bench.data.check import check, mismatch
from bench.data.split import hold_out, some, statistics
from bench.data.tensors import Given

TASKS = ("classification", "regression")
CHANNELS = (1, 3)
"""Of images; where the last dimension is one of these and the others are larger than `NARROW`, it is the channels."""
NARROW = 4

LARGE = 30.0
"""Mean and deviation of values for regression above which the usual recipes do not train."""

MOST_CLASSES = 2**16
MOST_PIXELS = 2**14


@dataclass(frozen=True)
class OwnConfig:
    """Options of all data of one's own.

    Args:
        validation: How many training examples to hold out for choices, below 1 which share; without a validation part.
        test: How many to hold out for the test, below 1 which share; without a test part.
        split_seed: Draws the test part where it is held out, and seeds a function of one's own; the same for every
            ``seed`` of a run.
        train_size: How many of the rest to train on; None: all.
        task: classification or regression; None: regression if targets are floats.
        classes: Their number; None: as many as there are in the targets.
        normalise: Whether inputs get mean 0 and deviation 1, measured on the training part.
        crop: Zero padding of images for a random crop, in pixels; 0: no crop.
        flip: Whether half of the training images are mirrored.
    """

    validation: int | float = 0.1
    test: int | float = 0.2
    split_seed: int = 0
    train_size: int | None = None
    task: str | None = None
    classes: int | None = None
    normalise: bool = True
    crop: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        for option in ("validation", "test"):
            value = getattr(self, option)
            holds = 0 < value < 1 or (value >= 1 and value == int(value))
            require(holds, f"data.{option}", value, "a share above 0 and below 1, or a number of examples")
        require(self.crop >= 0, "data.crop", self.crop, "a number of pixels, 0 or more")
        if self.task is not None:
            require_choice("data.task", self.task, TASKS)
        fits = self.classes is None or 2 <= self.classes <= MOST_CLASSES
        require(
            fits, "data.classes", self.classes, f"a number from 2 to {MOST_CLASSES}, or null for those in the targets"
        )


@dataclass(frozen=True)
class OwnImagesConfig(OwnConfig):
    """As `OwnConfig`, for images that are decoded here.

    Args:
        resize: Height and width; the middle square of every image is scaled to that. None: they have one size.
    """

    resize: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = self.resize is None or 1 <= self.resize <= MOST_PIXELS
        require(fits, "data.resize", self.resize, f"a number of pixels from 1 to {MOST_PIXELS}, or null")


OR_RESIZE = ", or data.resize=NUMBER"
"""What helps images of several sizes."""


def assemble(name: str, found: Given, config: OwnConfig, seed: int) -> Dataset:
    """A data set of what somebody handed over.

    Args:
        name: What the user types for it.
        found: Its parts. Inputs are images, (N, C, H, W), (N, H, W, C) with 1 or 3 channels or (N, H, W), of uint8 or
            floats; vectors, (N, F) or (N,), of the same types; or symbols, int64 (N, T). Targets are whole numbers of
            classes, (N,) or (N, 1), or floats, (N,) or (N, K).
        config: Options.
        seed: Draws the validation part where there is none.

    Raises:
        ConfigError: A size is out of range, or an option does not suit the data.
        DataError: They cannot be trained on.
    """
    parts = found.parts()
    for part, examples in parts.items():
        if problem := mismatch(examples):
            raise DataError(f"data={name}: the {part} part has {problem}")
    task = config.task or ("regression" if found.train.targets.is_floating_point() else "classification")
    last = _has_channels_last(found.train.inputs)
    with explained(name):
        parts = {part: Part(_inputs(one.inputs, last), _targets(one.targets, task)) for part, one in parts.items()}
        outputs = _classes(parts, found, config) if task == "classification" else _width(parts["train"], config)
    if task == "regression" and (said := _odd(parts["train"].targets)):
        notice(f"data={name}: {said}")
    held = [part for part in ("test", "validation") if part not in parts]
    for part in held:
        parts["train"], parts[part] = _held_out(part, name, parts["train"], config, seed)
    train = some(parts["train"], config.train_size, seed)
    shape = tuple(train.inputs.shape[1:])
    crops = len(shape) == 3 or not (config.crop or config.flip)
    require(crops, "data.crop" if config.crop else "data.flip", config.crop or True, "images, which the inputs are not")
    entries = 0 if train.inputs.dtype == torch.int64 else shape[0]
    plain = Dataset(
        name=name,
        task="classification" if task == "classification" else "regression",
        outputs=outputs,
        input_shape=shape,
        train=train,
        validation=parts["validation"],
        test=parts["test"],
        mean=torch.zeros(entries),
        std=torch.ones(entries),
        crop=config.crop,
        flip=config.flip,
        classes=found.classes,
        held_out=tuple(held),
    )
    check(plain, name)
    if not config.normalise or not entries:
        return plain
    mean, std = statistics(train.inputs)
    return replace(plain, mean=mean, std=std)


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Within it a `ValueError`, which says what is wrong with the data, becomes a `DataError` that names them."""
    try:
        yield
    except ValueError as error:
        raise DataError(f"data={name}: {error}") from error


def _has_channels_last(inputs: Tensor) -> bool:
    return inputs.dim() == 4 and inputs.shape[3] in CHANNELS and min(inputs.shape[1:3]) > NARROW


def _inputs(inputs: Tensor, channels_last: bool) -> Tensor:
    if inputs.is_floating_point():
        inputs = inputs.float()
    if inputs.dim() == 1:
        return inputs[:, None]
    if inputs.dim() == 3:
        return inputs[:, None]
    return inputs.permute(0, 3, 1, 2) if channels_last and inputs.dim() == 4 else inputs


def _targets(targets: Tensor, task: Literal["classification", "regression"] | str) -> Tensor:
    if task == "regression":
        values = targets.float()
        return values[:, None] if values.dim() == 1 else values
    classes = targets.flatten() if targets.shape[1:] == (1,) else targets
    if classes.is_floating_point() and not classes.equal(classes.round()):
        raise ValueError("targets that are no whole numbers; expected numbers of classes, or data.task=regression")
    return classes.long()


def _classes(parts: dict[str, Part], found: Given, config: OwnConfig) -> int:
    """How many classes there are.

    Raises:
        ValueError: Numbers between 0 and the largest are of no example, and nobody said that there are so many.
    """
    if config.classes is not None or found.classes:
        return config.classes or len(found.classes)
    present = torch.unique(torch.cat([part.targets.flatten() for part in parts.values()]))
    outputs = int(present[-1]) + 1
    if int(present[0]) >= 0 and len(present) < outputs:
        listed = ", ".join(map(str, present[:5].tolist())) + (", ..." if len(present) > 5 else "")
        raise ValueError(
            f"targets are {listed} up to {outputs - 1}, {len(present)} different ones; expected the numbers of classes "
            f"from 0 without gaps, or data.classes={outputs} if some are of no example"
        )
    return outputs


def _width(train: Part, config: OwnConfig) -> int:
    require(config.classes is None, "data.classes", config.classes, "null, as the targets are values (data.task)")
    return int(train.targets.shape[-1])


def _odd(values: Tensor) -> str | None:
    """What somebody may not have meant of values, in words."""
    if not bool(torch.isfinite(values).all()) or len(values) < 2:
        return None  # which is refused
    if values.shape[1] > 1 and bool(((values == 0) | (values == 1)).all()) and bool((values.sum(1) == 1).all()):
        return "targets are floats with a single 1 in each row, learnt as values; classes are whole numbers, shape (N,)"
    mean, std = float(values.mean()), float(values.std(dim=0).max())
    if abs(mean) > LARGE or std > LARGE or 0 < std < 1 / LARGE:
        return f"targets have mean {mean:.3g} and deviation {std:.3g}; training expects about 0 and 1, so scale them"
    return None


def _held_out(part: str, name: str, pool: Part, config: OwnConfig, seed: int) -> tuple[Part, Part]:
    """What is left of the training examples, and a part held out of them."""
    value = getattr(config, part)
    count = max(1, round(value * len(pool))) if value < 1 else int(value)
    if part == "validation":
        return hold_out(pool, count, None, seed)
    rest, held = hold_out(pool, count, None, config.split_seed, part)
    notice(f"data={name}: no test part; {count:,} of {len(pool):,} training examples are held out (data.test={value})")
    return rest, held
