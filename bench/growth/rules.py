"""What every growth method keeps, as checks that try it on a small network (`bench.growth.trial`)."""

from __future__ import annotations

import copy
from collections.abc import Callable

import msgspec
import torch
from torch import Tensor, nn

from bench.core.record import EXACT, GrowthRecord
from bench.growth.config import LINE_SEARCH, GrowthConfig
from bench.growth.method import GrowthMethod, has_step
from bench.growth.trial import USUAL, trial
from bench.network.plan import GrowthPlan

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
        torch.manual_seed(0)
        event, target = trial(make(), network(), RATIO, GrowthConfig(cost=cost))
        record, _ = event.grow(target)
        spent = event.costs[cost].of(event.graph.widths())
        require(spent <= target, f"{spent:.0f} {cost} exceed the rung's {target:.0f}")
        gap = record.function_gap
        unchanged = record.splits == 0 or (gap is not None and gap < 1e-12)
        require(unchanged, f"the function changed by {gap or 0:.1e} at epsilon = 0")


def says_why_it_stops(make: Make, network: Network) -> None:
    """Proposes something where there is room, or says why not."""
    for cost in COSTS:
        plan = _first_plan(make, network, GrowthConfig(cost=cost))
        says = bool(plan.splits or plan.restart or plan.stopped)
        require(says, "nothing was proposed although there was room, without a reason")


def counts_are_true(make: Make, network: Network) -> None:
    """The grown network has the parameters that the cost model says."""
    torch.manual_seed(0)
    event, target = trial(make(), network(), RATIO)
    event.grow(target)
    counted = sum(p.numel() for p in event.graph.model.parameters())
    computed = event.costs["params"].of(event.graph.widths())
    require(counted == computed, f"{counted} parameters counted, {computed:.0f} by the cost model")


def predicts_its_drop(make: Make, network: Network) -> None:
    """Where gains are stated: predicted and measured change of the loss agree at a small step (smooth networks)."""
    torch.manual_seed(0)
    step = 1e-4
    event, target = trial(make(), network(), RATIO)
    if event.curvature().trust(event.graph.groups) != EXACT:
        return
    plan = event.propose(target)
    predicted = plan.predicted_change(step)
    if predicted is None or plan.restart:
        return
    measured = event.measure(plan, step)[0] - event.measure(GrowthPlan(), 0.0)[0]
    scale = step**2 / 2 * sum(abs(split.gain or 0.0) for split in plan.splits)
    off = abs(predicted - measured) / max(scale, 1e-14)
    require(off < 0.05, f"predicted a change of {predicted:.3e}, measured {measured:.3e}")


def repeats_itself(make: Make, network: Network) -> None:
    """The same seed grows the same network."""
    (one, first), (two, second) = (_grown(make, network, USUAL) for _ in range(2))
    require(one == two, "two runs with the same seed left different records")
    differ = _difference(first, second)
    require(differ is None, f"two runs with the same seed differ in {differ}")


def displaces_nothing_without_a_step(make: Make, network: Network) -> None:
    """If it says ``step = False``, its plans have no directions, and growth.epsilon changes nothing."""
    if has_step(make()):
        return
    states = []
    for epsilon in (0.01, 1.0, LINE_SEARCH):
        record, state = _grown(make, network, GrowthConfig(epsilon=epsilon))
        require(record.epsilon is None, f"it says step = False and displaces what it splits by {record.epsilon}")
        states.append(state)
    require(not _first_plan(make, network, USUAL).has_directions, "it says step = False and its plan has directions")
    for state in states[1:]:
        differ = _difference(states[0], state)
        require(differ is None, f"it says step = False, and growth.epsilon changes {differ}")


def leaves_the_model_alone(make: Make, network: Network) -> None:
    """Proposing a plan changes nothing: parameters, buffers, gradients, modes."""
    torch.manual_seed(0)
    event, target = trial(make(), network(), RATIO)
    model = event.graph.model.train()
    before = copy.deepcopy(model.state_dict())
    event.propose(target)
    changed = _difference(before, model.state_dict())
    require(changed is None, f"propose changed {changed}")
    require(all(p.grad is None for p in model.parameters()), "propose left gradients behind")
    require(all(m.training for m in model.modules()), "propose left the model in evaluation mode")


RULES: tuple[Rule, ...] = (
    grows_within_rung,
    says_why_it_stops,
    counts_are_true,
    predicts_its_drop,
    repeats_itself,
    displaces_nothing_without_a_step,
    leaves_the_model_alone,
)
"""The first line of each one's docstring is what users read."""


def _grown(make: Make, network: Network, config: GrowthConfig) -> tuple[GrowthRecord, dict[str, Tensor]]:
    """What a growth event records, but for its time, and the network's parameters and buffers after it."""
    torch.manual_seed(0)
    event, target = trial(make(), network(), RATIO, config)
    record, _ = event.grow(target)
    return msgspec.structs.replace(record, seconds=0.0), event.graph.model.state_dict()


def _first_plan(make: Make, network: Network, config: GrowthConfig) -> GrowthPlan:
    torch.manual_seed(0)
    event, target = trial(make(), network(), RATIO, config)
    return event.propose(target)


def _difference(one: dict[str, Tensor], two: dict[str, Tensor]) -> str | None:
    """The first tensor in which two states differ."""
    return next((name for name in one if not torch.equal(one[name], two[name])), None)
