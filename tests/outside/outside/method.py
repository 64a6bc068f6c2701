"""Split neurons of the widest layer in two equal halves, without a step."""

from __future__ import annotations

from bench.core.registry import NoOptions
from bench.growth.budget import Candidate
from bench.growth.method import GrowthContext
from bench.methods import register
from bench.network.plan import GrowthPlan, Split


@register("widest")
class Widest:
    """w = (1/2, 1/2), delta = 0."""

    step = False

    def __init__(self, config: NoOptions) -> None:
        self.config = config

    def propose(self, context: GrowthContext) -> GrowthPlan:
        by_width = sorted(context.groups, key=lambda group: -context.widths[group.name])
        found = [Candidate(group, i, 1, 0.0) for group in by_width for i in range(context.widths[group.name])]
        return GrowthPlan(tuple(Split(c.group, c.neuron, (0.5, 0.5)) for c in context.budget().fill(found)))
