"""SENN, self-expanding neural networks: new neurons of the largest natural expansion score.

The score of a network is ``g^T F^-1 g``, its gradient in the metric of the Fisher matrix F, Kronecker-factored as
``E[h h^T] (x) E[r r^T]`` for a consumer that reads h and whose output has the gradient r. A new neuron with no outgoing
weights leaves the function alone and raises the score by what its activation u says of r that the others do not:

    ||G^-1/2 E[r_perp u]||^2 / E[u^2],      G = E[r r^T].

Where u is linear in the incoming weights, as near zero, the ones that raise it most are the leading right singular
vectors of ``G^-1/2 N S^-1/2`` (`bench.curvature.pair`), times ``S^-1/2``. They get the mean norm of the neurons
there. Neurons compete over all layers by what they add, and none is added that adds less than the threshold's share of
the score that there is (published: the network grows where the score rises enough).

The published search climbs the score by gradient steps from random weights, of one layer at a time; this is its optimum
in the linear range.

Mitchell, Menzenbach, Kersting, Mundt: Self-Expanding Neural Networks, arXiv 2307.04526, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.core.errors import require
from bench.curvature.pair import root_of_inverse
from bench.growth.budget import Candidate, by_gain
from bench.growth.method import GrowthContext
from bench.methods import register
from bench.network.groups import Group, theta
from bench.network.plan import Birth, GrowthPlan

NONE = 1e-6
"""Share of the largest value below which a direction is none."""


@dataclass(frozen=True)
class Config:
    """Options of SENN.

    Attributes:
        threshold: Least share by which a neuron must raise the score.
    """

    threshold: float = 0.01

    def __post_init__(self) -> None:
        require(0 <= self.threshold < float("inf"), "method.threshold", self.threshold, "a number of at least 0")


@register("senn", Config)
class Senn:
    """Add neurons that raise the natural expansion score most."""

    step = False

    def __init__(self, config: Config) -> None:
        self.config = config

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Take new neurons by what they add to the score, until not one more fits."""
        births = {group.name: candidates(context, group) for group in context.bearing}
        groups = context.graph.groups
        least = self.config.threshold * sum(context.pair(groups[name]).score for name in births)
        found = [
            Candidate(groups[name], k, 1, -score)
            for name, own in births.items()
            for k, (score, _) in enumerate(own)
            if score > least
        ]
        chosen = context.budget().fill(by_gain(found))
        added = tuple(births[c.group.name][c.neuron][1] for c in chosen)
        return GrowthPlan(births=added, stopped=None if found else "threshold")


def candidates(context: GrowthContext, group: Group) -> list[tuple[float, Birth]]:
    """New neurons of a group with what each adds to its consumers' score, the largest first."""
    pair, parameters = context.pair(group), theta(context.graph.model, group).double()
    root = root_of_inverse(pair.S.double(), NONE)
    _, sizes, right = torch.linalg.svd(pair.whitened(pair.N.double()) @ root, full_matrices=False)
    norm = torch.linalg.vector_norm(parameters, dim=1).mean()
    ways = torch.nn.functional.normalize(right @ root, dim=1) * norm
    zero = pair.M.new_zeros(len(pair.M))
    rank = int((sizes > NONE * sizes.max()).sum()) if sizes.any() else 0
    read = ((ways[:rank] @ pair.S.double()) * ways[:rank]).sum(1)
    scores = sizes[:rank] ** 2 * read / pair.activity(ways[:rank].to(pair.M)).double()
    return [
        (score, Birth(group, way * 0, zero, base_incoming=way))
        for score, way in zip(scores.tolist(), ways[:rank], strict=True)
    ]
