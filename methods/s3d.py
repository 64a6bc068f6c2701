"""S3D, signed splitting: offspring may take negative shares of the outgoing weights.

With ``sum_j |w_j| <= c``, ``P = (c+1)/2``, ``N = (c-1)/2``, ``r = N/P`` and ``q = sqrt(1 - r^2)`` a neuron is
split into two, three or four, whichever of the schemes below gains most per added neuron, with
``a = min(lambda_-, 0)`` and ``b = max(lambda_+, 0)``, zero to rounding in the neuron's own spectrum:

    scheme            w                       delta                                  gain
    positive_binary   1/2, 1/2                +v_-, -v_-                             a
    negative_binary   P, -N                   r v_+, v_+                             -r b
    positive_triplet  P/2, P/2, -N            +v_-, -v_-, 0                          P a
    negative_triplet  -N/2, -N/2, P           +v_+, -v_+, 0                          -N b
    mixed_triplet     P/2, P/2, -N            r v_+ + q v_-, r v_+ - q v_-, v_+      2c/(c+1) a - r b
    quartet           P/2, P/2, -N/2, -N/2    +v_-, -v_-, +v_+, -v_+                 P a - N b

The best scheme of each number of offspring is the optimum for that number, and a fifth never helps (bench/MATHS.md,
section 3). c = 1 is S2D. Signed
splits multiply outgoing weights by up to P, so each lineage's product of shares is capped: a neuron close to its cap
is split with a smaller c.

Wu, Ye, Lei, Lee, Liu: Steepest Descent Neural Architecture Optimization: Escaping Local Optimum with Signed
Neural Splitting, arXiv 2003.10392, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from bench.core.errors import require, require_choice
from bench.growth.budget import RANKS, Candidate, by_rank, useful
from bench.growth.method import GrowthContext
from bench.methods import register
from bench.network.groups import Group
from bench.network.plan import GrowthPlan, Split

ADDED = {"positive_binary": 1, "negative_binary": 1, "quartet": 3}


@dataclass(frozen=True)
class Config:
    """Options of S3D.

    Attributes:
        c: Bound on ``sum_j |w_j|``, at least 1. Gradients of the offspring grow with ``sum_j w_j^2``, up to
            ``(c^2 + 1) / 2`` times, so a large c needs a smaller learning rate.
        cap: Bound on the product of ``|w|`` along a lineage.
        rank: As in S2D; schemes of one neuron are compared by gain per added neuron either way.
    """

    c: float = 1.5
    cap: float = 2.0
    rank: str = "gain"

    def __post_init__(self) -> None:
        require(self.c >= 1, "method.c", self.c, "a number of at least 1 (1 is S2D)")
        require(self.cap >= 1, "method.cap", self.cap, "a number of at least 1")
        require_choice("method.rank", self.rank, RANKS)


@register("s3d", Config)
class S3D:
    """Split along the most negative and the most positive curvature, with signed shares."""

    monotone = True

    def __init__(self, config: Config) -> None:
        self.config = config

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Take the best scheme of each neuron by rank until not one more fits."""
        found = useful(c for group in context.groups for c in self._candidates(context, group))
        budget = context.budget()
        ranked = by_rank(found, budget, self.config.rank)
        splits = tuple(self._split(context, choice) for choice in budget.fill(ranked))
        return GrowthPlan(splits, stopped=None if found else "stable")

    def _bounds(self, context: GrowthContext, group: Group) -> Tensor:
        """c of each neuron: the configured one, or what its lineage's cap leaves, shape ``(n,)``."""
        return (2 * self.config.cap / context.lineage[group.name] - 1).clamp(1, self.config.c)

    def _candidates(self, context: GrowthContext, group: Group) -> list[Candidate]:
        spectrum = context.spectrum(group)
        a, b = spectrum.negative.cpu().double(), spectrum.positive.cpu().double()
        table, off = gains(a, b, self._bounds(context, group)), spectrum.uncertainty.tolist()
        return [
            Candidate(group, neuron, ADDED.get(scheme, 2), gain, scheme, off[neuron])
            for scheme, values in table.items()
            for neuron, gain in enumerate(values.tolist())
        ]

    def _split(self, context: GrowthContext, choice: Candidate) -> Split:
        spectrum = context.spectrum(choice.group)
        low, high = spectrum.lowest_vectors[choice.neuron], spectrum.highest_vectors[choice.neuron]
        c = float(self._bounds(context, choice.group)[choice.neuron])
        weights, directions = offspring(choice.scheme, low, high, c)
        return Split(choice.group, choice.neuron, weights, directions, choice.gain)


def gains(a: Tensor, b: Tensor, c: Tensor) -> dict[str, Tensor]:
    """``sum_j w_j delta_j^T S delta_j`` of each scheme, from ``a <= 0``, ``b >= 0`` and c, each of shape ``(n,)``."""
    p, n = (c + 1) / 2, (c - 1) / 2
    r = n / p
    return {
        "positive_binary": a,
        "negative_binary": -r * b,
        "positive_triplet": p * a,
        "negative_triplet": -n * b,
        "mixed_triplet": 2 * c / (c + 1) * a - r * b,
        "quartet": p * a - n * b,
    }


def offspring(scheme: str, low: Tensor, high: Tensor, c: float) -> tuple[tuple[float, ...], Tensor]:
    """Weights and directions ``(offspring, d)`` of a scheme, from the unit eigenvectors ``v_-`` and ``v_+``."""
    p, n = (c + 1) / 2, (c - 1) / 2
    r = n / p
    q = sqrt(1 - r**2)
    zero = torch.zeros_like(low)
    if scheme == "mixed_triplet" and abs(overlap := float(low @ high)) > 1e-6:  # of a search that is not exact
        low = torch.nn.functional.normalize(low - overlap * high, dim=0) if abs(overlap) < 1 - 1e-6 else zero
    table: dict[str, tuple[tuple[float, ...], list[Tensor]]] = {
        "positive_binary": ((0.5, 0.5), [low, -low]),
        "negative_binary": ((p, -n), [r * high, high]),
        "positive_triplet": ((p / 2, p / 2, -n), [low, -low, zero]),
        "negative_triplet": ((-n / 2, -n / 2, p), [high, -high, zero]),
        "mixed_triplet": ((p / 2, p / 2, -n), [r * high + q * low, r * high - q * low, high]),
        "quartet": ((p / 2, p / 2, -n / 2, -n / 2), [low, -low, high, -high]),
    }
    weights, directions = table[scheme]
    return weights, torch.stack(directions)
