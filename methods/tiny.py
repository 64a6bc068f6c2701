"""TINY: new neurons that do what existing weights cannot.

What the consumers should make is ``v = -r``; the part that their existing weights cannot reach is ``v_perp``. Of all k
neurons the ones that come nearest to it in least squares are, with the singular value decomposition
``N S^-1/2 = V L U^T`` (`bench.curvature.pair`),

    incoming_k = S^-1/2 u_k sqrt(l_k),      outgoing_k = v_k sqrt(l_k),

both times the step that a line search finds (published). Here neurons compete over all layers by the gain of that step,
and the search never ends at zero, where neurons with nothing on both sides would never train. The update of existing
weights that the paper makes besides is left to training.

Verbockhaven, Rudkiewicz, Chevallier, Charpiat: Growing Tiny Networks, arXiv 2405.19816, section 3 (proposition 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.errors import require, require_choice
from bench.curvature.pair import root_of_inverse
from bench.growth.budget import Candidate, by_gain, useful
from bench.growth.method import GrowthContext
from bench.methods import register
from bench.network.groups import Group
from bench.network.plan import LINE_SEARCH, Birth, GrowthPlan

STEPS = (LINE_SEARCH, "growth")


@dataclass(frozen=True)
class Config:
    """Options of TINY.

    Attributes:
        epsilon: The step: ``line_search`` (published), or ``growth`` for that of ``growth.epsilon``.
        threshold: Singular values below this share of the largest are none (published for the spectrum of S).
    """

    epsilon: str = LINE_SEARCH
    threshold: float = 1e-3

    def __post_init__(self) -> None:
        require_choice("method.epsilon", self.epsilon, STEPS)
        require(0 < self.threshold < 1, "method.threshold", self.threshold, "a number between 0 and 1")


@register("tiny", Config)
class Tiny:
    """Add what lowers the loss most and existing weights cannot do."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.step = config.epsilon != LINE_SEARCH

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Take new neurons by gain, over all layers, until not one more fits."""
        births = {g.name: candidates(context, g, self.config.threshold) for g in context.bearing}
        found = worthwhile(births)
        chosen = tuple(births[c.group.name][c.neuron] for c in context.budget().fill(by_gain(found)))
        step = LINE_SEARCH if self.config.epsilon == LINE_SEARCH else None
        return GrowthPlan(births=chosen, epsilon=step, stopped=None if found else "nothing left to reach")


def worthwhile(births: Mapping[str, Sequence[Birth]]) -> list[Candidate]:
    """Those of each group's new neurons that lower the loss, each by its place among them."""
    return useful(
        Candidate(birth.group, k, 1, birth.gain or 0.0) for own in births.values() for k, birth in enumerate(own)
    )


def candidates(context: GrowthContext, group: Group, threshold: float = Config.threshold) -> list[Birth]:
    """New neurons of a group, those of largest singular value first."""
    pair = context.pair(group)
    incoming, outgoing = decomposed(pair.N.double(), pair.S.double(), threshold, pair.rounding)
    gains = pair.gain(incoming.to(pair.M), outgoing.to(pair.M)).tolist()
    return [Birth(group, one, other, gain=gain) for one, other, gain in zip(incoming, outgoing, gains, strict=True)]


def decomposed(n: Tensor, s: Tensor, threshold: float, rounding: float = 0.0) -> tuple[Tensor, Tensor]:
    """Incoming and outgoing weights of the neurons, from ``N`` of shape ``(D, d)`` and ``S`` of ``(d, d)``.

    Args:
        n: N.
        s: S.
        threshold: Share of the largest singular value from which on another counts.
        rounding: What N may be off by; a matrix no larger has none.

    Returns:
        Shapes ``(k, d)`` and ``(k, D)``, as many as there are singular values above the threshold.
    """
    root = root_of_inverse(s, threshold**2)
    left, sizes, right = torch.linalg.svd(n @ root, full_matrices=False)
    least = torch.linalg.matrix_norm(root, 2) * rounding
    most = int((sizes > torch.maximum(threshold * sizes.max(), least)).sum()) if len(sizes) else 0
    scale = sizes[:most, None].sqrt()
    return (right[:most] @ root) * scale, left[:, :most].T * scale
