"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 50,000 + 10,000 colour images of 32x32.

Recipe of the released S2D code for both sets: zero padding of 4, random crop, mirror, and the constants below. They
are those of CIFAR-10's 50,000 images; the deviations are means over the deviations of single images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from bench.data.base import Dataset, datasets
from bench.data.files import FilesConfig, listed, read
from bench.data.split import hold_out

MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2023, 0.1994, 0.2010)


@dataclass(frozen=True)
class CifarConfig(FilesConfig):
    """As `FilesConfig`, with the augmentation of the published runs."""

    crop: int = 4
    flip: bool = True


@datasets.register("cifar10", CifarConfig)
def cifar10(config: CifarConfig, seed: int) -> Dataset:
    """Ten classes of things and animals.

    Raises:
        ConfigError: A size is out of range.
        DataError: The files are not there and cannot be fetched.
    """
    from torchvision.datasets import CIFAR10  # here, as it takes a second that other sets need not wait

    return _colour("cifar10", CIFAR10, 10, config, seed)


@datasets.register("cifar100", CifarConfig)
def cifar100(config: CifarConfig, seed: int) -> Dataset:
    """The hundred fine classes.

    Raises:
        ConfigError: A size is out of range.
        DataError: The files are not there and cannot be fetched.
    """
    from torchvision.datasets import CIFAR100  # here, as it takes a second that other sets need not wait

    return _colour("cifar100", CIFAR100, 100, config, seed)


def _colour(name: str, source: Callable[..., Any], classes: int, config: CifarConfig, seed: int) -> Dataset:
    pool, test = read(source, name, config.root, config.download)
    train, validation = hold_out(pool, config.validation, config.train_size, seed)
    return Dataset(
        name=name,
        task="classification",
        outputs=classes,
        input_shape=(3, 32, 32),
        train=train,
        validation=validation,
        test=test,
        mean=torch.tensor(MEAN),
        std=torch.tensor(STD),
        crop=config.crop,
        flip=config.flip,
        files=listed(source, config.root),
    )
