"""Net2Net's wider operator: equal split of random neurons.

Neurons are drawn at random, with replacement; a parent drawn k - 1 times has k replicas, and each takes 1/k of its
outgoing weights. Replicas get small noise, the first copy none, to break the symmetry: here a random direction
of length 1 times the step ``growth.epsilon``.

Chen, Goodfellow, Shlens: Net2Net, arXiv 1511.05641, section 3.1 (Net2WiderNet).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch

from bench.growth.method import GrowthContext
from bench.methods import register
from bench.network.groups import Group, theta
from bench.network.plan import GrowthPlan, Split


@dataclass(frozen=True)
class Config:
    """Options of Net2Net.

    Attributes:
        step: Whether replicas are displaced at all; without, ``growth.epsilon`` does not enter.
    """

    step: bool = True


@register("net2net", Config)
class Net2Net:
    """Equal split of random neurons."""

    def __init__(self, config: Config) -> None:
        self.step = config.step

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Draw parents, uniformly over the neurons whose group still fits the budget, until none does."""
        budget = context.budget()
        drawn: Counter[tuple[str, int]] = Counter()
        open_groups, neurons = list(context.widths), list[tuple[str, int]]()
        while fitting := [name for name in open_groups if budget.fits(name, 1)]:
            if fitting != open_groups or not neurons:
                open_groups, neurons = fitting, [(name, i) for name in fitting for i in range(context.widths[name])]
            choice = neurons[int(torch.randint(len(neurons), (), generator=context.generator))]
            budget.add(choice[0], 1)
            drawn[choice] += 1
        groups = context.graph.groups
        return GrowthPlan(tuple(_split(context, groups[name], i, k + 1, self.step) for (name, i), k in drawn.items()))


def replicas(context: GrowthContext, group: Group, count: int) -> list[Split]:
    """Splits of random neurons of one group, drawn with replacement, that add so many, with noise."""
    neurons = context.widths[group.name]
    drawn = Counter(torch.randint(neurons, (count,), generator=context.generator).tolist())
    return [_split(context, group, i, k + 1, True) for i, k in drawn.items()]


def _split(context: GrowthContext, group: Group, neuron: int, replicas: int, noisy: bool) -> Split:
    directions = None
    if noisy:
        size = theta(context.graph.model, group).shape[1]
        noise = torch.randn(replicas, size, generator=context.generator, dtype=torch.float64)
        directions = torch.nn.functional.normalize(noise, dim=1)
        directions[0] = 0
    return Split(group, neuron, (1 / replicas,) * replicas, directions)
