"""What the methods that add neurons promise besides the rules of all methods."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.errors import ConfigError, Refused
from bench.growth.grower import Grower
from bench.growth.method import GrowthContext, has_step
from bench.methods import gradmax, s2d, senn, tiny
from bench.methods.compose import HOW, WHERE
from bench.network.graph import Graph
from bench.network.groups import Group, outgoing, theta
from bench.network.plan import LINE_SEARCH, Birth, GrowthPlan, validate
from bench.network.surgery import apply
from tests.bench.curvature.test_pair import heard, left_over, power
from tests.methods.made import context_of, method
from tests.methods.test_methods import described
from tests.nets import CLASSES, Net, grow_context, named
from tests.reference import loss_after


def loss(context: GrowthContext, plan: GrowthPlan, epsilon: float) -> float:
    """Of a copy, on the sample."""
    sample = context.curvature.sample
    return loss_after(context.graph.model, plan, epsilon, sample.inputs, sample.targets)


def proposed(name: str, context: GrowthContext, **options: object) -> GrowthPlan:
    """A method's plan, which is valid."""
    plan = method(name, **options).propose(context)
    validate(plan, context.graph.model, context.graph.groups)
    return plan


def two_layers(activation: Callable[[Tensor], Tensor] = torch.tanh) -> GrowthContext:
    """Two linear layers and many examples: the case of the papers."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 3), nn.Linear(3, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(activation(self.one(x)))

    torch.manual_seed(0)
    model, inputs = Two().double().eval(), torch.randn(60, 4).double()
    return grow_context(Graph(model, (4,)), inputs, torch.randint(CLASSES, (60,)), ratio=4.0)


# -- GradMax -----------------------------------------------------------------------------------------------------------


def gradient(context: GrowthContext, birth: Birth) -> Tensor:
    """The loss's gradient by a new neuron's parameters, by plain autograd."""
    twin, group = copy.deepcopy(context.graph.model), birth.group
    apply(twin, None, GrowthPlan(births=(birth,)), 0.0)
    F.cross_entropy(twin(context.curvature.sample.inputs), context.curvature.sample.targets).backward()
    parts = []
    for slot in (slot for producer in group.producers for slot in producer.slots):
        by: Any = dict(twin.named_parameters())[slot.tensor].grad
        parts.append(by.movedim(slot.dim, 0)[slot.owned(group.name, slot.widths(twin))[-1]].flatten())
    return torch.cat(parts)


@pytest.mark.parametrize("name", ["mlp", "norm", "flatten", "two_consumers", "depthwise", "tokens"])
def test_gradmax_makes_the_largest_gradient_of_its_norm(name: str) -> None:
    context = context_of(named(name))
    for group in context.bearing:
        births = gradmax.candidates(context, group)
        weights = outgoing(context.graph.model, group)
        half = 0.5 * float(torch.linalg.vector_norm(weights, dim=1).mean())
        columns = torch.stack([birth.base_outgoing for birth in births])
        assert torch.allclose(columns @ columns.T, half**2 * torch.eye(len(births)).double(), atol=1e-9)
        assert all(not (b.incoming.any() or b.outgoing.any()) and b.base_incoming is None for b in births)
        found = [float(gradient(context, birth).norm()) for birth in births]
        assert found == sorted(found, reverse=True)
        zero, random = births[0].incoming * 0, torch.randn(20, weights.shape[1]).double()
        for way in half * F.normalize(random, dim=1):
            assert float(gradient(context, Birth(group, zero, way * 0, base_outgoing=way)).norm()) < found[0]


def test_gradmax_takes_another_norm_where_asked() -> None:
    context = context_of(named("mlp"))
    one, two = (proposed("gradmax", context, scale=scale).births[0].base_outgoing for scale in (0.5, 2.0))
    assert torch.allclose(4 * one, two)
    with pytest.raises(ConfigError, match=r"^method\.scale=0"):
        method("gradmax", scale=0)


@pytest.mark.parametrize("name", ["mlp", "norm", "two_consumers", "residual_stream"])
def test_gradmax_adds_at_most_as_many_as_there_is_rank_and_nothing_twice(name: str) -> None:
    """Round after round on the grown net, whose layers read neurons that are silent still."""
    net = named(name)
    context = context_of(net, ratio=30.0)
    plan, added = proposed("gradmax", context), Counter[str]()
    assert plan.stopped is None
    for _ in range(20):
        apply(context.graph.model, None, plan, 0.01)
        added.update(plan.added())
        context = grow_context(context.graph, *net.sample(), target=context.target, seed_widths=net.widths)
        ranks = {g.name: int(torch.linalg.matrix_rank(context.pair(g).M, rtol=1e-5)) for g in context.bearing}
        assert all(added[group] <= rank for group, rank in ranks.items())
        plan = proposed("gradmax", context)
        if not plan.births:
            break
    assert (plan.births, plan.stopped) == ((), "rank")
    if name != "residual_stream":  # where new neurons add to the layer's own columns too
        assert added == ranks
        assert max(ranks.values()) > CLASSES - 1  # of hidden layers; behind the classes one less than they are
        assert min(ranks.values()) == CLASSES - 1
    for group, silent in gradmax.untrained(context).items():
        assert silent.tolist() == [False] * net.widths[group] + [True] * added[group]


@pytest.mark.parametrize("name", ["mlp_relu", "norm_relu", "functional_relu", "prelu"])
def test_gradmax_moves_what_would_never_train_downhill(name: str) -> None:
    """Behind ReLU, and of both signs along the one that lowers the loss more."""
    context = context_of(named(name))
    for group in context.bearing:
        pair = context.pair(group)
        assert not pair.is_linear
        for birth in gradmax.candidates(context, group):
            plan, step = GrowthPlan(births=(birth,)), 1e-4
            turned = Birth(group, -birth.incoming, birth.outgoing, base_outgoing=-birth.base_outgoing)
            start = loss(context, plan, 0.0)
            assert start == pytest.approx(loss(context, GrowthPlan(), 0.0), rel=1e-12)
            assert birth.gain is None
            found = [loss(context, GrowthPlan(births=(one,)), step) - start for one in (birth, turned)]
            assert found[0] <= found[1] + 1e-15
            if name != "functional_relu":  # of maxima neither sign need go down
                assert found[0] < -1e-12


# -- TINY --------------------------------------------------------------------------------------------------------------


def test_tiny_is_gromos_on_the_same_statistics() -> None:
    """Up to the signs of pairs."""
    tools = pytest.importorskip("gromo.utils.tools")
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        b = torch.randn(30, 6, generator=generator).double()
        v = torch.randn(30, 4, generator=generator).double()
        s, n = b.T @ b / 30, v.T @ b / 30
        alpha, omega, sizes = tools.compute_optimal_added_parameters(s, n.T, 1e-6, 1e-3)
        incoming, out = tiny.decomposed(n, s, 1e-3)
        assert len(incoming) == len(sizes)
        assert torch.allclose(torch.linalg.vector_norm(out, dim=1), sizes.sqrt())
        for k in range(len(sizes)):
            assert torch.allclose(torch.outer(out[k], incoming[k]), torch.outer(omega[:, k], alpha[k]), atol=1e-9)


def test_tiny_is_the_paper_s_formula_for_two_linear_layers() -> None:
    """From explicit matrices: the best neurons in least squares for what existing weights cannot do."""
    context = two_layers()
    (group,) = context.groups
    model: Any = context.graph.model
    inputs, targets = context.curvature.sample.inputs, context.curvature.sample.targets
    b = torch.cat([inputs, torch.ones(60, 1).double()], dim=1)
    v = left_over(model.two, *heard(model, "two", inputs, targets))[:, 0]
    n, s = v.T @ b / 60, b.T @ b / 60  # tanh'(0) = 1
    left, sizes, right = torch.linalg.svd(n @ power(s, -0.5), full_matrices=False)
    births = tiny.candidates(context, group)
    assert len(births) == int((sizes > 1e-3 * sizes[0]).sum()) == CLASSES - 1
    for k, birth in enumerate(births):
        expected = torch.outer(left[:, k], right[k] @ power(s, -0.5)) * sizes[k]
        assert torch.allclose(torch.outer(birth.outgoing, birth.incoming), expected, atol=1e-12)
        assert float(birth.outgoing.norm()) == pytest.approx(float(sizes[k]) ** 0.5)
        plan = GrowthPlan(births=(birth,))
        measured = loss(context, plan, 1e-3) - loss(context, plan, 0.0)
        assert birth.gain == pytest.approx(measured / 0.5e-6, rel=1e-3)
    # no other neuron comes nearer: of the same activity, its part of what is left is smaller
    for way in torch.randn(200, 5).double():
        u = b @ way / (b @ way).square().mean().sqrt()
        assert float((v.T @ u / 60).norm()) <= float(sizes[0]) + 1e-12


def test_tiny_takes_the_neurons_of_largest_gain_over_all_layers() -> None:
    context = context_of(named("two_consumers"), ratio=1.5)
    plan = proposed("tiny", context)
    gains = sorted(b.gain for group in context.bearing for b in tiny.candidates(context, group))
    assert [birth.gain for birth in plan.births][:2] == gains[:2]
    assert all(birth.base_incoming is None and birth.base_outgoing is None for birth in plan.births)


def test_tiny_s_step_is_as_long_as_the_loss_falls() -> None:
    """Its directions are as short as what is left to do: a step of 4 is no end."""
    context = context_of(named("two_consumers"), ratio=1.5)
    sample = context.curvature.sample

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs / 100, targets)

    grower = Grower(context.graph.model, sample.inputs, "tiny", epsilon=0.01)
    steps = grower.grow(sample.inputs, sample.targets, loss, ratio=1.2).record.epsilon
    assert max(steps) > 4.5


@pytest.mark.parametrize("epsilon", [0.01, 0.3])
def test_tiny_searches_its_step_whatever_growth_says(epsilon: float) -> None:
    found = []
    for own in (LINE_SEARCH, "growth"):
        context = two_layers()
        sample = context.curvature.sample
        made = method("tiny", epsilon=own)
        grower = Grower(context.graph.model, sample.inputs, made, epsilon=epsilon)
        found.append(grower.grow(sample.inputs, sample.targets, F.cross_entropy, ratio=1.5).record)
    searched, told = found
    assert told.epsilon is not None
    assert set(told.epsilon) == {epsilon}
    assert searched.epsilon is not None
    assert epsilon not in searched.epsilon
    assert searched.measured_drop > told.measured_drop > 0


def test_tiny_stops_where_nothing_is_left_to_reach() -> None:
    plan = proposed("tiny", context_of(named("flatten"), ratio=3.0))
    assert {birth.group.name for birth in plan.births} == {"4"}  # eight examples are too few for eighteen columns
    net = named("sized_view")
    context = grow_context(net.graph(), *net.sample(3), ratio=3.0)
    assert proposed("tiny", context).stopped == "nothing left to reach"


# -- Firefly -----------------------------------------------------------------------------------------------------------


def test_firefly_with_many_steps_comes_to_the_lowest_curvature_and_the_leading_pairs() -> None:
    context = context_of(named("mlp"), ratio=30.0)
    plan = proposed("firefly", context, steps=3000, rate=0.05)
    for group in context.groups:
        lowest = torch.linalg.eigvalsh(context.operator(group).dense())[:, 0]
        gains = {s.neuron: s.gain for s in plan.splits if s.group == group}
        assert gains.keys() == {i for i, value in enumerate(lowest.tolist()) if value < -1e-12}
        for neuron, gain in gains.items():
            assert gain == pytest.approx(float(lowest[neuron]), rel=1e-3)
        sizes = torch.linalg.svdvals(context.pair(group).M)
        born = sorted(birth.gain for birth in plan.births if birth.group == group)
        many = [-2 * float(size) for size in sizes if size > 1e-9]
        assert born[: len(many)] == pytest.approx(many, rel=1e-3)


def test_firefly_without_steps_is_random_and_steps_improve_it() -> None:
    plans = {steps: proposed("firefly", context_of(named("norm"), ratio=30.0), steps=steps) for steps in (0, 1, 10)}
    totals = [sum(change.gain for change in plan.changes) for plan in plans.values()]
    assert totals[0] > totals[1] > totals[2]
    other = proposed("firefly", context_of(named("norm"), ratio=30.0, seed=1), steps=0)
    assert described(other) != described(plans[0])
    context = context_of(named("norm"), ratio=30.0)
    for split in plans[0].splits:
        v = split.directions[0]
        matrix = context.operator(context.graph.groups[split.group.name]).dense()[split.neuron]
        assert split.gain == pytest.approx(float(v @ matrix @ v))
    for birth in plans[0].births:
        assert float(birth.incoming.norm()) == pytest.approx(float(birth.outgoing.norm())) == pytest.approx(1)
        mixed = context.pair(context.graph.groups[birth.group.name]).M
        assert birth.gain == pytest.approx(2 * float(birth.outgoing @ mixed @ birth.incoming))


def test_firefly_offers_new_neurons_as_a_share_of_the_width_and_splits_alone_where_none_can_be_born() -> None:
    context = context_of(named("mlp"), ratio=30.0)
    assert not proposed("firefly", context, new=0).births
    assert 0 < len(proposed("firefly", context, new=0.25).births) <= 2  # one of five neurons, one of four
    loud = two_layers(F.softplus)
    assert not proposed("firefly", loud).births
    for name in ("tiny", "gradmax", "senn"):
        with pytest.raises(Refused, match="no layer whose null neurons put out nothing"):
            proposed(name, loud)


# -- SENN --------------------------------------------------------------------------------------------------------------


ACTIVATIONS = {"tanh": torch.tanh, "silu": F.silu, "relu": F.relu}


def natural(context: GrowthContext, way: Tensor) -> float:
    """What a neuron in the linear range adds to the score, ``||G^-1/2 E[r_perp b.way]||^2 / E[(b.way)^2]``."""
    model: Any = context.graph.model
    inputs, targets = context.curvature.sample.inputs, context.curvature.sample.targets
    read, gradients = heard(model, "two", inputs, targets)
    v, r = left_over(model.two, read, gradients)[:, 0], gradients[:, 0]
    u = torch.cat([inputs, torch.ones(60, 1).double()], dim=1) @ way
    part = power(r.T @ r / 60, -0.5) @ (v.T @ u / 60)
    return float(part @ part / u.square().mean())


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_senns_neuron_adds_most_to_the_score_of_all_directions(activation: str) -> None:
    """Whatever the activation's slope at zero; of a kink the mean one."""
    context = two_layers(ACTIVATIONS[activation])
    (group,) = context.groups
    found = senn.candidates(context, group)
    norm = float(torch.linalg.vector_norm(theta(context.graph.model, group), dim=1).mean())
    for score, birth in found:
        assert score == pytest.approx(natural(context, birth.base_incoming))
        assert float(birth.base_incoming.norm()) == pytest.approx(norm)
        assert not birth.incoming.any()
        assert not birth.outgoing.any()
        assert birth.base_outgoing is None
    scores = [score for score, _ in found]
    assert scores == sorted(scores, reverse=True)
    assert max(natural(context, way) for way in torch.randn(300, 5).double()) <= scores[0] + 1e-12


def test_senn_grows_where_the_score_rises_by_its_threshold() -> None:
    context = two_layers()
    (group,) = context.groups
    score, scores = context.pair(group).score, [score for score, _ in senn.candidates(context, group)]
    for count in range(len(scores)):
        least = (scores[count] + scores[count - 1]) / 2 if count else 1.01 * scores[0]
        plan = proposed("senn", context, threshold=least / score)
        assert len(plan.births) == count
        assert plan.stopped == (None if count else "threshold")
    assert proposed("senn", context, threshold=0).births[0].base_incoming is not None
    assert not has_step(method("senn"))


# -- fresh neurons -----------------------------------------------------------------------------------------------------


def bounds(context: GrowthContext, group: Group, of: str, network: nn.Module | None = None) -> Tensor:
    """``1 / sqrt(fan-in)`` of the layer of each weight, as it is in another network of other widths if one is given."""
    found = []
    for slot in group.consumers if of == "outgoing" else [s for p in group.producers for s in p.slots]:
        layer: Any = context.graph.model.get_submodule(slot.tensor.rpartition(".")[0])
        entries = layer.weight[0].numel() if slot.tensor.endswith("weight") else 1
        if of == "outgoing":
            entries = layer.weight[:, 0].numel() * slot.block(group.name)
        there: Any = (network or context.graph.model).get_submodule(slot.tensor.rpartition(".")[0])
        found += [there.weight[0].numel() ** -0.5] * entries
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("name", ["mlp", "norm", "flatten", "two_consumers"])
def test_random_births_are_drawn_as_layers_are(name: str) -> None:
    context = context_of(named(name), ratio=30.0)
    for kind in ("zero", "pairs"):
        plan = proposed("random_birth", context, outgoing=kind)
        for group in context.groups:
            births = [birth for birth in plan.births if birth.group == group]
            assert all(birth.gain is None and not birth.has_directions for birth in births)
            ways = torch.stack([birth.base_incoming for birth in births]) / bounds(context, group, "incoming")
            assert ways.abs().max() <= 1
            assert float(ways.square().mean()) == pytest.approx(1 / 3, rel=0.35)
            if kind == "zero":
                assert all(birth.base_outgoing is None for birth in births)
                continue
            assert len(births) % 2 == 0
            for one, two in zip(births[::2], births[1::2], strict=True):
                assert torch.equal(one.base_incoming, two.base_incoming)
                assert torch.equal(one.base_outgoing, -two.base_outgoing)
            outs = torch.stack([birth.base_outgoing for birth in births]) / bounds(context, group, "outgoing")
            assert outs.abs().max() <= 1
            assert float(outs.square().mean()) == pytest.approx(1 / 3, rel=0.35)


def test_random_births_widen_in_proportion_or_at_random() -> None:
    net = named("mlp")
    for where, same in (("proportional", True), ("random", False)):
        found = [proposed("random_birth", context_of(net, ratio=6.0, seed=s), where=where).added() for s in range(4)]
        assert (found[0] == found[1] == found[2] == found[3]) == same
    plain = method("static").propose(context_of(net, ratio=6.0)).added()
    assert proposed("random_birth", context_of(net, ratio=6.0)).added() == plain
    assert not has_step(method("random_birth"))


def test_pairs_say_where_one_of_them_alone_would_fit() -> None:
    context = context_of(named("mlp"))
    added = {name: n + (name == "2") for name, n in context.widths.items()}
    context.target = context.cost.of(added)
    for name, options in (("random_birth", {"outgoing": "pairs"}), ("variance_transfer", {})):
        plan = proposed(name, context, **options)
        assert (plan.births, plan.stopped) == ((), "pairs")


# -- variance transfer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rescale", "power"), [("sqrt", 0.5), ("linear", 1.0), ("none", 0.0)])
def test_variance_transfer_scales_what_was_there(rescale: str, power: float) -> None:
    net = named("two_consumers")
    model, (inputs, targets) = net.model(), net.sample()
    grower = Grower(model, inputs, "variance_transfer", rescale=rescale)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    growth = grower.grow(inputs, targets, F.cross_entropy, ratio=4.0)
    assert growth.record.function_gap < 1e-12
    assert growth.record.condition == ("scale" if power else None)
    readers = {"stem": ["left", "right"], "left": ["one"], "right": ["two"]}
    for group, layers in readers.items():
        old, new = growth.widths_before[group], growth.widths[group]
        assert new >= old + 2
        for layer in layers:
            weight = model.get_submodule(layer).weight
            rows = len(before[f"{layer}.weight"])
            expected = before[f"{layer}.weight"] * (old / new) ** power
            assert torch.allclose(weight[:rows, :old], expected, rtol=1e-12)
            assert torch.allclose(weight[:rows, old::2], -weight[:rows, old + 1 :: 2])
            assert weight[:rows, old:].abs().max() > 0
        made = model.get_submodule(group).weight
        assert torch.equal(made[old::2], made[old + 1 :: 2])


@pytest.mark.parametrize("name", ["mlp", "norm", "flatten", "two_consumers"])
def test_variance_transfer_draws_as_a_network_of_the_new_widths_does(name: str) -> None:
    context = context_of(named(name), ratio=30.0)
    plan = proposed("variance_transfer", context)
    grown = copy.deepcopy(context.graph.model)
    apply(grown, None, plan, 0.0)
    for group in context.groups:
        births = [birth for birth in plan.births if birth.group == group]
        assert len(births) >= 2
        for kind in ("incoming", "outgoing"):
            drawn = torch.stack([getattr(birth, f"base_{kind}") for birth in births])
            most = float((drawn / bounds(context, group, kind, grown)).abs().max())
            assert 0.8 < most <= 1
        assert (bounds(context, group, "outgoing", grown) < bounds(context, group, "outgoing")).all()


def test_behind_a_norm_variance_transfer_leaves_the_function_of_training_alone() -> None:
    net = named("norm")
    model, (inputs, targets) = net.model(), net.sample(20)

    def normalised() -> Tensor:
        with torch.no_grad():
            return copy.deepcopy(model).train()[:5](inputs)

    before = normalised()
    growth = Grower(model, inputs, "variance_transfer").grow(inputs, targets, F.cross_entropy, ratio=3.0)
    assert growth.widths["0"] > growth.widths_before["0"]
    assert torch.allclose(normalised()[:, :3], before, atol=1e-3)
    assert growth.record.conditioned is not None
    assert abs(growth.record.conditioned) > 1e-6  # in evaluation it goes by the statistics of before


# -- compose -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["norm", "two_consumers", "flatten"])
def test_compose_has_s2d_tiny_and_gradmax_among_its_pairs(name: str) -> None:
    for where, how, other in (("curvature", "split", "s2d"), ("pair", "tiny", "tiny"), ("proportional", "gradmax", "")):
        context, other = context_of(named(name), ratio=1.8), other or how
        one, two = proposed("compose", context, where=where, how=how), proposed(other, context)
        assert sorted(map(str, described(one))) == sorted(map(str, described(two)))
        assert one.changes
        assert one.epsilon == two.epsilon


@pytest.mark.parametrize(("where", "how"), list(itertools.product(WHERE, HOW)))
@pytest.mark.parametrize("net", [named("mlp"), named("two_consumers"), named("norm_relu")], ids=str)
def test_every_choice_of_layers_goes_with_every_choice_of_neurons(net: Net, where: str, how: str) -> None:
    context = context_of(net, ratio=1.8)
    plan = proposed("compose", context, where=where, how=how)
    assert plan.changes
    widths = {name: n + plan.added().get(name, 0) for name, n in context.widths.items()}
    assert context.cost.of(widths) <= context.target
    assert loss(context, plan, 0.0) == pytest.approx(loss(context, GrowthPlan(), 0.0), rel=1e-12)
    assert bool(plan.splits) == (how in ("split", "equal"))
    assert bool(plan.births) == (how not in ("split", "equal"))
    assert plan.epsilon == {"tiny": LINE_SEARCH, "gradmax": 1e-3}.get(how)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("how", ["gradmax", "tiny", "split"])
def test_what_a_group_cannot_take_the_others_do(where: str, how: str) -> None:
    """Few neurons of these kinds are there to be had behind three classes; a group that has none left holds none up."""
    context = context_of(named("mlp"), ratio=30.0)
    plan = proposed("compose", context, where=where, how=how)
    added = plan.added()
    for group in context.groups:
        offered = {
            "gradmax": lambda group=group: len(gradmax.candidates(context, group)),
            "tiny": lambda group=group: len(tiny.candidates(context, group)),
            "split": lambda group=group: sum(one.group == group for one in s2d.candidates(context)),
        }[how]()
        worthwhile = offered
        if where == "pair":
            worthwhile = len(tiny.worthwhile({group.name: tiny.candidates(context, group)}))
        if where == "curvature":
            worthwhile = sum(one.group == group for one in s2d.candidates(context))
        assert added.get(group.name, 0) == min(offered, worthwhile)  # the rung has room for all


def test_compose_s_options_are_named() -> None:
    for option in ("where", "how"):
        with pytest.raises(ConfigError, match=rf"^method\.{option}=best: expected one of"):
            method("compose", **{option: "best"})
