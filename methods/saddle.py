"""Saddle: splits and new neurons in one knapsack, by the most negative curvature; then all layers as a fresh one's.

Our own. A trained narrow network is a saddle of every wider one that computes the same (Liu et al., arXiv 1910.02366,
section 2). Its wider parameters move by displacements of the neurons that are there and of null neurons, whose
parameters and outgoing weights are zero. To second order these do not mix (bench/MATHS.md, section 9), so the Hessian
is block diagonal:

    of a neuron, split with shares w:   sum_j w_j delta_j^T S delta_j   at best as S3D's schemes have it
    of a null neuron:                   2 outgoing^T M incoming         at best -s_k, with M = sum_k s_k v_k u_k^T,
                                                                        at (u_k, -v_k) / sqrt(2)

Both are what displacements of length 1 gain, ``|incoming|^2 + |outgoing|^2 = 1``, so they compete for the rung's budget
as they are, by gain or by gain per cost. The k-th new neuron of a layer takes the k-th singular vectors, which are
orthogonal: gains add, and no two neurons are the same.

What the step gains at once does not tell how the network ends (results/rivals): the long, parallel rows that a narrow
seed leaves do. So a method that means to be the best says as well what is to be done about them. Each layer is given
the norm of a fresh one of the new width, a share ``p`` of it in fresh weights, which give it rank again:

    theta <- sqrt(1 - p^2) * F / ||theta|| * theta + p * fresh                       (bench/growth/condition.py)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.core.errors import require
from bench.growth.budget import Candidate, by_rank, useful
from bench.growth.condition import RESCALE, Condition
from bench.growth.method import GrowthContext
from bench.methods import register
from bench.methods.s3d import S3D
from bench.methods.s3d import Config as Signed
from bench.network.groups import Group
from bench.network.plan import Birth, GrowthPlan

NEW = "birth"
LEAST = 1e-3
"""Share of a layer's largest singular value from which on another is offered."""


@dataclass(frozen=True)
class Config(Signed):
    """Options of Saddle, beside those of S3D.

    Attributes:
        fresh: p, the share of fresh weights in every layer's norm; 0 leaves directions as they are. It holds where
            ``growth.condition``, ``growth.shrink`` and ``growth.perturb`` say nothing.
    """

    fresh: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.fresh <= 1, "method.fresh", self.fresh, "a number from 0 to 1")


@register("saddle", Config)
class Saddle(S3D):
    """Split, and add, along the most negative curvature."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.condition = Condition(RESCALE, perturb=config.fresh)

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Take splits and new neurons by rank until not one more fits."""
        born: dict[tuple[str, int], Birth] = {}
        for group in context.fertile:
            own = enumerate(births(context, group), start=context.widths[group.name])
            born |= {(group.name, k): birth for k, birth in own}
        found = [c for group in context.groups for c in self._candidates(context, group)]
        found += [Candidate(birth.group, k, 1, birth.gain or 0.0, NEW) for (_, k), birth in born.items()]
        found, budget = useful(found), context.budget()
        ranked = by_rank(found, budget, self.config.rank)
        taken = budget.fill(ranked)
        return GrowthPlan(
            tuple(self._split(context, choice) for choice in taken if choice.scheme != NEW),
            tuple(born[choice.group.name, choice.neuron] for choice in taken if choice.scheme == NEW),
            stopped=None if found else "stable",
        )


def births(context: GrowthContext, group: Group) -> list[Birth]:
    """New neurons of a group along the singular vectors of M, those of largest singular value first."""
    pair = context.pair(group)
    left, sizes, right = torch.linalg.svd(pair.M, full_matrices=False)
    count = int((sizes > LEAST * sizes.max()).sum()) if len(sizes) else 0
    incoming, outgoing = right[:count] / 2**0.5, -left[:, :count].T / 2**0.5
    gains = pair.gain(incoming, outgoing).tolist()
    return [Birth(group, i, o, gain=gain) for i, o, gain in zip(incoming, outgoing, gains, strict=True)]
