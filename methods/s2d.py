"""S2D, splitting steepest descent.

A neuron whose splitting matrix S has a negative eigenvalue is split in two along its eigenvector:

    w = (1/2, 1/2),   delta = (+v_-, -v_-),   L(split) - L = epsilon^2/2 * lambda_-(S)

Neurons with ``lambda_- >= 0``, to rounding in their own spectrum, are splitting stable and stay whole. The most
negative go first, over all layers (published), or the most negative per unit of added cost.

Liu, Wu, Wang: Splitting Steepest Descent for Growing Neural Architectures, arXiv 1910.02366, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.core.errors import require_choice
from bench.growth.budget import RANKS, Candidate, by_rank, useful
from bench.growth.method import GrowthContext
from bench.methods import register
from bench.network.plan import GrowthPlan, Split


@dataclass(frozen=True)
class Config:
    """Options of S2D.

    Attributes:
        rank: ``gain`` takes the most negative eigenvalue first (published), ``gain_per_cost`` divides it by the
            cost of one more neuron.
    """

    rank: str = "gain"

    def __post_init__(self) -> None:
        require_choice("method.rank", self.rank, RANKS)


@register("s2d", Config)
class S2D:
    """Split along the most negative curvature."""

    monotone = True

    def __init__(self, config: Config) -> None:
        self.config = config

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Take neurons by rank until not one more fits."""
        found = candidates(context)
        budget = context.budget()
        ranked = by_rank(found, budget, self.config.rank)
        return plan(context, budget.fill(ranked), stable=not found)


def candidates(context: GrowthContext) -> list[Candidate]:
    """Every neuron with a negative eigenvalue, as a split in two."""
    found = []
    for group in context.groups:
        spectrum = context.spectrum(group)
        ends = zip(spectrum.lowest.tolist(), spectrum.uncertainty.tolist(), strict=True)
        found += [Candidate(group, i, 1, value, uncertainty=off) for i, (value, off) in enumerate(ends)]
    return useful(found)


def plan(context: GrowthContext, chosen: list[Candidate], stable: bool) -> GrowthPlan:
    """Split each chosen neuron in two, along its lowest eigenvector."""
    splits = []
    for choice in chosen:
        v = context.spectrum(choice.group).lowest_vectors[choice.neuron]
        splits.append(Split(choice.group, choice.neuron, (0.5, 0.5), torch.stack([v, -v]), choice.gain))
    return GrowthPlan(tuple(splits), stopped="stable" if stable else None)
