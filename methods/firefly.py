"""Firefly: splits and new neurons, trained for some steps on the loss, of which the best are kept.

Every neuron may be split in two along a direction, and every group may have some new neurons. All of them start at
random and are improved together: at the step epsilon each direction follows the gradient of the loss on the sample,
kept at length 1. Then each candidate is scored by what it does to the loss, and the best are taken.

To second order in epsilon candidates do not interact, and what the loss's gradient says of each direction is a product:
``2 S v`` for a split along v, ``2 M^T outgoing`` and ``2 M incoming`` for a new neuron (`bench.curvature.pair`). So the
steps are taken with these, over the whole sample, and the scores are exact: ``v^T S v``, ``2 outgoing^T M incoming``.
With many steps that is S2D beside the leading singular vectors of M. Released code adds an L1 term after the backward
pass, where it does nothing, and takes mini-batches.

Wu, Liu, Stone, Liu: Firefly Neural Architecture Descent, arXiv 2102.08574, section 2 (algorithm 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from bench.core.errors import require
from bench.growth.budget import Candidate, by_gain, useful
from bench.growth.method import GrowthContext
from bench.methods import register
from bench.network.groups import Group
from bench.network.plan import Birth, GrowthPlan, Split


@dataclass(frozen=True)
class Config:
    """Options of Firefly.

    Attributes:
        steps: Gradient steps on the directions.
        rate: Length of a step, of directions of length 1.
        new: New neurons that a group is offered, as a share of its width.
    """

    steps: int = 10
    rate: float = 1.0
    new: float = 1.0

    def __post_init__(self) -> None:
        require(0 <= self.steps <= 10_000, "method.steps", self.steps, "a whole number from 0 to 10000")
        require(0 < self.rate < float("inf"), "method.rate", self.rate, "a number above 0")
        require(0 <= self.new <= 100, "method.new", self.new, "a number from 0 to 100")


@register("firefly", Config)
class Firefly:
    """Take what lowers the loss most after some steps, splits and new neurons alike."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Improve all candidates, and take those of largest gain until not one more fits."""
        made: dict[tuple[str, int], Split | Birth] = {}
        for group in context.groups:
            made |= {(group.name, k): split for k, split in enumerate(self._splits(context, group))}
        for group in context.fertile if self.config.new else ():
            births = enumerate(self._births(context, group), start=context.widths[group.name])
            made |= {(group.name, k): birth for k, birth in births}
        found = useful(Candidate(one.group, k, 1, one.gain or 0.0) for (_, k), one in made.items())
        taken = [made[c.group.name, c.neuron] for c in context.budget().fill(by_gain(found))]
        return GrowthPlan(
            tuple(one for one in taken if isinstance(one, Split)),
            tuple(one for one in taken if isinstance(one, Birth)),
            stopped=None if found else "nothing useful",
        )

    def _splits(self, context: GrowthContext, group: Group) -> list[Split]:
        """Every neuron in two, along a direction that has followed the loss."""
        operator = context.operator(group)
        v = normalize(_drawn(context, operator.neurons, operator.size), dim=1).to(operator.like)
        product = operator(v)
        for _ in range(self.config.steps):
            v = normalize(v - self.config.rate * normalize(product, dim=1), dim=1)
            product = operator(v)
        gains = (v * product).sum(1).tolist()
        pairs = zip(torch.stack([v, -v], dim=1), gains, strict=True)
        return [Split(group, i, (0.5, 0.5), directions, gain) for i, (directions, gain) in enumerate(pairs)]

    def _births(self, context: GrowthContext, group: Group) -> list[Birth]:
        """New neurons whose weights have followed the loss, orthogonal to each other's outgoing ones."""
        pair, count = context.pair(group), round(self.config.new * context.widths[group.name])
        count = min(count, pair.size, pair.outgoing_size)
        incoming = _unit(_drawn(context, count, pair.size).to(pair.M))
        outgoing = _unit(_drawn(context, count, pair.outgoing_size).to(pair.M))
        for _ in range(self.config.steps):
            before = incoming
            incoming = _unit(incoming - self.config.rate * normalize(outgoing @ pair.M, dim=1))
            outgoing = _unit(outgoing - self.config.rate * normalize(before @ pair.M.T, dim=1))
        gains = pair.gain(incoming, outgoing).tolist()
        return [Birth(group, one, other, gain=gain) for one, other, gain in zip(incoming, outgoing, gains, strict=True)]


def _drawn(context: GrowthContext, count: int, size: int) -> Tensor:
    return torch.randn(count, size, generator=context.generator, dtype=torch.float64)


def _unit(rows: Tensor) -> Tensor:
    """Orthonormal rows near the given ones, so that neurons do not all become the same."""
    basis: Tensor = torch.linalg.qr(rows.T).Q.T
    return basis * torch.sign((basis * rows).sum(1, keepdim=True))
