"""Regression on the values of a known function: what the planted and the RBF teacher share."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.core.errors import require
from bench.data.base import Dataset, Part
from bench.data.split import hold_out

MOST = 10**7
"""Examples of a part; more than that is a slip of the pen."""


@dataclass(frozen=True)
class TeacherConfig:
    """Options of every set made by a teacher.

    Args:
        teacher_seed: The teacher and all examples; the run's seed only holds out the validation part.
        train_size: How many examples to train on.
        validation: How many more to hold out.
        test_size: How many more to test on.
    """

    teacher_seed: int = 0
    train_size: int = 4000
    validation: int = 1000
    test_size: int = 2000

    def __post_init__(self) -> None:
        for option in ("train_size", "validation", "test_size"):
            size = getattr(self, option)
            require(1 <= size <= MOST, f"data.{option}", size, f"a number of at least 1 and at most {MOST}")


def regression(name: str, config: TeacherConfig, pool: Part, test: Part, seed: int) -> Dataset:
    """A data set of float32 features and values, left as they are: mean 0 and deviation 1.

    Args:
        name: The registered name.
        config: The sizes.
        pool: The training and validation examples, ``train_size + validation`` of them.
        test: The test examples.
        seed: Draws the validation part.
    """
    train, validation = hold_out(pool, config.validation, config.train_size, seed)
    features = pool.inputs.shape[1]
    return Dataset(
        name=name,
        task="regression",
        outputs=pool.targets.shape[1],
        input_shape=(features,),
        train=train,
        validation=validation,
        test=test,
        mean=torch.zeros(features),
        std=torch.ones(features),
    )
