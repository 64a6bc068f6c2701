"""The verdict on a method: each rule is broken by a method that breaks it, also where Python leaves asserts out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.check import _failure as failure
from bench.check import outcomes
from bench.core.errors import BenchError, Refused
from bench.core.registry import NoOptions
from bench.growth.config import GrowthConfig
from bench.growth.method import GrowthContext, has_step, make
from bench.growth.rules import (
    RULES,
    Rule,
    answers_in_plain_numbers,
    counts_are_true,
    grows_within_rung,
    inherits_nothing_if_it_says_so,
    is_the_same_at_any_step,
    keeps_nothing_between_events,
    leaves_the_model_alone,
    predicts_its_drop,
    repeats_itself,
    says_why_it_stops,
    settle,
)
from bench.growth.trial import NETWORKS, trial
from bench.growth.untouched import (
    ASPECTS,
    modes,
    parameters_and_buffers,
    random_streams,
    settings,
    what_it_is_told,
)
from bench.methods import registry
from bench.methods.compose import HOW
from bench.network.plan import GrowthPlan, Split

ROOT = Path(__file__).resolve().parents[2]
CALLS = [0]
ALONE = dict(zip([aspect for aspect in ASPECTS if aspect is not parameters_and_buffers], RULES[-4:], strict=True))
"""The rule of each aspect that has no name."""


def halves(context: GrowthContext, direction: torch.Tensor | None = None, gain: float | None = None) -> GrowthPlan:
    """The first neuron split in two, if that fits."""
    group = context.groups[0]
    fits = context.budget().fits(group.name, 1)
    return GrowthPlan((Split(group, 0, (0.5, 0.5), direction, gain),) if fits else (), stopped="full")


def along(context: GrowthContext) -> torch.Tensor:
    """Two opposite directions of length 1 for the first group's neurons."""
    size = context.operator(context.groups[0]).size
    direction = torch.ones(size, dtype=torch.float64) / size**0.5
    return torch.stack([direction, -direction])


class Honest:
    """Splits one neuron at a time into copies."""

    step = False

    def __init__(self, config: NoOptions) -> None: ...

    def propose(self, context: GrowthContext) -> GrowthPlan:
        return halves(context)


class Displacing(Honest):
    """Says that it displaces nothing, and does."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        return halves(context, along(context))


class LateDisplacing(Honest):
    """Displaces nothing in the plan that is asked for first."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        first = context.widths == context.seed_widths
        return halves(context, None if first else along(context))


class Inheriting(Honest):
    """Says that it starts afresh, and grows what is there."""

    inherits = False


class Boasting(Honest):
    """States a gain that it does not have."""

    step = True

    def propose(self, context: GrowthContext) -> GrowthPlan:
        return halves(context, along(context), gain=-100.0)


class Silent(Honest):
    """Proposes nothing and does not say why."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        return GrowthPlan()


class Moody(Honest):
    """Another neuron each time."""

    step = True

    def propose(self, context: GrowthContext) -> GrowthPlan:
        CALLS[0] += 1
        plan = halves(context)
        group = context.groups[0]
        neuron = CALLS[0] % 2
        return GrowthPlan(tuple(Split(group, neuron, one.weights) for one in plan.splits), stopped="full")


class Remembering(Honest):
    """Splits another neuron once it has been asked before."""

    def __init__(self, config: NoOptions) -> None:
        self.asked: list[float] = []

    def propose(self, context: GrowthContext) -> GrowthPlan:
        self.asked.append(context.target)
        neuron = min(len(self.asked), 3) - 1
        return GrowthPlan(tuple(Split(s.group, neuron, s.weights) for s in halves(context).splits), stopped="full")


class Caching(Honest):
    """Keeps what it found, which is the same however often it is found."""

    def __init__(self, config: NoOptions) -> None:
        self.found: dict[float, int] = {}

    def propose(self, context: GrowthContext) -> GrowthPlan:
        self.found.setdefault(context.target, len(context.groups))
        return halves(context)


class Meddling(Honest):
    """Changes the network itself."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        with torch.no_grad():
            next(context.graph.model.parameters()).add_(1.0)
        return halves(context)


class Greedy(Honest):
    """Takes more than the rung allows."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        return GrowthPlan((Split(context.groups[0], 0, (0.01,) * 100),))


class Declining(Honest):
    """Refuses every network."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        raise Refused("not here")


class Asserting(Honest):
    """Fails by an assert of its own."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        raise AssertionError("of its own")


class Tensors(Honest):
    """Gives tensors for numbers."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        return halves(context, along(context), gain=torch.tensor(-1.0))  # type: ignore[arg-type]


class Half(Honest):
    """Asks for a neuron that is no whole number."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        splits = halves(context).splits
        return GrowthPlan(tuple(Split(s.group, 0.0, s.weights) for s in splits), stopped="full")  # type: ignore[arg-type]


class Training(Honest):
    """Leaves the network in training mode."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        context.graph.model.train()
        return halves(context)


class Forgetful(Honest):
    """Changes the lineage."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        for shares in context.lineage.values():
            shares.fill_(0.5)
        return halves(context)


class Generous(Greedy):
    """Raises the rung itself."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        context.target = 1e9
        return super().propose(context)


class Gradless(Honest):
    """Turns gradients off."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        torch.set_grad_enabled(False)
        return halves(context)


class Double(Honest):
    """Changes the default dtype."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        torch.set_default_dtype(torch.float64)
        return halves(context)


class Drawing(Honest):
    """Draws from the global stream."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        torch.rand(3)
        return halves(context)


class Leaving(Honest):
    """Ends the process."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        raise SystemExit(3)


BREAKERS: list[tuple[type[Honest], Rule, str]] = [
    (Displacing, is_the_same_at_any_step, "it says step = False and displaces what it splits by [0.01"),
    (LateDisplacing, is_the_same_at_any_step, "it says step = False and displaces what it splits by ["),
    (Inheriting, inherits_nothing_if_it_says_so, "it says inherits = False and its plan grows the network"),
    (Boasting, predicts_its_drop, "predicted a change of -"),
    (Silent, says_why_it_stops, "nothing was proposed although there was room, without a reason"),
    (Moody, repeats_itself, "two runs with the same seed "),
    (Remembering, keeps_nothing_between_events, "what it kept in self from one event changes the next, in "),
    (Meddling, leaves_the_model_alone, "propose changed "),
    (Greedy, grows_within_rung, "BenchError: method=Greedy: the plan grows the network to "),
    (Asserting, counts_are_true, "BenchError: method=Asserting: AssertionError: of its own"),
    (Tensors, answers_in_plain_numbers, "PlanError: split of "),
    (Half, answers_in_plain_numbers, "PlanError: split of "),
    (Training, ALONE[modes], "propose changed which modules are in training mode"),
    (Forgetful, ALONE[what_it_is_told], "propose changed context.lineage"),
    (Generous, ALONE[what_it_is_told], "propose changed context.target"),
    (Gradless, ALONE[settings], "propose changed whether gradients are computed"),
    (Double, ALONE[settings], "propose changed the default dtype"),
    (Drawing, ALONE[random_streams], "propose changed torch's global random stream"),
    (Leaving, counts_are_true, "BenchError: method=Leaving: SystemExit: 3"),
]


@pytest.fixture
def registered(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a method that is registered for one test."""
    registry.names()
    registry.register("tried")(request.param)
    yield "tried"
    del registry._entries["tried"]


def broken(name: str) -> Iterator[tuple[str, str]]:
    """Rules that a method breaks, with the reasons."""
    return ((rule, reason) for rule, _, reason in outcomes(name) if reason is not None)


@pytest.mark.parametrize("registered", [Honest, Declining, Caching], indirect=True)
def test_who_keeps_the_rules_or_declines_passes(registered: str) -> None:
    assert not [*broken(registered)]


@pytest.mark.parametrize("registered", [Boasting], indirect=True)
def test_who_breaks_a_rule_is_told(registered: str) -> None:
    title = str(predicts_its_drop.__doc__).splitlines()[0]
    assert any(found.startswith("predicted a change of -") for name, found in broken(registered) if name == title)


@pytest.mark.parametrize("kind", [Tensors, Half, Meddling, Training, Forgetful, Generous, Gradless, Double, Drawing])
def test_the_run_tells_too_and_names_the_method(kind: type[Honest]) -> None:
    event, target = trial(kind(NoOptions()), NETWORKS["linear"](), 1.7)
    try:
        with pytest.raises(BenchError, match=f"^method={kind.__name__}: "):
            event.grow(target)
    finally:
        settle()


@pytest.mark.parametrize(("kind", "rule", "reason"), BREAKERS)
def test_each_rule_tells_its_own(kind: type[Honest], rule: Rule, reason: str) -> None:
    told = failure(lambda: rule(lambda: kind(NoOptions()), NETWORKS["linear"]))
    assert told is not None
    assert told.startswith(reason)
    assert failure(lambda: rule(lambda: Honest(NoOptions()), NETWORKS["linear"])) is None


def test_every_rule_is_broken_by_somebody() -> None:
    assert {rule for _, rule, _ in BREAKERS} == set(RULES)


OPTIONS: list[dict[str, object]] = [
    *({"name": name} for name in registry.names() if name != "retrain"),  # which grows nothing by itself
    {"name": "net2net", "step": False},
    {"name": "tiny", "epsilon": "growth"},
    *({"name": "compose", "where": where, "how": how} for where in ("proportional", "curvature") for how in HOW),
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(map(str, options.values())))
def test_a_method_says_that_it_has_a_step_if_and_only_if_some_network_feels_one(options: dict[str, object]) -> None:
    def states(build: Callable[[], nn.Module]) -> Iterator[dict[str, torch.Tensor]]:
        for epsilon in (0.01, 1.0):
            settle()
            event, target = trial(make(options), build(), 1.4, GrowthConfig(epsilon=epsilon))
            with suppress(Refused):
                event.grow(target)
            yield event.graph.model.state_dict()

    def feels(build: Callable[[], nn.Module]) -> bool:
        one, two = states(build)
        return one.keys() != two.keys() or any(not torch.equal(tensor, two[name]) for name, tensor in one.items())

    assert has_step(make(options)) == any(map(feels, NETWORKS.values()))


def test_a_method_that_says_nothing_has_a_step() -> None:
    assert has_step(object())


def test_the_networks_have_every_kind_of_chain() -> None:
    kinds = {type(module) for build in NETWORKS.values() for module in build().modules()}
    assert {nn.Linear, nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.Flatten, nn.ReLU, nn.SiLU} <= kinds
    layers = [module for build in NETWORKS.values() for module in build().modules() if isinstance(module, nn.Conv2d)]
    assert any(layer.groups > 1 for layer in layers)


LIAR = """
import sys
import torch
from bench import check
from bench.methods.static import Static
from bench.network.plan import GrowthPlan, Split

def lie(self, context):
    group = context.groups[0]
    v = torch.ones(context.operator(group).size, dtype=torch.float64)
    v /= v.norm()
    fits = context.budget().fits(group.name, 1)
    return GrowthPlan((Split(group, 0, (0.5, 0.5), torch.stack([v, -v]), -100.0),) if fits else ())

check.NETWORKS = {{"linear": check.NETWORKS["linear"]}}
if {lying}:
    Static.propose = lie
sys.argv = ["bench.check", "method=static"]
check.main()
"""


@pytest.mark.parametrize("lying", [True, False])
def test_the_verdict_needs_no_assert(lying: bool, tmp_path: Path) -> None:
    command = [sys.executable, "-O", "-c", LIAR.format(lying=lying)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (ended.returncode != 0) == lying, ended.stderr
    assert ("method=static breaks the rules" in ended.stderr) == lying
    for reason in ("displaces what it splits by", "predicted a change of"):
        assert (reason in ended.stdout) == lying
