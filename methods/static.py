"""Controls: networks of each rung's size trained from scratch.

``static`` trains each by the stage's recipe. ``static_matched`` trains each for as many epochs as spend the training
multiply-adds that a network grown along the ladder has spent by then, this stage's included:

    epochs = round( (sum over earlier stages of epochs * macs) / macs now + the stage's epochs )

``shrink_perturb`` trains as long, and in as many cycles as growing has had stages by then: between two it shrinks and
perturbs the network (``growth.shrink``, ``growth.perturb``; by half and half if nothing is said), and starts the
schedule again. It is the warm start of growing without growing (Ash and Adams, arXiv 1910.08475).

All groups are widened in proportion to the seed network, up to the rung, and every parameter is drawn anew.
"""

from __future__ import annotations

from bench.core.registry import NoOptions
from bench.growth.budget import Budget
from bench.growth.method import GrowthContext
from bench.growth.places import proportional
from bench.methods import register
from bench.network.plan import GrowthPlan, Split


@register("static")
class Static:
    """From scratch, by the recipe. Nothing is displaced or inherited, so neither step nor conditioning enters."""

    step = inherits = False

    def __init__(self, config: NoOptions) -> None:
        """It has no options."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Widen all groups in proportion, then start afresh."""
        budget = context.budget()
        added = proportional(budget, context.seed_widths, context.widths)
        splits = [s for name, count in added.items() for s in replicas(context, name, count)]
        epochs, cycles = self._epochs(context, budget), self._cycles(context)
        return GrowthPlan(tuple(splits), restart=True, epochs=epochs, cycles=cycles)

    def _cycles(self, context: GrowthContext) -> int:
        return 1

    def _epochs(self, context: GrowthContext, budget: Budget) -> int | None:
        return None


@register("static_matched")
class StaticMatched(Static):
    """From scratch, with the training that a grown network has had."""

    def _epochs(self, context: GrowthContext, budget: Budget) -> int | None:
        return matched_epochs(context, budget)


@register("shrink_perturb")
class ShrinkPerturb(StaticMatched):
    """From scratch, with the training that a grown network has had and as many warm starts."""

    inherits = True  # from cycle to cycle

    def _cycles(self, context: GrowthContext) -> int:
        return len(context.history) + 1


def matched_epochs(context: GrowthContext, budget: Budget) -> int:
    """Epochs that spend what growing has spent by then, this stage's included."""
    spent = sum(stage.planned * stage.macs for stage in context.history)
    return round(spent / context.macs.at(budget.widths)) + context.epochs


def replicas(context: GrowthContext, name: str, added: int) -> list[Split]:
    """Splits into exact copies that add this many neurons, spread evenly."""
    neurons = context.widths[name]
    each, more = divmod(added, neurons)
    counts = [1 + each + (i < more) for i in range(neurons)]
    group = context.graph.groups[name]
    return [Split(group, i, (1 / k,) * k) for i, k in enumerate(counts) if k > 1]
