"""A growth event: rounds until the rung is full, the step, and what it records and counts."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from bench.core.record import GrowthRecord
from bench.core.registry import NoOptions
from bench.growth.config import LINE_SEARCH, GrowthConfig
from bench.growth.event import STEP_RANGE, GrowthEvent, line_search
from bench.growth.judge import contradicts
from bench.growth.method import GrowthContext, make
from bench.growth.trial import EXAMPLES, NETWORKS, trial
from bench.methods.net2net import Config as Net2NetConfig
from bench.methods.net2net import Net2Net
from bench.methods.s2d import S2D
from bench.methods.s2d import Config as S2DConfig
from bench.methods.static import Static, StaticMatched
from bench.network.plan import LONGEST_STEP, GrowthPlan


@pytest.mark.parametrize("method", [Static, StaticMatched])
def test_a_control_starts_afresh_even_where_no_neuron_fits_the_rung(method: type[Static]) -> None:
    event, target = trial(method(NoOptions()), NETWORKS["linear"](), 1.0)
    record, plan = event.grow(target)
    assert record.splits == 0
    assert record.restart
    assert plan.restart


def test_every_measuring_pass_is_counted_at_the_size_it_runs_at() -> None:
    event, target = trial(Net2Net(Net2NetConfig()), NETWORKS["linear"](), 4.0)
    small = event.costs["macs"].of(event.graph.widths())
    record, _ = event.grow(target)
    large = event.costs["macs"].of(event.graph.widths())
    assert record.flops == 2 * EXAMPLES * (small + 2 * large)


def test_every_pass_and_product_of_every_round_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured, products = [], []
    own_measure, own_account = GrowthEvent.measure, GrowthEvent._account

    def measure(self: GrowthEvent, plan: GrowthPlan, epsilon: float) -> tuple[float, Tensor]:
        added = plan.added()
        widths = {name: n + added.get(name, 0) for name, n in self.graph.widths().items()}
        measured.append(EXAMPLES * self.costs["macs"].of(widths))
        return own_measure(self, plan, epsilon)

    def account(self: GrowthEvent, context: GrowthContext, record: GrowthRecord, macs: float) -> None:
        products.append(context.curvature.flops(macs))
        own_account(self, context, record, macs)

    monkeypatch.setattr(GrowthEvent, "measure", measure)
    monkeypatch.setattr(GrowthEvent, "_account", account)
    event, target = trial(S2D(S2DConfig()), NETWORKS["linear"](), 3.0)
    record, _ = event.grow(target)
    assert record.rounds > 1
    assert min(products) > 0
    assert record.flops == pytest.approx(sum(products) + 2 * sum(measured), rel=1e-12)


@pytest.mark.parametrize(
    ("choice", "left", "still"), [("carry", True, False), ("zero", True, True), ("reset", False, False)]
)
def test_the_optimisers_state_becomes_what_the_option_says(choice: str, left: bool, still: bool) -> None:
    event, target = trial(Net2Net(Net2NetConfig()), NETWORKS["linear"](), 1.5, GrowthConfig(optimizer_state=choice))
    torch.nn.functional.cross_entropy(event.graph.model(event.sample.inputs), event.sample.targets).backward()
    event.optimizers[0].step()
    record, _ = event.grow(target)
    momenta = [state["momentum_buffer"] for state in event.optimizers[0].state.values()]
    assert bool(momenta) == left
    resting = sum(int((momentum == 0).all(dim=1).sum()) for momentum in momenta if momentum.dim() == 2)
    assert resting == (record.added_neurons if still else 0)


@pytest.mark.parametrize("name", NETWORKS)
def test_rounds_go_on_until_the_rung_is_full_and_the_lineage_follows(name: str) -> None:
    torch.manual_seed(0)
    event, target = trial(S2D(S2DConfig()), NETWORKS[name](), 3.0)
    record, _ = event.grow(target)
    model = event.costs["params"]
    n = model.vector(event.graph.widths())
    assert record.stopped == "stable" or model.at(n) + model.marginal(n).min() > target
    assert record.epsilon == [0.01] * record.rounds
    assert {name: len(values) for name, values in event.lineage.items()} == event.graph.widths()
    assert all(float(values.max()) <= 1 for values in event.lineage.values())
    assert record.added_neurons == sum(event.graph.widths().values()) - sum(event.seed_widths.values())


def test_drops_of_several_rounds_are_added() -> None:
    torch.manual_seed(0)
    event, target = trial(S2D(S2DConfig()), NETWORKS["linear"](), 3.0)
    before = event.measure(GrowthPlan(), 0.0)[0]
    record, _ = event.grow(target)
    assert record.rounds > 1
    assert record.measured_drop == pytest.approx(before - event.measure(GrowthPlan(), 0.0)[0], rel=1e-9)
    assert record.predicted_drop == pytest.approx(record.measured_drop, rel=0.05)


def test_proposing_carries_nothing_out() -> None:
    event, target = trial(S2D(S2DConfig()), NETWORKS["linear"](), 3.0)
    assert event.propose(target).splits
    assert event.graph.widths() == event.seed_widths


def test_growing_looks_at_the_network_as_it_is_evaluated_and_leaves_it_as_it_was() -> None:
    """Training ends in training mode, where normalisation would go by the batch and dropout would draw."""

    class Looking(Net2Net):
        def propose(self, context: GrowthContext) -> GrowthPlan:
            assert not any(module.training for module in context.graph.model.modules())
            return super().propose(context)

    network = torch.nn.Sequential(torch.nn.Dropout(0.3), NETWORKS["norm, pooling and flatten"]())
    event, target = trial(Looking(Net2NetConfig()), network, 1.5)
    model = event.graph.model.eval()
    with torch.no_grad():
        expected = event.sample.loss(model(event.sample.inputs), event.sample.targets)
    model.train()
    assert event.measure(GrowthPlan(), 0.0)[0] == pytest.approx(float(expected), rel=1e-12)
    event.grow(target)
    assert all(module.training for module in event.graph.model.modules())


def test_nothing_without_a_reason_is_on_record_as_that() -> None:
    class Silent:
        def propose(self, context: GrowthContext) -> GrowthPlan:
            return GrowthPlan()

    event, target = trial(Silent(), NETWORKS["linear"](), 3.0)
    assert event.grow(target)[0].stopped == "nothing proposed"
    assert event.grow(event.costs["params"].of(event.seed_widths))[0].stopped is None  # there is no room


def test_only_a_plan_with_directions_has_a_step() -> None:
    for step, epsilon in ((True, [0.5]), (False, None)):
        torch.manual_seed(0)
        config = GrowthConfig(epsilon=0.5)
        event, target = trial(Net2Net(Net2NetConfig(step=step)), NETWORKS["linear"](), 1.5, config)
        assert event.grow(target)[0].epsilon == epsilon


def test_the_line_search_takes_the_step_that_lowers_the_sample_most() -> None:
    drops = {}
    for epsilon in (LINE_SEARCH, 0.01, 0.1, 1.0):
        torch.manual_seed(0)
        event, target = trial(S2D(S2DConfig()), NETWORKS["linear"](), 1.5, GrowthConfig(epsilon=epsilon))
        drops[epsilon] = event.grow(target)[0].measured_drop or 0.0
    assert drops[LINE_SEARCH] >= max(drop for epsilon, drop in drops.items() if epsilon != LINE_SEARCH) > 0


@pytest.mark.parametrize("best", [2e-3, 0.05, 0.7, 3.5])
def test_a_minimum_in_the_range_is_found(best: float) -> None:
    assert line_search(lambda step: (step - log(best)) ** 2) == pytest.approx(best, rel=0.1)


def test_a_loss_that_only_falls_or_rises_ends_at_the_shortest_or_the_longest_step() -> None:
    assert line_search(lambda step: step) == pytest.approx(STEP_RANGE[0], rel=0.1)
    assert line_search(lambda step: -step) == pytest.approx(LONGEST_STEP, rel=0.1)


@pytest.mark.parametrize("wanted", [0.02, 1.0, 3.9, 4.1, 11.0, 300.0])
def test_the_step_of_least_loss_is_found_however_long_it_is(wanted: float) -> None:
    assert line_search(lambda step: (step - log(wanted)) ** 2) == pytest.approx(wanted, rel=0.05)


def test_a_loss_that_overflows_beyond_a_step_has_one_before_it() -> None:
    assert line_search(lambda step: float("inf") if exp(step) > 0.02 else -step) < 0.02


@pytest.mark.parametrize(
    ("engine", "options", "fails"),
    [
        ("dense", None, False),
        ("lanczos", None, False),
        ("lanczos", {"limit": 2}, True),
        ("rayleigh", None, True),
        ("rayleigh", {"passes": 600, "every": 60, "lr": 0.1, "batch": EXAMPLES}, False),
    ],
)
def test_what_has_not_converged_is_counted(engine: str, options: dict[str, object] | None, fails: bool) -> None:
    torch.manual_seed(0)
    config = GrowthConfig(engine=engine, engine_options=options)
    event, target = trial(S2D(S2DConfig()), NETWORKS["linear"](), 1.4, config)
    record, _ = event.grow(target)
    assert record.searched >= sum(event.seed_widths.values())
    assert (record.unconverged > 0) == fails
    assert record.residual_max is not None
    assert (record.residual_max > 1e-3) == fails
    assert record.unconverged <= record.searched


def test_another_budget_for_memory_gives_the_same_plan() -> None:
    plans = []
    for memory in (2.0, 1e-9):
        torch.manual_seed(0)
        config = GrowthConfig(memory=memory)
        event, target = trial(S2D(S2DConfig()), NETWORKS["residual"](), 1.7, config)
        plans.append(event.propose(target))
    one, two = ([(s.group.name, s.neuron, s.weights) for s in plan.splits] for plan in plans)
    assert one == two


@pytest.mark.parametrize(("epsilons", "fails"), [(90, False), (110, True)])
def test_a_predicted_drop_is_held_against_a_plan_where_it_is_more_than_rounding(
    epsilons: int, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    event, target = trial(S2D(S2DConfig()), NETWORKS["linear"](), 2.0)
    plan, outputs = event.propose(target), event.measure(GrowthPlan(), 0.0)[1]
    predicted = plan.predicted_change(0.01)
    assert predicted is not None
    before = abs(predicted) / (epsilons * torch.finfo(outputs.dtype).eps)
    monkeypatch.setattr(event, "measure", lambda plan, epsilon: (before, outputs))  # as if nothing had come of it
    assert event._fails(contradicts, plan, 0.01, before) is fails


BEARING = [
    {"name": "tiny"},
    {"name": "gradmax"},
    {"name": "senn"},
    *({"name": "compose", "where": where, "how": "tiny"} for where in ("pair", "proportional", "curvature", "random")),
]


@pytest.mark.parametrize("options", BEARING, ids=str)
def test_where_all_groups_are_left_out_nothing_more_is_born_and_that_is_no_refusal(options: dict[str, object]) -> None:
    event, target = trial(make(options), NETWORKS["linear"](), 3.0)
    event.left_out = set(event.graph.groups)
    record, plan = event.grow(target)
    assert record.stopped == "contradicted"
    assert not plan.changes


@pytest.mark.parametrize("name", ["gradmax", "tiny", "senn", "firefly", "saddle", "random_birth"])
def test_what_is_counted_is_what_pytorch_counts(name: str) -> None:
    """Of a convnet with norms, whose statistics newborn channels wait for; decompositions are nobody's products."""
    torch.manual_seed(0)
    event, target = trial(make({"name": name}), NETWORKS["norm, pooling and flatten"](), 2.0)
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(400, *event.sample.inputs.shape[1:], generator=generator, dtype=torch.float64)
    event.sample = replace(event.sample, inputs=inputs, targets=torch.arange(400) % 3)
    with FlopCounterMode(display=False) as counter:
        record, _ = event.grow(target)
    assert record.added_neurons
    assert record.flops == pytest.approx(counter.get_total_flops(), rel=0.05)
