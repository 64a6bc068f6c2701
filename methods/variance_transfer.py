"""Variance transfer: new neurons in pairs that cancel, and old weights rescaled to the new width.

Neurons come in pairs of equal fresh incoming weights V and opposite fresh outgoing weights Z and -Z, so the function is
kept. The outgoing weights that were there are then multiplied by ``sqrt(C_old / C_new)``, C the width, so that what the
consumers make keeps the variance that a network of the new width has from the start; behind a normalisation that
changes nothing. Both follow a network's scaling with its width: V and Z are drawn as a layer of the new width is.

Its other half, learning rates by the norm of what was born when, ``eta_0 ||W_t|| / ||W_0||``, is
``train.newborn_lr=norm``, and goes with any method.

Yuan, Savarese, Maire: Accelerated Training via Incrementally Growing Neural Networks using Variance Transfer and
Learning Rate Adaptation, arXiv 2306.12700, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.core.errors import require_choice
from bench.growth.method import GrowthContext
from bench.growth.places import proportional
from bench.methods import register
from bench.methods.random_birth import pairs
from bench.network.plan import GrowthPlan

RESCALE = ("sqrt", "linear", "none")


@dataclass(frozen=True)
class Config:
    """Options of variance transfer.

    Attributes:
        rescale: Factor of the outgoing weights there: ``sqrt(C_old / C_new)``, ``linear`` for ``C_old / C_new`` (the
            paper's for output layers), or ``none``.
    """

    rescale: str = "sqrt"

    def __post_init__(self) -> None:
        require_choice("method.rescale", self.rescale, RESCALE)


@register("variance_transfer", Config)
class VarianceTransfer:
    """Pairs of new neurons, in proportion to the seed network."""

    step = False

    def __init__(self, config: Config) -> None:
        self.config = config

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Fill the rung with pairs."""
        names = [group.name for group in context.groups]
        added = proportional(context.budget(), context.seed_widths, names, each=2)
        widths = {name: width + added.get(name, 0) for name, width in context.widths.items()}
        births = [one for group in context.groups for one in pairs(context, group, added[group.name], widths)]
        shares = {name: context.widths[name] / (context.widths[name] + more) for name, more in added.items() if more}
        power = {"sqrt": 0.5, "linear": 1.0, "none": 0.0}[self.config.rescale]
        scale = {name: share**power for name, share in shares.items() if power}
        return GrowthPlan(births=tuple(births), scale=scale, stopped=None if births else "pairs")
