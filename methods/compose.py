"""Compose: where new neurons go, and what they are, chosen apart.

The rules of growing differ in both at once. Here each way to choose the layers goes with each way to make the neurons:

    where   proportional   all groups widen in proportion to the seed network
            curvature      where S2D's eigenvalues are most negative
            pair           where TINY's neurons gain most
            random         groups drawn at random, by their number of neurons
    how     split          in two along the most negative curvature of the group's neurons, those first (S2D)
            equal          copies of random neurons with noise (Net2Net)
            gradmax        the outgoing weights of largest gradient
            tiny           what existing weights cannot do
            fresh          drawn weights, and none outgoing

So ``curvature`` and ``split`` are S2D, ``pair`` and ``tiny`` are TINY, ``proportional`` and ``gradmax`` are GradMax. A
group that can make fewer neurons of a kind than its share takes what it can, and the other groups the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from bench.core.errors import require_choice
from bench.growth.budget import Candidate, by_gain
from bench.growth.method import GrowthContext
from bench.growth.places import Most, at_random, proportional
from bench.methods import gradmax, net2net, random_birth, register, s2d, tiny
from bench.network.groups import Group
from bench.network.plan import Birth, GrowthPlan, Split

Change = Split | Birth
Offer = Mapping[str, Sequence[Change]]
"""What there is of a kind to choose from, the best of each group first, by its name."""

STEPS: dict[str, float | str] = {"tiny": tiny.Config.epsilon, "gradmax": gradmax.STEP}
"""Of the kinds that have one of their own."""


@dataclass(frozen=True)
class Config:
    """Options of compose.

    Attributes:
        where: Which groups: ``proportional``, ``curvature``, ``pair`` or ``random``.
        how: Which neurons: ``split``, ``equal``, ``gradmax``, ``tiny`` or ``fresh``.
    """

    where: str = "proportional"
    how: str = "split"

    def __post_init__(self) -> None:
        require_choice("method.where", self.where, tuple(WHERE))
        require_choice("method.how", self.how, HOW)


@register("compose", Config)
class Compose:
    """Any choice of layers with any choice of neurons."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.step = config.how in ("split", "equal") or config.where == "curvature"  # that of ties, too
        self.monotone = config.how == "split" and config.where in ("proportional", "curvature")

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Choose how many neurons each group gets, and make them."""
        how, groups = self.config.how, self._groups(context)
        offer = OFFERED[how](context, groups) if how in OFFERED else None
        most = {} if offer is None else {group.name: len(offer[group.name]) for group in groups}
        counts = WHERE[self.config.where](context, groups, most)
        changes: list[Change] = []
        for group in groups:
            count = counts.get(group.name, 0)
            changes += DRAWN[how](context, group, count) if offer is None else offer[group.name][:count]
        return GrowthPlan(
            tuple(change for change in changes if isinstance(change, Split)),
            tuple(change for change in changes if isinstance(change, Birth)),
            epsilon=STEPS.get(how),
            stopped=None if changes else "nothing useful",
        )

    def _groups(self, context: GrowthContext) -> list[Group]:
        births = self.config.how in ("gradmax", "tiny") or self.config.where == "pair"
        return context.bearing if births else context.groups


def _proportional(context: GrowthContext, groups: list[Group], most: Most) -> dict[str, int]:
    return proportional(context.budget(), context.seed_widths, [group.name for group in groups], most=most)


def _random(context: GrowthContext, groups: list[Group], most: Most) -> dict[str, int]:
    widths = {group.name: context.widths[group.name] for group in groups}
    return at_random(context.budget(), widths, context.generator, most=most)


def _curvature(context: GrowthContext, groups: list[Group], most: Most) -> dict[str, int]:
    names = {group.name for group in groups}
    return _counted(context, [one for one in s2d.candidates(context) if one.group.name in names], most)


def _pair(context: GrowthContext, groups: list[Group], most: Most) -> dict[str, int]:
    found = tiny.worthwhile({group.name: tiny.candidates(context, group) for group in groups})
    return _counted(context, found, most)


def _counted(context: GrowthContext, candidates: list[Candidate], most: Most) -> dict[str, int]:
    """How many of each group are among those that gain most."""
    seen, counts = Counter[str](), Counter[str]()
    there = list[Candidate]()
    for one in by_gain(candidates):
        if seen[one.group.name] < most.get(one.group.name, inf):
            there.append(one)
        seen[one.group.name] += 1
    for taken in context.budget().fill(there):
        counts[taken.group.name] += taken.added
    return counts


def _splits(context: GrowthContext, groups: list[Group]) -> Offer:
    """Each group's neurons of negative curvature, the most negative first."""
    offer: dict[str, list[Split]] = {group.name: [] for group in groups}
    for split in s2d.plan(context, by_gain(s2d.candidates(context)), stable=False).splits:
        offer.setdefault(split.group.name, []).append(split)
    return offer


WHERE: dict[str, Callable[[GrowthContext, list[Group], Most], dict[str, int]]] = {
    "proportional": _proportional,
    "curvature": _curvature,
    "pair": _pair,
    "random": _random,
}
OFFERED: dict[str, Callable[[GrowthContext, list[Group]], Offer]] = {
    "split": _splits,
    "gradmax": lambda context, groups: {group.name: gradmax.candidates(context, group) for group in groups},
    "tiny": lambda context, groups: {group.name: tiny.candidates(context, group) for group in groups},
}
DRAWN: dict[str, Callable[[GrowthContext, Group, int], Sequence[Change]]] = {
    "equal": net2net.replicas,
    "fresh": random_birth.silent,
}
HOW = (*OFFERED, *DRAWN)
