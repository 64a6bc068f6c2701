"""A plan that changes the function is not carried out; one that does not do what it says is on record, or mended."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import BenchError
from bench.core.registry import NoOptions
from bench.growth.config import GrowthConfig
from bench.growth.event import GrowthEvent
from bench.growth.judge import contradicts, opposes
from bench.growth.method import GrowthContext, GrowthMethod
from bench.growth.trial import CLASSES, NETWORKS, trial
from bench.methods.net2net import Config as Net2NetConfig
from bench.methods.net2net import Net2Net
from bench.methods.random_split import RandomSplit
from bench.methods.s2d import S2D
from bench.methods.s2d import Config as S2DConfig
from bench.methods.s3d import S3D
from bench.methods.s3d import Config as S3DConfig
from bench.methods.static import Static
from bench.network.plan import GrowthPlan

METHODS: dict[str, Callable[[], GrowthMethod]] = {
    "net2net": lambda: Net2Net(Net2NetConfig()),
    "s2d": lambda: S2D(S2DConfig()),
    "s3d": lambda: S3D(S3DConfig()),
    "random_split": lambda: RandomSplit(NoOptions()),
    "static": lambda: Static(NoOptions()),
}


class Counting(nn.Module):
    """Once it has been read, its second layer is another function as soon as it is wide enough: no graph knows."""

    been_read = False

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(72, 4), nn.Linear(4, 4), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x.flatten(1)))
        x = torch.tanh(self.second(x)) * (1.01 if self.been_read and self.second.out_features > 5 else 1.0)
        return self.head(x)


@pytest.mark.parametrize("name", METHODS)
def test_a_plan_that_changes_the_function_is_not_carried_out(name: str) -> None:
    torch.manual_seed(0)
    event, target = trial(METHODS[name](), model := Counting(), 4.0)
    model.been_read = True
    state = copy.deepcopy(event.graph.model.state_dict())
    message = (
        rf"^method={event.name}: growing second \(Linear\) changes the function by .*e-0\d of .*nothing was grown$"
    )
    with pytest.raises(BenchError, match=message):
        event.grow(target)
    assert event.graph.widths() == event.seed_widths
    assert all(torch.equal(state[key], value) for key, value in event.graph.model.state_dict().items())
    assert all(float(value.min()) == float(value.max()) == 1 for value in event.lineage.values())


def test_layers_that_are_at_fault_together_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    event, target = trial(METHODS["net2net"](), NETWORKS["linear"](), 4.0)
    own = GrowthEvent.measure

    def off(self: GrowthEvent, plan: GrowthPlan, epsilon: float) -> tuple[float, Tensor]:
        loss, outputs = own(self, plan, epsilon)
        return loss, outputs * (1 + 1e-6 * (len(plan.added()) > 1))

    monkeypatch.setattr(GrowthEvent, "measure", off)
    with pytest.raises(BenchError, match=r"growing 1 \(Linear\), 3 \(Linear\) changes the function by 1\.0e-06"):
        event.grow(target)


def test_shares_that_sum_to_one_but_for_rounding_keep_the_function() -> None:
    class Rounded(Net2Net):
        def propose(self, context: GrowthContext) -> GrowthPlan:
            plan = super().propose(context)
            return replace(
                plan, splits=tuple(replace(s, weights=tuple(w * (1 + 5e-6) for w in s.weights)) for s in plan.splits)
            )

    event, target = trial(Rounded(Net2NetConfig()), NETWORKS["linear"](), 2.0)
    assert (event.grow(target)[0].function_gap or 0) < 1e-12


@pytest.mark.parametrize(
    ("predicted", "measured", "contradicted", "opposed"),
    [
        (-1.0, -1.0, False, False),
        (-1.0, -0.51, False, False),
        (-1.0, -1.99, False, False),
        (1.0, 1.2, False, False),
        (-1.0, -0.4, True, False),
        (-1.0, -3.0, True, False),
        (-1.0, 0.1, True, True),
        (1.0, -1.0, True, True),
        (0.0, 1.0, True, True),
        (-1.0, float("nan"), True, True),
        (-1.0, float("inf"), True, True),
        (-1e-9, 1e-9, False, False),
        (-1e-9, 1e-3, True, True),
    ],
)
def test_what_contradicts(predicted: float, measured: float, contradicted: bool, opposed: bool) -> None:
    assert contradicts(predicted, measured, 1e-8) is contradicted
    assert opposes(predicted, measured, 1e-8) is opposed


class Liar(S2D):
    """Says that splits of some groups lower the loss that raise it."""

    about: tuple[str, ...] = ("1", "3")

    def propose(self, context: GrowthContext) -> GrowthPlan:
        plan = super().propose(context)
        splits = []
        for split in plan.splits:
            name = split.group.name
            if name in self.about:
                v = context.spectrum(split.group).highest_vectors[split.neuron]
                split = replace(split, directions=torch.stack([v, -v]))
            splits.append(split)
        return replace(plan, splits=tuple(splits))


def grown(method: GrowthMethod, **options: object) -> GrowthEvent:
    torch.manual_seed(0)
    event, target = trial(method, NETWORKS["linear"](), 1.6, GrowthConfig(**options))  # type: ignore[arg-type]
    event.record, _ = event.grow(target)  # type: ignore[attr-defined]
    return event


def record_of(event: GrowthEvent) -> object:
    return event.record  # type: ignore[attr-defined]


def test_every_plan_is_judged() -> None:
    honest = record_of(grown(S2D(S2DConfig())))
    assert (honest.judged, honest.contradicted, honest.trust) == (honest.rounds, 0, "second order")
    lying = record_of(grown(Liar(S2DConfig())))
    assert lying.measured_drop < 0 < lying.predicted_drop
    assert lying.contradicted == lying.judged == lying.rounds
    silent = record_of(grown(Net2Net(Net2NetConfig())))
    assert (silent.judged, silent.contradicted, silent.trust) == (0, 0, None)
    afresh = record_of(grown(Static(NoOptions())))
    assert (afresh.judged, afresh.contradicted, afresh.trust) == (0, 0, None)
    tiny = record_of(grown(S2D(S2DConfig()), epsilon=1e-9))
    assert (tiny.judged, tiny.contradicted) == (0, 0)


def test_trust_names_what_stands_in() -> None:
    for network, trust in (("norm, pooling and flatten", "max pooling"), ("depthwise with ReLU", "kinks")):
        event, target = trial(S2D(S2DConfig()), NETWORKS[network](), 4.0)
        assert event.grow(target)[0].trust == trust
    event, target = trial(S2D(S2DConfig()), NETWORKS["depthwise with SiLU"](), 1.7, GrowthConfig(curvature="published"))
    assert event.grow(target)[0].trust == "textbook form"


def test_the_default_leaves_a_plan_as_it_is_and_measures_nothing_more() -> None:
    event = grown(Liar(S2DConfig()))
    assert event.record.epsilon == [0.01] * event.record.rounds  # type: ignore[attr-defined]


def test_a_smaller_step_is_taken_until_the_loss_does_as_predicted() -> None:
    kept, smaller = (record_of(grown(S2D(S2DConfig()), epsilon=4.0, contradicted=c)) for c in ("keep", "smaller"))
    assert kept.contradicted > 0
    assert kept.epsilon == [4.0] * kept.rounds
    assert smaller.contradicted == 0
    assert smaller.measured_drop > 0
    assert max(smaller.epsilon) < 4
    assert all((4 / step).is_integer() for step in smaller.epsilon)
    assert smaller.flops > kept.flops / kept.rounds  # what it tried is counted


def test_where_no_step_does_the_smallest_is_taken() -> None:
    record = record_of(grown(Liar(S2DConfig()), contradicted="smaller"))
    assert record.epsilon == [0.01 / 2**6] * record.rounds


def test_the_layer_at_fault_is_left_out_and_the_others_fill_the_rung() -> None:
    class Half(Liar):
        about = ("3",)

    kept, without = (grown(Half(S2DConfig()), contradicted=choice) for choice in ("keep", "leave_out"))
    assert record_of(kept).left_out == []
    record = record_of(without)
    assert record.left_out == ["3"]
    assert record.contradicted == 0
    assert record.measured_drop > 0
    with_lies, widths = kept.graph.widths(), without.graph.widths()
    assert widths["3"] < with_lies["3"]
    assert widths["1"] > without.seed_widths["1"]
    assert record.stopped is None or record.stopped == "contradicted"


def test_where_all_layers_are_at_fault_nothing_is_grown_and_the_record_says_why() -> None:
    event = grown(Liar(S2DConfig()), contradicted="leave_out")
    record = record_of(event)
    assert (record.splits, record.stopped, record.left_out) == (0, "contradicted", ["1", "3"])
    assert event.graph.widths() == event.seed_widths


def test_a_method_that_does_not_ask_what_is_left_out_is_held_to_it() -> None:
    class Stubborn(Liar):
        def propose(self, context: GrowthContext) -> GrowthPlan:
            return super().propose(replace(context, left_out=frozenset()))

    event = grown(Stubborn(S2DConfig()), contradicted="leave_out")
    assert (record_of(event).splits, record_of(event).stopped) == (0, "contradicted")


def test_plans_that_do_as_they_say_are_the_same_by_every_choice() -> None:
    states = [
        grown(S2D(S2DConfig()), contradicted=c).graph.model.state_dict() for c in ("keep", "smaller", "leave_out")
    ]
    for state in states[1:]:
        assert all(torch.equal(states[0][key], value) for key, value in state.items())
