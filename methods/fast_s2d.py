"""Fast, energy-aware S2D: the splits of S2D, chosen by what they gain for what they cost.

    minimise  sum_i x_i lambda_-(S_i)   subject to   cost(grown network) <= budget,   x_i in {0, 1}

By default the integer programme is solved exactly on the true cost of the network. ``solver=relaxed`` is the
published linear programme with damped costs, budgets per group of layers, and a neuron split where
``x >= threshold``. The published search for the eigenvectors is ``growth.engine=rayleigh``.

Wang, Li, Wu, Chandra, Liu: Energy-Aware Neural Architecture Optimization with Fast Splitting Steepest
Descent, arXiv 1910.03103, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import require, require_choice
from bench.method import GrowthContext
from bench.plan import GrowthPlan
from bench.select import DAMPING, Candidate, Room, exact, relaxed
from methods import register
from methods.s2d import candidates, plan

SOLVERS = ("exact", "relaxed")


@dataclass(frozen=True)
class Config:
    """Options of fast S2D.

    Attributes:
        solver: ``exact`` (integer programme) or ``relaxed`` (published linear programme).
        damping: Damping of the costs for ``relaxed``: none, sqrt (published for CIFAR) or log (ImageNet).
        layer_groups: Budgets for ``relaxed``: each serves this many-th part of the layers.
        threshold: A neuron is split where ``relaxed`` gives it at least this much.
        cap: No group grows beyond this many times its seed width; 0 for no cap.
    """

    solver: str = "exact"
    damping: str = "sqrt"
    layer_groups: int = 1
    threshold: float = 0.99
    cap: float = 0.0

    def __post_init__(self) -> None:
        require_choice("method.solver", self.solver, SOLVERS)
        require_choice("method.damping", self.damping, tuple(DAMPING))
        require(self.layer_groups >= 1, "method.layer_groups", self.layer_groups, "at least 1")
        require(0 < self.threshold <= 1, "method.threshold", self.threshold, "a number in (0, 1]")
        require(self.cap == 0 or self.cap > 1, "method.cap", self.cap, "0 for none, or more than 1")


@register("fast_s2d", Config)
class FastS2D:
    """S2D with the splits chosen by gain and cost together."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Choose the splits by the integer or the linear programme."""
        config, found = self.config, candidates(context)
        within = self._below_cap(context, found)
        room = Room(context.price, context.widths, context.target)
        if config.solver == "exact":
            chosen = exact(within, room)
        else:
            chosen = relaxed(within, room, config.damping, config.layer_groups, config.threshold)
        return plan(context, chosen, stable=not found)

    def _below_cap(self, context: GrowthContext, found: list[Candidate]) -> list[Candidate]:
        """Of each group the most negative neurons, no more than its cap leaves room for."""
        if not self.config.cap:
            return found
        room = {
            name: int(self.config.cap * context.seed_widths[name]) - width for name, width in context.widths.items()
        }
        kept = []
        for candidate in sorted(found, key=lambda c: c.gain):
            if room[candidate.group.name] >= candidate.added:
                room[candidate.group.name] -= candidate.added
                kept.append(candidate)
        return kept
