"""Control: new neurons with fresh weights, that know nothing of the data.

Their incoming weights are drawn as a layer's are. Their outgoing weights are zero, which a gradient step changes; or
they come in pairs of equal incoming weights, whose outgoing weights are fresh and opposite, so that both sides train
from the start. All groups widen in proportion to the seed network, as the static controls do, or at random.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.core.errors import require_choice
from bench.growth import fresh
from bench.growth.method import GrowthContext
from bench.growth.places import at_random, proportional
from bench.methods import register
from bench.network.groups import Group, Widths
from bench.network.plan import Birth, GrowthPlan

OUTGOING = ("zero", "pairs")
WHERE = ("proportional", "random")


@dataclass(frozen=True)
class Config:
    """Options of random birth.

    Attributes:
        outgoing: ``zero``, or ``pairs`` of opposite sign.
        where: ``proportional`` to the seed network, or ``random`` groups.
    """

    outgoing: str = "zero"
    where: str = "proportional"

    def __post_init__(self) -> None:
        require_choice("method.outgoing", self.outgoing, OUTGOING)
        require_choice("method.where", self.where, WHERE)


@register("random_birth", Config)
class RandomBirth:
    """Fresh neurons."""

    step = False

    def __init__(self, config: Config) -> None:
        self.config = config

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Fill the rung with fresh neurons."""
        budget, each = context.budget(), 2 if self.config.outgoing == "pairs" else 1
        names = [group.name for group in context.groups]
        if self.config.where == "random":
            widths = {name: context.widths[name] for name in names}
            added = at_random(budget, widths, context.generator, each)
        else:
            added = proportional(budget, context.seed_widths, names, each)
        make = pairs if self.config.outgoing == "pairs" else silent
        births = [one for group in context.groups for one in make(context, group, added[group.name])]
        return GrowthPlan(births=tuple(births), stopped="pairs" if each == 2 and not births else None)


def silent(context: GrowthContext, group: Group, count: int) -> list[Birth]:
    """Neurons with fresh incoming and no outgoing weights."""
    drawn = fresh.incoming(context.graph, group, count, context.generator)
    zero = fresh.outgoing(context.graph, group, 1, context.generator)[0] * 0
    return [Birth(group, one * 0, zero, base_incoming=one) for one in drawn]


def pairs(context: GrowthContext, group: Group, count: int, widths: Widths | None = None) -> list[Birth]:
    """An even number of neurons, each two of which have equal incoming and opposite outgoing weights.

    They are drawn as in a network of these widths; None for this one's.
    """
    ins = fresh.incoming(context.graph, group, count // 2, context.generator, widths)
    outs = fresh.outgoing(context.graph, group, count // 2, context.generator, widths)
    return [
        Birth(group, one * 0, other * 0, base_incoming=one, base_outgoing=sign * other)
        for one, other in zip(ins, outs, strict=True)
        for sign in (1, -1)
    ]
