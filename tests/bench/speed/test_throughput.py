"""The throughput measurement on tiny settings."""

from functools import partial

import pytest
import torch
from torch import nn

from bench.core.errors import ConfigError
from bench.data.base import Dataset, Part
from bench.speed.throughput import PilImages, throughput


def images(channels, **augmentation):
    """40 random images of 6x6 in three classes."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (40, channels, 6, 6), generator=generator).to(torch.uint8)
    part = Part(pixels, torch.randint(3, (40,), generator=generator))
    mean, std = torch.linspace(0.4, 0.5, channels), torch.linspace(0.2, 0.3, channels)
    return Dataset("noise", "classification", 3, (channels, 6, 6), part, part, part, mean, std, **augmentation)


def test_rows_are_positive_and_relative_to_the_rivals():
    data = images(1, crop=1, flip=True)
    net = partial(nn.Sequential, nn.Flatten(), nn.Linear(36, 3))
    rows = throughput(data, net, "linear", images=32, repeats=2, bf16=True)
    by_loop = {row["loop"]: row for row in rows}
    loaders = ["dataloader, 0 workers", "dataloader, 2 workers"]
    assert list(by_loop) == ["bench", "bench, bf16", "plain", "plain, channels last", *loaders]
    assert all(row["images_per_s"] > 0 and row["data"] == "noise" and row["backbone"] == "linear" for row in rows)
    assert by_loop["plain"]["of_plain"] == 1
    assert 1 in [by_loop[loop]["of_dataloader"] for loop in loaders]
    assert by_loop["bench"]["of_plain"] > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_the_rivals_images_are_ours(channels):
    data = images(channels)
    theirs = PilImages(data)
    inputs, targets = data.batch(data.train, torch.arange(len(theirs)))
    for index in range(len(theirs)):
        image, target = theirs[index]
        torch.testing.assert_close(image, inputs[index], rtol=1e-5, atol=1e-5)
        assert target == targets[index]


def test_regression_is_refused():
    part = Part(torch.zeros(4, 2), torch.zeros(4, 1))
    data = Dataset("curve", "regression", 1, (2,), part, part, part, torch.zeros(2), torch.ones(2))
    with pytest.raises(ConfigError, match="data=curve: expected a classification data set of images"):
        throughput(data, lambda: nn.Linear(2, 1), "linear")
