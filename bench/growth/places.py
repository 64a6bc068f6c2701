"""Where new neurons go, for methods whose own rule does not say: how many each group gets of what the rung allows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf

import torch

from bench.growth.budget import Budget

Most = Mapping[str, int]
"""The most neurons that groups can be given, by name; the others any number."""


def proportional(
    budget: Budget, seed_widths: Mapping[str, int], groups: Collection[str], each: int = 1, most: Most | None = None
) -> dict[str, int]:
    """Neurons added to each group so that all widen in proportion to the seed network, up to the rung.

    Args:
        budget: What is left; the neurons are counted there.
        seed_widths: Widths of the seed network.
        groups: Names of the groups that may grow.
        each: Neurons that are added together.
        most: What some can be given at most; what they cannot take, the others do.
    """
    added = dict.fromkeys(groups, 0)
    while growing := _growing(budget, added, each, most or {}):
        least = min(growing, key=lambda name: (budget.widths[budget.index[name]] / seed_widths[name], name))
        budget.add(least, each)
        added[least] += each
    return added


def at_random(
    budget: Budget, widths: Mapping[str, int], generator: torch.Generator, each: int = 1, most: Most | None = None
) -> dict[str, int]:
    """Neurons added to groups drawn at random, each by its number of neurons, up to the rung.

    Args:
        budget: What is left; the neurons are counted there.
        widths: Neurons of the groups that may grow.
        generator: The random stream.
        each: Neurons that are added together.
        most: What some can be given at most.
    """
    added = dict.fromkeys(widths, 0)
    while growing := _growing(budget, added, each, most or {}):
        weights = torch.tensor([float(widths[name]) for name in growing])
        name = growing[int(torch.multinomial(weights, 1, generator=generator))]
        budget.add(name, each)
        added[name] += each
    return added


def _growing(budget: Budget, added: Mapping[str, int], each: int, most: Most) -> list[str]:
    """The groups that can be given more, in the order given."""
    return [name for name, n in added.items() if n + each <= most.get(name, inf) and budget.fits(name, each)]
