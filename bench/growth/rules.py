"""What every growth method keeps, as checks that try it on a small network (`bench.growth.trial`)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache

import msgspec
import torch
from torch import Tensor, nn

from bench.core.record import EXACT, GrowthRecord
from bench.growth.config import GrowthConfig
from bench.growth.event import GrowthEvent
from bench.growth.method import GrowthMethod, has_step
from bench.growth.trial import NETWORKS, USUAL, read, trial
from bench.growth.untouched import ASPECTS, Aspect, parameters_and_buffers
from bench.network.graph import Graph
from bench.network.modes import evaluation
from bench.network.plan import LINE_SEARCH, GrowthPlan, validate

COSTS = ("params", "macs", "energy")
RATIO = 1.7

Make = Callable[[], GrowthMethod]
Network = Callable[[], nn.Module]
Rule = Callable[[Make, Network], None]
"""Tries a method on a network. Raises `Broken` with the reason, or whatever the method raises."""


class Broken(Exception):
    """A rule that a method does not keep."""


def require(holds: bool, otherwise: str) -> None:
    """Raise `Broken` unless it holds; not an ``assert``, which ``python -O`` leaves out."""
    if not holds:
        raise Broken(otherwise)


def grows_within_rung(make: Make, network: Network) -> None:
    """Never exceeds the rung, in any cost, and leaves the function unchanged at epsilon = 0."""
    for cost in COSTS:
        event, target = _trial(make, network, GrowthConfig(cost=cost))
        record, _ = event.grow(target)
        spent = event.costs[cost].of(event.graph.widths())
        require(spent <= target, f"{spent:.0f} {cost} exceed the rung's {target:.0f}")
        gap = record.function_gap
        unchanged = record.rounds == 0 or (gap is not None and gap < 1e-12)
        require(unchanged, f"the function changed by {gap or 0:.1e} at epsilon = 0")


def says_why_it_stops(make: Make, network: Network) -> None:
    """Proposes something where there is room, or says why not."""
    for cost in COSTS:
        plan = _first_plan(make, network, GrowthConfig(cost=cost))
        says = bool(plan.changes or plan.restart or plan.stopped)
        require(says, "nothing was proposed although there was room, without a reason")


def counts_are_true(make: Make, network: Network) -> None:
    """The grown network has the parameters that the cost model says."""
    event, target = _trial(make, network)
    event.grow(target)
    counted = sum(p.numel() for p in event.graph.model.parameters())
    computed = event.costs["params"].of(event.graph.widths())
    require(counted == computed, f"{counted} parameters counted, {computed:.0f} by the cost model")


def predicts_its_drop(make: Make, network: Network) -> None:
    """Where gains are stated: predicted and measured change of the loss agree at a small step (smooth networks)."""
    step = 1e-4
    event, target = _trial(make, network)
    if event.curvature().trust(event.graph.groups) != EXACT:
        return
    plan = event.propose(target)
    predicted = plan.predicted_change(step)
    if predicted is None or plan.restart:
        return
    measured = event.measure(plan, step)[0] - event.measure(GrowthPlan(), 0.0)[0]
    scale = step**2 / 2 * sum(abs(change.gain or 0.0) for change in plan.changes)
    off = abs(predicted - measured) / max(scale, 1e-14)
    require(off < 0.05, f"predicted a change of {predicted:.3e}, measured {measured:.3e}")


def repeats_itself(make: Make, network: Network) -> None:
    """The same seed grows the same network."""
    (one, first), (two, second) = (_grown(make, network, USUAL) for _ in range(2))
    require(one == two, "two runs with the same seed left different records")
    differ = _difference(first, second)
    require(differ is None, f"two runs with the same seed differ in {differ}")


def keeps_nothing_between_events(make: Make, network: Network) -> None:
    """Keeps nothing from one event to the next: each is given a copy of the method as it was made."""
    used = make()
    event, target = _trial(lambda: used, network)
    event.grow(target)
    (one, first), (two, second) = (_grown(of, event.graph, USUAL) for of in (lambda: used, make))
    differ = _difference(first, second) if one == two else "what it records"
    kept = f"what it kept in self from one event changes the next, in {differ}; in a run that is gone by then"
    require(differ is None, f"{kept}: context.history, lineage and widths say what was before")


def is_the_same_at_any_step(make: Make, network: Network) -> None:
    """If it says ``step = False``, growth.epsilon changes nothing."""
    if has_step(make()):
        return
    grown = [_grown(make, network, GrowthConfig(epsilon=epsilon)) for epsilon in (0.01, 1.0, LINE_SEARCH)]
    (first, state), others = grown[0], grown[1:]
    for record, other in others:
        told = f"displaces what it splits by {first.epsilon} or {record.epsilon}"
        require(record.epsilon == first.epsilon, f"it says step = False and {told}, as growth.epsilon says")
        differ = _difference(state, other)
        require(differ is None, f"it says step = False, and growth.epsilon changes {differ}")


def inherits_nothing_if_it_says_so(make: Make, network: Network) -> None:
    """If it says ``inherits = False``, its plans start afresh."""
    if getattr(make(), "inherits", True):
        return
    plan = _first_plan(make, network, USUAL)
    require(plan.restart or not plan.changes, "it says inherits = False and its plan grows the network that is there")


def answers_in_plain_numbers(make: Make, network: Network) -> None:
    """Plans are of ints and floats: no tensors, no NumPy scalars, no True for 1; neurons are whole numbers."""
    event, plan, _ = _asked(make, network)
    require(isinstance(plan, GrowthPlan), f"propose returned {type(plan).__name__}; expected a GrowthPlan")
    validate(plan, event.graph.model, event.graph.groups)


def leaves_alone(aspect: Aspect) -> Rule:
    """The rule that proposing a plan changes nothing of one aspect."""

    def rule(make: Make, network: Network) -> None:
        what = _asked(make, network)[2][aspect]
        require(what is None, f"propose changed {what}")

    rule.__doc__ = aspect.__doc__
    return rule


leaves_the_model_alone = leaves_alone(parameters_and_buffers)

RULES: tuple[Rule, ...] = (
    grows_within_rung,
    says_why_it_stops,
    counts_are_true,
    predicts_its_drop,
    repeats_itself,
    keeps_nothing_between_events,
    is_the_same_at_any_step,
    inherits_nothing_if_it_says_so,
    answers_in_plain_numbers,
    leaves_the_model_alone,
    *(leaves_alone(aspect) for aspect in ASPECTS if aspect is not parameters_and_buffers),
)
"""The first line of each one's docstring is what users read."""


def settle() -> None:
    """Undo what a method may have left of PyTorch's settings and its random stream."""
    torch.manual_seed(0)
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


def _trial(make: Make, network: Network | Graph, config: GrowthConfig = USUAL) -> tuple[GrowthEvent, float]:
    """On a copy of the network."""
    settle()
    graph = network if isinstance(network, Graph) else _read(network)
    return trial(make(), graph.on(copy.deepcopy(graph.model)), RATIO, config)


@lru_cache(len(NETWORKS))
def _read(network: Network) -> Graph:
    """A network's graph, read once for all trials."""
    return read(network())


@lru_cache(len(NETWORKS))
def _asked(make: Make, network: Network) -> tuple[GrowthEvent, GrowthPlan, dict[Aspect, str | None]]:
    """An event, the method's first plan as it stands, and what asking for it changed; several rules look at it."""
    event, target = _trial(make, network)
    context = event.context(target)
    with evaluation(event.graph.model):
        aspects = {aspect: aspect(context) for aspect in ASPECTS}
        plan = event.method.propose(context)
        return event, plan, {aspect: changed() for aspect, changed in aspects.items()}


def _grown(make: Make, network: Network | Graph, config: GrowthConfig) -> tuple[GrowthRecord, dict[str, Tensor]]:
    """What a growth event records, but for its time, and the network's parameters and buffers after it."""
    event, target = _trial(make, network, config)
    record, _ = event.grow(target)
    return msgspec.structs.replace(record, seconds=0.0), event.graph.model.state_dict()


def _first_plan(make: Make, network: Network, config: GrowthConfig) -> GrowthPlan:
    event, target = _trial(make, network, config)
    return event.propose(target)


def _difference(one: dict[str, Tensor], two: dict[str, Tensor]) -> str | None:
    """The first tensor in which two states differ."""
    return next((name for name in one if not torch.equal(one[name], two[name])), None)
