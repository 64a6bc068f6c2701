"""GradMax: new neurons whose first gradient is the largest.

A neuron with no incoming weights puts out nothing, whatever its outgoing weights; these decide how large the gradient
of its incoming weights is: ``M^T outgoing`` (`bench.curvature.pair`). Of all outgoing weights of one norm, orthogonal
between neurons, the leading left singular vectors of M make it largest. Their norm is half the mean norm of the
outgoing weights that are there (published).

A group takes at most as many neurons as M has rank, 9 behind ten classes; what was born before and has had no training
counts. Where the slope at zero is none or depends on the direction, behind ReLU or maximum pooling, such a neuron might
never train: it is moved along the gradient that it would have, by a thousandth of its neighbours' norm, with the sign
that lowers the loss more.

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
from bench.network.groups import Group, outgoing, tensor_of, theta
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

    step = False  # but its own

    def __init__(self, config: Config) -> None:
        self.config = config

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """As many neurons of each group as its share of the rung and its rank allow; the others take what is left."""
        found = {group.name: candidates(context, group, self.config.scale) for group in context.bearing}
        most = {name: len(own) for name, own in found.items()}
        counts = proportional(context.budget(), context.seed_widths, found, most=most)
        births = [one for name, count in counts.items() for one in found[name][:count]]
        return GrowthPlan(births=tuple(births), epsilon=STEP, stopped=None if births else "rank")


def candidates(context: GrowthContext, group: Group, scale: float = Config.scale) -> list[Birth]:
    """New neurons of a group, those of largest gradient first, as many as there is rank."""
    pair, model = context.pair(group), context.graph.model
    weights, silent = outgoing(model, group).double(), untrained(context)[group.name]
    if silent.all():
        return []
    norm = float(torch.linalg.vector_norm(theta(model, group).double(), dim=1).mean())
    whole = pair.M.double()
    left, values, right = torch.linalg.svd(_without(whole, weights[silent]), full_matrices=False)
    sizes = torch.linalg.svdvals(whole)
    least = RANK * sizes.max()
    rank = min(int((values > least).sum()), int((sizes > least).sum()) - int(silent.sum()))
    size = scale * float(torch.linalg.vector_norm(weights[~silent], dim=1).mean())
    ways, columns = -norm * right[: max(rank, 0)], size * left[:, : max(rank, 0)].T
    if pair.is_linear:
        pairs = zip(ways, columns, strict=True)
        return [Birth(group, way * 0, column * 0, base_outgoing=column, gain=0.0) for way, column in pairs]
    gains = [pair.gain((sign * ways).to(pair.M), (sign * columns).to(pair.M)) for sign in (1, -1)]
    signs = torch.where(gains[1] < gains[0], -1.0, 1.0).double()[:, None]
    pairs = zip(signs * ways, signs * columns, strict=True)
    return [Birth(group, way, column * 0, base_outgoing=column) for way, column in pairs]


def untrained(context: GrowthContext) -> dict[str, Tensor]:
    """Which neurons of each group are silent: they read nothing, or such neurons of layers before alone."""
    model, found = context.graph.model, dict[str, Tensor]()
    for name, group in context.graph.groups.items():
        silent = (theta(model, group) == 0).all(1)
        parts = []
        for slot in (slot for producer in group.producers for slot in producer.slots):
            weight = tensor_of(model, slot.tensor).detach().clone()
            for other in context.graph.groups.values():
                for read in (read for read in other.consumers if read.tensor == slot.tensor):
                    places = read.owned(other.name, read.widths(model)).to(weight.device)
                    own = silent if other.name == name else found.get(other.name, silent[:0])
                    weight.movedim(read.dim, 0)[places[: len(own)][own].flatten()] = 0
            rows = slot.owned(name, slot.widths(model)).to(weight.device)
            parts.append((weight.movedim(slot.dim, 0)[rows].flatten(1) == 0).all(1))
        found[name] = torch.stack(parts).all(0)
    return found


def _without(matrix: Tensor, columns: Tensor) -> Tensor:
    """A matrix ``(D, d)`` less what lies in the span of vectors, shape ``(k, D)``."""
    if not len(columns):
        return matrix
    basis, values, _ = torch.linalg.svd(columns.T, full_matrices=False)
    basis = basis[:, values > RANK * values.max()]
    rest: Tensor = matrix - basis @ (basis.T @ matrix)
    return rest
