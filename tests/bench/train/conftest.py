"""Tiny data sets for the training loop."""

import pytest
import torch

from bench.data.base import Dataset, Part


@pytest.fixture
def images():
    """34 images of 2x6x6, three classes, cropped and mirrored in training; the class shows in the brightness."""
    generator = torch.Generator().manual_seed(0)

    def part(count):
        targets = torch.randint(3, (count,), generator=generator)
        noise = torch.randint(0, 80, (count, 2, 6, 6), generator=generator)
        return Part((noise + 80 * targets.view(-1, 1, 1, 1)).to(torch.uint8), targets)

    half = torch.tensor([0.5, 0.5])
    return Dataset(
        "images", "classification", 3, (2, 6, 6), part(34), part(23), part(10), half, half / 2, crop=1, flip=True
    )


@pytest.fixture
def curve():
    """A regression of two values on three features."""
    generator = torch.Generator().manual_seed(1)

    def part(count):
        inputs = torch.randn(count, 3, generator=generator)
        return Part(inputs, torch.stack([inputs.sum(1), inputs.prod(1)], dim=1))

    zeros = torch.zeros(3)
    return Dataset("curve", "regression", 2, (3,), part(40), part(17), part(10), zeros, zeros + 1)
