"""The real 8x8 digits that ship with scikit-learn: 1,797 grey images, 10 classes, no download.

``digits.npz`` beside this file holds them, so that a run need not wait for scikit-learn: pixel levels 0 to 16 as 0 to
255, rounded, in the order of ``train_test_split(test_size=360, random_state=0, stratify=classes)``, the test part last.

Source: the test set of "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, UCI Machine Learning
Repository, CC BY 4.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bench.data.base import Dataset, Part, datasets
from bench.data.split import hold_out, statistics

TEST_SIZE = 360


@dataclass(frozen=True)
class DigitsConfig:
    """Options.

    Args:
        validation: How many of the 1,437 training examples to hold out.
        train_size: How many of the rest to train on; None: all.
    """

    validation: int = 250
    train_size: int | None = None


@datasets.register("digits", DigitsConfig)
def digits(config: DigitsConfig, seed: int) -> Dataset:
    """Handwritten digits; the test part is the same 360 images for every seed, 20 % of each class.

    Raises:
        ConfigError: A size is out of range.
    """
    with np.load(Path(__file__).with_suffix(".npz")) as file:
        images = torch.from_numpy(file["images"]).unsqueeze(1)
        targets = torch.from_numpy(file["classes"]).long()
    pool, test = (Part(images[rows], targets[rows]) for rows in (slice(-TEST_SIZE), slice(-TEST_SIZE, None)))
    train, validation = hold_out(pool, config.validation, config.train_size, seed)
    mean, std = statistics(train.inputs)
    return Dataset(
        name="digits",
        task="classification",
        outputs=10,
        input_shape=(1, 8, 8),
        train=train,
        validation=validation,
        test=test,
        mean=mean,
        std=std,
    )
