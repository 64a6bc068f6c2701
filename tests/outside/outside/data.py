"""Two half-moons of points in the plane, one inside the other."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch

from bench.data import Dataset, datasets
from bench.data.own import OwnConfig, assemble
from bench.data.tensors import given


@dataclass(frozen=True)
class MoonsConfig(OwnConfig):
    """As `OwnConfig`, and how many points there are and how far they are off."""

    points: int = 1000
    noise: float = 0.1


@datasets.register("moons", MoonsConfig)
def moons(config: MoonsConfig, seed: int) -> Dataset:
    """Points of shape (N, 2), and which moon each is of."""
    numbers = torch.Generator().manual_seed(0)
    angle = pi * torch.rand(config.points, generator=numbers)
    moon = torch.arange(config.points) % 2
    upper = torch.stack([angle.cos(), angle.sin()], 1)
    points = torch.where(moon[:, None] == 0, upper, torch.tensor([1.0, 0.5]) - upper)
    points += config.noise * torch.randn(config.points, 2, generator=numbers)
    return assemble("moons", given({"train": (points, moon)}), config, seed)
