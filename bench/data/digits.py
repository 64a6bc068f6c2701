"""The real 8x8 digits that ship with scikit-learn: 1,797 grey images, 10 classes, no download.

Source: the test set of "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from bench.data.base import Dataset, Part, datasets
from bench.data.split import carve, statistics

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

    Pixel levels 0 to 16 become 0 to 255, rounded.

    Raises:
        ConfigError: A size is out of range.
    """
    from sklearn.datasets import load_digits  # here, as other sets need not wait for scikit-learn
    from sklearn.model_selection import train_test_split

    levels, classes = load_digits(return_X_y=True)
    images = torch.from_numpy(np.rint(levels * (255 / 16)).astype(np.uint8)).view(-1, 1, 8, 8)
    targets = torch.from_numpy(classes.astype(np.int64))
    rows = train_test_split(np.arange(len(targets)), test_size=TEST_SIZE, random_state=0, stratify=classes)
    pool, test = (Part(images[index], targets[index]) for index in map(torch.from_numpy, rows))
    train, validation = carve(pool, config.validation, config.train_size, seed)
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
