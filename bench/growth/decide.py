"""Search the spectra no further than a plan depends on them.

Some methods' plans are *monotone* in the spectra: a neuron that is not split stays whole if its spectrum is narrower,
and nothing else changes. Such a method is asked with *optimistic* spectra, in which every neuron whose eigenpairs have
not been found has the widest spectrum that it may have. A plan that uses only neurons whose eigenpairs have been found
is then the plan that complete spectra give (bench/MATHS.md, section 5, says why, rule by rule).

Which neurons will be used is found out by asking with likely values in the place of the optimistic ones, for more and
more neurons, until no further one is used. That takes no products. Then the search goes on with all of them at once, as
each round may take a pass over the sample; mostly there is one.
"""

from __future__ import annotations

from bench.growth.method import GrowthContext, GrowthMethod, Neuron, is_monotone
from bench.network.plan import GrowthPlan


def decided(method: GrowthMethod, context: GrowthContext) -> GrowthPlan:
    """A method's plan, by complete spectra or by as much of them as it depends on."""
    if not is_monotone(method) or not context.can_wait:
        return method.propose(context)
    context.open = True
    _, missing = _asked(method, context)
    context.hoped = True
    while True:
        plan, missing = _foreseen(method, context, missing)
        if not missing:
            return plan
        context.settle(missing)
        missing = set()


def _foreseen(method: GrowthMethod, context: GrowthContext, missing: set[Neuron]) -> tuple[GrowthPlan, set[Neuron]]:
    """A plan that uses no neuron that is shown as more than likely; and the neurons shown so that are not settled."""
    while True:
        context.but_for = missing
        plan, used = _asked(method, context)
        if used <= missing:
            return plan, missing
        missing = missing | used


def _asked(method: GrowthMethod, context: GrowthContext) -> tuple[GrowthPlan, set[Neuron]]:
    """A plan, and the neurons that it uses whose eigenpairs are missing: that nothing is to be split, uses all."""
    context.relied_on.clear()
    plan = method.propose(context)
    splits = plan.splits if isinstance(plan, GrowthPlan) else ()  # what else it may be, is for the event to refuse
    used = context.relied_on | {(split.group.name, split.neuron) for split in splits}
    return plan, context.missing & used if used else context.missing
