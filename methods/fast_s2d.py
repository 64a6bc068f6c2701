"""Fast, energy-aware S2D: the splits of S2D, chosen by what they gain for what they cost.

    minimise  sum_i x_i lambda_-(S_i)   subject to   cost(grown network) <= budget,   x_i in {0, 1}

By default the integer programme is solved at the true cost of the network: to the optimum with a proof, or to a gap to
it that the record states. ``solver=relaxed`` is the published linear programme with damped costs, budgets per group of
layers, and a neuron split where ``x >= threshold``. Both are solved at every event. The record's notes say what each
would gain, by which share the linear one falls short of the integer one (``gap``), and by which share the latter may
fall short of the optimum at most (``optimality_gap``, 0 where it is proven). The published search for the eigenvectors
is ``growth.engine=rayleigh``.

Wang, Li, Wu, Chandra, Liu: Energy-Aware Neural Architecture Optimization with Fast Splitting Steepest
Descent, arXiv 1910.03103, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.core.errors import require, require_choice
from bench.growth.budget import Candidate
from bench.growth.method import GrowthContext
from bench.growth.select import DAMPING, exact, relaxed
from bench.methods import register
from bench.methods.s2d import candidates, plan
from bench.network.counting import released_cost
from bench.network.graph import Graph
from bench.network.plan import GrowthPlan

PRESETS = ("none", "published")
SOLVERS = ("exact", "relaxed")
COSTS = ("true", "released")
RELEASED_CAPS = [32, 64, 128, 128, 320, 320, *[640] * 6, 1280, 1280]
"""Largest widths in the released run on CIFAR-100: MobileNetV1's stem and 13 blocks."""
RELEASED_LAYER_GROUPS = [4, 10]


@dataclass(frozen=True)
class Config:
    """Options of fast S2D.

    Attributes:
        preset: ``published`` for the released run: the linear programme on the released cost, with caps and two budgets
            for the 14 layers of MobileNetV1 where neither is given.
        solver: ``exact`` (integer programme, with a proof or a gap) or ``relaxed`` (published linear programme).
        cost: What ``relaxed`` takes a neuron to cost: the ``true`` cost, or what the ``released`` code counts.
        damping: Damping of the costs for ``relaxed``: none, sqrt (published for CIFAR) or log (ImageNet).
        layer_groups: How many layers each budget of ``relaxed`` serves, in order; None for one budget for all.
        threshold: A neuron is split where ``relaxed`` gives it at least this much.
        cap: No group grows beyond this many times its seed width; 0 for no cap.
        caps: Largest width of each group, in the order of the forward pass; None for none.
    """

    preset: str = "none"
    solver: str = "exact"
    cost: str = "true"
    damping: str = "sqrt"
    layer_groups: list[int] | None = None
    threshold: float = 0.99
    cap: float = 0.0
    caps: list[int] | None = None

    def __post_init__(self) -> None:
        require_choice("method.preset", self.preset, PRESETS)
        require_choice("method.solver", self.solver, SOLVERS)
        require_choice("method.cost", self.cost, COSTS)
        require_choice("method.damping", self.damping, tuple(DAMPING))
        for name, numbers in (("layer_groups", self.layer_groups), ("caps", self.caps)):
            positive = numbers is None or (len(numbers) > 0 and min(numbers) >= 1)
            require(positive, f"method.{name}", numbers, "null, or whole numbers of at least 1")
        require(0 < self.threshold <= 1, "method.threshold", self.threshold, "a number in (0, 1]")
        require(self.cap == 0 or self.cap > 1, "method.cap", self.cap, "0 for none, or more than 1")


@register("fast_s2d", Config)
class FastS2D:
    """S2D with the splits chosen by gain and cost together."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.monotone = config.solver == "exact" and config.preset == "none"

    def check(self, graph: Graph) -> None:
        """Raise `ConfigError` where caps or budgets are not those of this network."""
        self.options(len(graph.groups))

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Choose the splits by the integer and the linear programme, and take the configured one's."""
        config, found = self.options(len(context.graph.groups)), candidates(context)
        within = _below(_caps(config, context), context, found)
        budgets = {solver: context.budget() for solver in SOLVERS}
        cost = released_cost(context.graph) if config.cost == "released" else None
        chosen = {
            "relaxed": relaxed(
                within, budgets["relaxed"], cost, config.damping, config.layer_groups or (), config.threshold
            )
        }
        chosen["exact"], short = exact(within, budgets["exact"], start=chosen["relaxed"])
        context.rely_on(chosen["relaxed"])
        gain = {solver: sum(c.gain for c in chosen[solver]) for solver in SOLVERS}
        notes = {f"{solver}_gain": gain[solver] for solver in SOLVERS} | {"optimality_gap": short}
        if gain["exact"]:
            notes["gap"] = 1 - gain["relaxed"] / gain["exact"]
        return replace(plan(context, chosen[config.solver], stable=not found), notes=notes)

    def options(self, layers: int) -> Config:
        """The options with the preset's, for a network of so many layers that can grow.

        Raises:
            ConfigError: Caps or budgets are not those of such a network.
        """
        config = self.config
        if config.preset == "published":
            config = replace(config, solver="relaxed", cost="released")
            if config.caps is None and layers == len(RELEASED_CAPS):
                config = replace(config, caps=RELEASED_CAPS)
            if config.layer_groups is None and layers == sum(RELEASED_LAYER_GROUPS):
                config = replace(config, layer_groups=RELEASED_LAYER_GROUPS)
        if config.layer_groups is not None:
            expected = f"numbers that sum to the network's {layers} layers that can grow"
            require(sum(config.layer_groups) == layers, "method.layer_groups", config.layer_groups, expected)
        if config.caps is not None:
            expected = f"{layers} widths, one for each layer that can grow"
            require(len(config.caps) == layers, "method.caps", config.caps, expected)
        return config


def _caps(config: Config, context: GrowthContext) -> dict[str, int]:
    """Largest width of each group that has one."""
    most = dict(zip(context.widths, config.caps or (), strict=False))
    if config.cap:
        for name, width in context.seed_widths.items():
            most[name] = min(most.get(name, int(config.cap * width)), int(config.cap * width))
    return most


def _below(caps: dict[str, int], context: GrowthContext, found: list[Candidate]) -> list[Candidate]:
    """Of each group the most negative neurons, no more than its cap leaves room for."""
    left = {name: most - context.widths[name] for name, most in caps.items()}
    kept = []
    for candidate in sorted(found, key=lambda c: c.gain):
        name = candidate.group.name
        if left.get(name, candidate.added) >= candidate.added:
            kept.append(candidate)
            if name in left:
                left[name] -= candidate.added
    return kept
