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

So ``curvature`` and ``split`` are S2D, ``pair`` and ``tiny`` are TINY. A group that can make fewer neurons of a kind
than its share takes what it can, and the rest of the rung is filled on the network as it then is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.core.errors import require_choice
from bench.growth.budget import Candidate, by_gain
from bench.growth.method import GrowthContext
from bench.growth.places import at_random, proportional
from bench.methods import gradmax, net2net, random_birth, register, s2d, tiny
from bench.network.groups import Group
from bench.network.plan import LINE_SEARCH, Birth, GrowthPlan, Split

Made = list[Split] | list[Birth]
Maker = Callable[[GrowthContext, Mapping[str, int]], list[Split | Birth]]
"""Makes the neurons that each group gets, by its name."""
STEPS: dict[str, float | str] = {"tiny": LINE_SEARCH, "gradmax": gradmax.STEP}
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
        require_choice("method.how", self.how, tuple(HOW))


@register("compose", Config)
class Compose:
    """Any choice of layers with any choice of neurons."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.step = config.how != "fresh"
        self.monotone = config.how == "split" and config.where in ("proportional", "curvature")

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Choose how many neurons each group gets, and make them."""
        counts = WHERE[self.config.where](context, self._groups(context))
        changes = HOW[self.config.how](context, counts)
        return GrowthPlan(
            tuple(change for change in changes if isinstance(change, Split)),
            tuple(change for change in changes if isinstance(change, Birth)),
            epsilon=STEPS.get(self.config.how),
            stopped=None if changes else "nothing useful",
        )

    def _groups(self, context: GrowthContext) -> list[Group]:
        births = self.config.how in ("gradmax", "tiny") or self.config.where == "pair"
        return context.bearing if births else context.groups


def _proportional(context: GrowthContext, groups: list[Group]) -> dict[str, int]:
    return proportional(context.budget(), context.seed_widths, [group.name for group in groups])


def _random(context: GrowthContext, groups: list[Group]) -> dict[str, int]:
    return at_random(context.budget(), {group.name: context.widths[group.name] for group in groups}, context.generator)


def _curvature(context: GrowthContext, groups: list[Group]) -> dict[str, int]:
    names = {group.name for group in groups}
    return _counted(context, [one for one in s2d.candidates(context) if one.group.name in names])


def _pair(context: GrowthContext, groups: list[Group]) -> dict[str, int]:
    return _counted(context, tiny.worthwhile({group.name: tiny.candidates(context, group) for group in groups}))


def _counted(context: GrowthContext, candidates: list[Candidate]) -> dict[str, int]:
    """How many of each group are among those that gain most."""
    counts: dict[str, int] = {}
    for taken in context.budget().fill(by_gain(candidates)):
        counts[taken.group.name] = counts.get(taken.group.name, 0) + taken.added
    return counts


def _split(context: GrowthContext, counts: Mapping[str, int]) -> list[Split | Birth]:
    """Each group's neurons of most negative curvature."""
    by_group: dict[str, list[Candidate]] = {}
    for one in by_gain(s2d.candidates(context)) if counts else ():
        by_group.setdefault(one.group.name, []).append(one)
    chosen = [one for name, count in counts.items() for one in by_group.get(name, [])[:count]]
    return list(s2d.plan(context, chosen, stable=False).splits)


def _one_by_one(make: Callable[[GrowthContext, Group, int], Made]) -> Maker:
    """The neurons of one group after the other."""
    return lambda context, counts: [
        one for name, count in counts.items() for one in make(context, context.graph.groups[name], count)
    ]


WHERE: dict[str, Callable[[GrowthContext, list[Group]], dict[str, int]]] = {
    "proportional": _proportional,
    "curvature": _curvature,
    "pair": _pair,
    "random": _random,
}
HOW: dict[str, Maker] = {
    "split": _split,
    "equal": _one_by_one(net2net.replicas),
    "gradmax": _one_by_one(lambda context, group, count: gradmax.candidates(context, group)[:count]),
    "tiny": _one_by_one(lambda context, group, count: tiny.candidates(context, group)[:count]),
    "fresh": _one_by_one(random_birth.silent),
}
