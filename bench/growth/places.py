"""Where new neurons go, for methods whose own rule does not say: how many each group gets of what the rung allows."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

from bench.growth.budget import Budget


def proportional(
    budget: Budget, seed_widths: Mapping[str, int], groups: Collection[str], each: int = 1
) -> dict[str, int]:
    """Neurons added to each group so that all widen in proportion to the seed network, up to the rung.

    Args:
        budget: What is left; the neurons are counted there.
        seed_widths: Widths of the seed network.
        groups: Names of the groups that may grow.
        each: Neurons that are added together.
    """
    added, growing = dict.fromkeys(groups, 0), set(groups)
    while growing := {name for name in growing if budget.fits(name, each)}:
        least = min(growing, key=lambda name: (budget.widths[budget.index[name]] / seed_widths[name], name))
        budget.add(least, each)
        added[least] += each
    return added


def at_random(budget: Budget, widths: Mapping[str, int], generator: torch.Generator, each: int = 1) -> dict[str, int]:
    """Neurons added to groups drawn at random, each by its number of neurons, up to the rung.

    Args:
        budget: What is left; the neurons are counted there.
        widths: Neurons of the groups that may grow.
        generator: The random stream.
        each: Neurons that are added together.
    """
    added = dict.fromkeys(widths, 0)
    while growing := [name for name in added if budget.fits(name, each)]:
        weights = torch.tensor([float(widths[name]) for name in growing])
        name = growing[int(torch.multinomial(weights, 1, generator=generator))]
        budget.add(name, each)
        added[name] += each
    return added
