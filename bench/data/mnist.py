"""MNIST (LeCun et al. 1998) and Fashion-MNIST (arXiv 1708.07747): 60,000 + 10,000 grey images of 28x28, 10 classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.data.base import Dataset, datasets
from bench.data.files import FilesConfig, listed, read
from bench.data.split import hold_out, statistics


@datasets.register("mnist", FilesConfig)
def mnist(config: FilesConfig, seed: int) -> Dataset:
    """Handwritten digits, normalised by the training part.

    Raises:
        ConfigError: A size is out of range.
        DataError: The files are not there and cannot be fetched.
    """
    from torchvision.datasets import MNIST  # here, as it takes a second that other sets need not wait

    return _grey("mnist", MNIST, config, seed)


@datasets.register("fashion_mnist", FilesConfig)
def fashion_mnist(config: FilesConfig, seed: int) -> Dataset:
    """Pieces of clothing, normalised by the training part.

    Raises:
        ConfigError: A size is out of range.
        DataError: The files are not there and cannot be fetched.
    """
    from torchvision.datasets import FashionMNIST  # here, as it takes a second that other sets need not wait

    return _grey("fashion_mnist", FashionMNIST, config, seed)


def _grey(name: str, source: Callable[..., Any], config: FilesConfig, seed: int) -> Dataset:
    pool, test = read(source, name, config.root, config.download)
    train, validation = hold_out(pool, config.validation, config.train_size, seed)
    mean, std = statistics(train.inputs)
    return Dataset(
        name=name,
        task="classification",
        outputs=10,
        input_shape=(1, 28, 28),
        train=train,
        validation=validation,
        test=test,
        mean=mean,
        std=std,
        crop=config.crop,
        flip=config.flip,
        files=listed(source, config.root),
    )
