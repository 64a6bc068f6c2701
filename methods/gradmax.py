"""GradMax: new neurons whose first gradient is the largest.

A neuron with no incoming weights puts out nothing, whatever its outgoing weights; these decide how large the gradient
of its incoming weights is: ``M^T outgoing`` (`bench.curvature.pair`). Of all outgoing weights of one norm, orthogonal
between neurons, the leading left singular vectors of M make it largest. Their norm is half the mean norm of the
outgoing weights that are there (published).

A group takes at most as many neurons as M has rank, 9 behind ten classes; what was born before and has had no training
counts. Where the slope at zero is none or depends on the direction, behind ReLU or maximum pooling, such a neuron might
never train: it is moved along the gradient that it would have, by a thousandth of its neighbours' norm.

Evci, van Merrienboer, Unterthiner, Vladymyrov, Pedregosa: GradMax, arXiv 2201.05125, section 3 (equation 11).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.errors import require
from bench.growth.method import GrowthContext
from bench.growth.places import proportional
from bench.methods import register
from bench.network.groups import Group, outgoing, theta
from bench.network.plan import Birth, GrowthPlan

STEP = 1e-3
"""Of neurons that cannot start at zero, in units of the mean norm of those there."""
RANK = 1e-5
"""Share of the largest singular value from which on another counts."""


@dataclass(frozen=True)
class Config:
    """Options of GradMax.

    Attributes:
        scale: Norm of the new outgoing weights over the mean norm of those there.
    """

    scale: float = 0.5

    def __post_init__(self) -> None:
        require(0 < self.scale < float("inf"), "method.scale", self.scale, "a number above 0")


@register("gradmax", Config)
class GradMax:
    """Widen in proportion to the seed network by the outgoing weights of largest gradient."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """As many neurons of each group as its share of the rung and its rank allow; the others take what is left."""
        found = {group.name: candidates(context, group, self.config.scale) for group in context.bearing}
        budget, counts = context.budget(), dict.fromkeys(found, 0)
        while left := {name: more for name, own in found.items() if (more := len(own) - counts[name])}:
            added = proportional(budget.copy(), context.seed_widths, left)
            taken = {name: min(more, left[name]) for name, more in added.items()}
            if not any(taken.values()):
                break
            for name, more in taken.items():
                budget.add(name, more)
                counts[name] += more
        births = [one for name, count in counts.items() for one in found[name][:count]]
        return GrowthPlan(births=tuple(births), epsilon=STEP, stopped=None if births else "rank")


def candidates(context: GrowthContext, group: Group, scale: float = 0.5) -> list[Birth]:
    """New neurons of a group, those of largest gradient first, as many as there is rank."""
    pair, model = context.pair(group), context.graph.model
    weights, parameters = outgoing(model, group), theta(model, group)
    untrained = weights[(parameters == 0).all(1)].double()
    mixed = _without(pair.M.double(), untrained)
    left, values, right = torch.linalg.svd(mixed, full_matrices=False)
    rank = int((values > RANK * torch.linalg.matrix_norm(pair.M.double(), 2)).sum())
    size = scale * float(torch.linalg.vector_norm(weights[(parameters != 0).any(1)].double(), dim=1).mean())
    norm = 0.0 if pair.is_linear else float(torch.linalg.vector_norm(parameters.double(), dim=1).mean())
    gain = 0.0 if pair.is_linear else None
    columns = (size * left[:, :rank]).T
    return [
        Birth(group, -norm * way, column * 0, base_outgoing=column, gain=gain)
        for way, column in zip(right, columns, strict=False)
    ]


def _without(matrix: Tensor, columns: Tensor) -> Tensor:
    """A matrix ``(D, d)`` less what lies in the span of vectors, shape ``(k, D)``."""
    if not len(columns):
        return matrix
    basis, values, _ = torch.linalg.svd(columns.T, full_matrices=False)
    basis = basis[:, values > RANK * values.max()]
    rest: Tensor = matrix - basis @ (basis.T @ matrix)
    return rest
