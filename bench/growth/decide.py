"""Search the spectra no further than a plan depends on them.

Some methods' plans are *monotone* in the gains: a neuron that is not split stays whole if it gains less, and nothing
else changes. Such a method is asked with *optimistic* spectra, in which every neuron whose eigenpairs have not been
found has the widest spectrum that it may have, so that none gains more than that. If the plan uses only neurons whose
eigenpairs have been found, it is the plan that complete spectra give; else the search goes on with those that it uses,
and the method is asked again. (bench/MATHS.md, section 5, says why, rule by rule.) The first question is asked with the
likely spectra, whose plan is nearly the last one: so there are few rounds, each of which may take passes over the
sample.
"""

from __future__ import annotations

from bench.growth.method import GrowthContext, GrowthMethod, Outlook, is_monotone
from bench.network.plan import GrowthPlan


def decided(method: GrowthMethod, context: GrowthContext) -> GrowthPlan:
    """A method's plan, by complete spectra or by as much of them as it depends on."""
    if not is_monotone(method) or not context.can_wait:
        return method.propose(context)
    plan = _asked(method, context, Outlook.LIKELY)
    context.settle(_used(plan))
    while True:
        plan = _asked(method, context, Outlook.OPTIMISTIC)
        used = _used(plan) if _changes(plan) else None  # that nothing is to be split takes complete spectra
        if not context.settle(used):
            return plan


def _asked(method: GrowthMethod, context: GrowthContext, outlook: Outlook) -> GrowthPlan:
    context.outlook = outlook
    context.relied_on.clear()
    return method.propose(context)


def _changes(plan: object) -> bool:
    return isinstance(plan, GrowthPlan) and bool(plan.changes)


def _used(plan: object) -> set[tuple[str, int]]:
    """Groups and neurons of the splits; whatever else was returned is for the event to refuse."""
    splits = plan.splits if isinstance(plan, GrowthPlan) else ()
    return {(split.group.name, split.neuron) for split in splits}
