"""Control: split random neurons in two along random directions.

As S2D, ``w = (1/2, 1/2)`` and ``delta = (+v, -v)``, but neuron and v are drawn at random, v uniformly on the
sphere. The change of the loss is predicted all the same, ``epsilon^2/2 * v^T S v``, by one product with S.

Liu, Wu, Wang, arXiv 1910.02366, section 5 compare with such random splitting.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.core.registry import NoOptions
from bench.growth.budget import Candidate
from bench.growth.method import GrowthContext
from bench.methods import register
from bench.network.plan import GrowthPlan, Split


@register("random_split")
class RandomSplit:
    """Random neurons, random directions."""

    def __init__(self, config: NoOptions) -> None:
        """It has no options."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Take neurons in random order until not one more fits."""
        budget = context.budget()
        neurons = [Candidate(g, i, 1, 0.0) for g in context.groups for i in range(context.widths[g.name])]
        order = torch.randperm(len(neurons), generator=context.generator).tolist()
        chosen = budget.fill(neurons[i] for i in order)
        lines = {g.name: self._directions(context, g.name) for g in context.groups} if chosen else {}
        return GrowthPlan(tuple(_split(c, *lines[c.group.name]) for c in chosen))

    def _directions(self, context: GrowthContext, name: str) -> tuple[Tensor, Tensor]:
        """A random unit vector per neuron, shape ``(n, d)``, and ``v^T S v``, shape ``(n,)``."""
        operator = context.operator(context.graph.groups[name])
        v = torch.randn(operator.neurons, operator.size, generator=context.generator, dtype=torch.float64)
        v = torch.nn.functional.normalize(v, dim=1).to(operator.like)
        return v, (v * operator(v)).sum(1)


def _split(choice: Candidate, vectors: Tensor, quotients: Tensor) -> Split:
    v = vectors[choice.neuron]
    return Split(choice.group, choice.neuron, (0.5, 0.5), torch.stack([v, -v]), float(quotients[choice.neuron]))
