"""Regression on the values of a known function: what the planted and the RBF teacher share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from bench.core.errors import require
from bench.core.streams import stream
from bench.data.base import Dataset, Part

MOST = 10**7
"""Examples of a part; more than that is a slip of the pen."""

Examples = Callable[[int, torch.Generator], Part]
"""So many examples of a teacher, drawn from a stream."""


@dataclass(frozen=True)
class TeacherConfig:
    """Options of every set made by a teacher.

    Args:
        teacher_seed: The teacher, training and test examples; the run's seed draws the validation examples alone.
        train_size: How many examples to train on.
        validation: How many others to make choices on.
        test_size: How many others to test on.
    """

    teacher_seed: int = 0
    train_size: int = 4000
    validation: int = 1000
    test_size: int = 2000

    def __post_init__(self) -> None:
        for option in ("train_size", "validation", "test_size"):
            size = getattr(self, option)
            require(1 <= size <= MOST, f"data.{option}", size, f"a number of at least 1 and at most {MOST}")


def regression(
    name: str,
    config: TeacherConfig,
    examples: Examples,
    seed: int,
    noise: float = 0.0,
) -> Dataset:
    """A data set of float32 features and values, left as they are: mean 0 and deviation 1.

    Each part has a stream of its own, so that it is the same whatever the sizes of the others.

    Args:
        name: The registered name.
        config: The sizes.
        examples: The teacher's.
        seed: Draws the validation part.
        noise: Standard deviation of Gaussian noise on training and validation targets.
    """
    own = config.teacher_seed
    train = _noisy(examples, config.train_size, noise, stream(own, f"{name} train"))
    validation = _noisy(examples, config.validation, noise, stream(seed, f"{name} validation {own}"))
    test = examples(config.test_size, stream(own, f"{name} test"))
    features = train.inputs.shape[1]
    return Dataset(
        name=name,
        task="regression",
        outputs=train.targets.shape[1],
        input_shape=(features,),
        train=train,
        validation=validation,
        test=test,
        mean=torch.zeros(features),
        std=torch.ones(features),
        held_out=(),
    )


def _noisy(examples: Examples, count: int, noise: float, numbers: torch.Generator) -> Part:
    found = examples(count, numbers)
    return Part(found.inputs, found.targets + noise * torch.randn(found.targets.shape, generator=numbers))
