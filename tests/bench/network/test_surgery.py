"""Surgery against the split net made by hooks, the optimiser's state against the function's velocity."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.errors import BenchError, PlanError
from bench.network.graph import Graph
from bench.network.groups import theta
from bench.network.plan import GrowthPlan, Split, validate
from bench.network.surgery import apply, load
from tests.nets import CLASSES, NETS, Net, named
from tests.reference import plan_offspring, split_outputs, velocity
from tests.wide import ALL, WIDE


def random_plan(graph: Graph, seed: int, directions: bool = True, signed: bool = True) -> GrowthPlan:
    """Splits of about two thirds of the neurons of every group into 2 to 5, in random order."""
    generator = torch.Generator().manual_seed(seed)
    splits = []
    for group in graph.groups.values():
        n, d = theta(graph.model, group).shape
        for neuron in torch.randperm(n, generator=generator).tolist()[: max(1, 2 * n // 3)]:
            m = int(torch.randint(2, 6, (), generator=generator))
            w = torch.randn(m, generator=generator, dtype=torch.float64) * 2
            w = w - (w.sum() - 1) / m if signed else torch.softmax(w, 0)
            delta = torch.nn.functional.normalize(torch.randn(m, d, generator=generator, dtype=torch.float64), dim=1)
            splits.append(Split(group, neuron, tuple(w.tolist()), delta if directions else None))
    order = torch.randperm(len(splits), generator=generator).tolist()
    return GrowthPlan(tuple(splits[i] for i in order))


def gap(one: Tensor, two: Tensor) -> float:
    """Largest difference as a share of the largest value."""
    return float(((one - two).abs().max() / two.abs().max()).detach())


@pytest.mark.parametrize("net", NETS, ids=str)
@settings(max_examples=5)
@given(seed=st.integers(0, 10**6), epsilon=st.sampled_from([0.0, 0.01, 0.5]))
def test_surgery_makes_the_split_net(net: Net, seed: int, epsilon: float) -> None:
    """Signed shares, 2 to 5 offspring, in all groups at once, layers both split and fed by split layers."""
    graph = net.graph(seed % 7)
    inputs, _ = net.sample()
    plan = random_plan(graph, seed)
    validate(plan, graph.model, graph.groups)
    expected = split_outputs(graph.model, graph.groups, plan_offspring(graph.model, plan.splits, epsilon), inputs)
    before = graph.model(inputs)
    receipt = apply(graph.model, None, plan, epsilon)
    assert gap(graph.model(inputs), expected) < 1e-12
    assert (gap(graph.model(inputs), before) < 1e-12) == (epsilon == 0)
    assert receipt.added == plan.added()
    assert receipt.splits == len(plan.splits)


@pytest.mark.parametrize("net", ALL, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_function_is_kept_and_read_again(net: Net, seed: int) -> None:
    """Signed shares in all groups at once; what the network runs after growth is what it is taken for."""
    graph = net.graph(seed)
    inputs, _ = net.sample()
    before = graph.model(inputs)
    plan = random_plan(graph, seed)
    apply(graph.model, None, plan, 0.0)
    assert gap(graph.model(inputs), before) < 1e-12
    grown = graph.grown()
    assert grown.widths() == {name: n + plan.added().get(name, 0) for name, n in net.widths.items()}
    assert gap(grown.program.run(graph.model, inputs), before) < 1e-12


@pytest.mark.parametrize("net", ALL, ids=str)
def test_the_function_is_unchanged_in_single_precision(net: Net) -> None:
    graph = net.graph(dtype=torch.float32)
    inputs, _ = net.sample(dtype=torch.float32)
    before = graph.model(inputs)
    apply(graph.model, None, random_plan(graph, 3, signed=False), 0.0)
    assert gap(graph.model(inputs), before) < 1e-5


@pytest.mark.parametrize("net", ALL, ids=str)
def test_flags_modules_and_devices_stay(net: Net) -> None:
    graph = net.graph()
    model = graph.model.train()
    for parameter in list(model.parameters())[:1]:
        parameter.requires_grad_(False)
    modules = dict(model.named_modules())
    apply(model, None, random_plan(graph, 0), 0.1)
    assert {k: id(m) for k, m in model.named_modules()} == {k: id(m) for k, m in modules.items()}
    assert all(module.training for module in model.modules())
    assert [p.requires_grad for p in model.parameters()] == [False, *[True] * (len(list(model.parameters())) - 1)]
    assert all(p.is_leaf and p.dtype == torch.float64 for p in model.parameters())
    inputs, targets = net.sample()
    F.cross_entropy(model(inputs), targets).backward()  # trains on in training mode


@pytest.mark.parametrize("net", ALL, ids=str)
def test_sizes_tell_the_truth(net: Net) -> None:
    """The grown net traces again, and its printed sizes rebuild it."""
    graph = net.graph()
    plan = random_plan(graph, 1)
    apply(graph.model, None, plan, 0.1)
    again = Graph(graph.model, net.shape)
    assert again.widths() == {name: n + plan.added().get(name, 0) for name, n in net.widths.items()}
    assert again.groups == graph.groups
    for module in graph.model.modules():
        if isinstance(module, nn.Linear):
            assert (module.out_features, module.in_features) == module.weight.shape
        if isinstance(module, nn.Conv2d):
            expected = (module.out_channels, module.in_channels // module.groups)
            assert expected == module.weight.shape[:2]
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.num_features == len(module.weight) == len(module.running_mean) == len(module.running_var)
        if isinstance(module, nn.PReLU):
            assert module.num_parameters == len(module.weight)


def test_offspring_have_their_places() -> None:
    """The first offspring keeps the parent's index, the others are appended in the plan's order."""
    graph = named("mlp").graph()
    layer, reader = graph.model.get_submodule("0"), graph.model.get_submodule("2")
    rows, columns = layer.weight.detach().clone(), reader.weight.detach().clone()
    group = graph.groups["0"]
    delta = torch.eye(5, dtype=torch.float64)[:2]
    plan = GrowthPlan((Split(group, 3, (0.75, 0.25), delta), Split(group, 1, (2.0, -1.5, 0.5))))
    receipt = apply(graph.model, None, plan, 0.5)
    moved = rows[[0, 1, 2, 3, 4, 3, 1, 1]]
    moved[3, 0] += 0.5
    moved[5, 1] += 0.5
    assert torch.equal(layer.weight, moved)
    factors = torch.tensor([1, 2, 1, 0.75, 1, 0.25, -1.5, 0.5], dtype=torch.float64)
    assert torch.equal(reader.weight, columns[:, [0, 1, 2, 3, 4, 3, 1, 1]] * factors)
    expansion = receipt.expansions["0"]
    assert expansion.parents.tolist() == [0, 1, 2, 3, 4, 3, 1, 1]
    assert torch.equal(expansion.factors, factors)
    assert expansion.born.tolist() == [False] * 5 + [True] * 3


@pytest.mark.parametrize("net", ALL, ids=str)
def test_a_grown_state_loads_into_a_fresh_seed_net(net: Net) -> None:
    graph = net.graph()
    inputs, _ = net.sample()
    for seed in (1, 2):
        apply(graph.model, None, random_plan(graph, seed), 0.1)
    fresh = net.model(seed=9)
    load(fresh, copy.deepcopy(graph.model.state_dict()), Graph(fresh, net.shape).groups.values())
    assert torch.equal(fresh(inputs), graph.model(inputs))
    assert Graph(fresh, net.shape).widths() == graph.widths()
    assert str(fresh) == str(graph.model)
    assert not [name for layer in fresh.modules() for name in vars(layer) if "." in name]  # each has what is its own
    state = graph.model.state_dict()
    assert all(p.data_ptr() != state[name].data_ptr() for name, p in fresh.named_parameters())


class Sharing(nn.Module):
    """Two layers with one weight, one of which has it under two names, and one buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3), nn.Linear(3, CLASSES)
        self.b.weight = self.a.weight
        self.b.register_parameter("same", self.a.weight)
        for layer, persistent in ((self.a, True), (self.b, True), (self.c, False)):
            layer.register_buffer("scale", torch.full((4,), 2.0) if layer is self.a else self.a.scale, persistent)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.b(torch.tanh(self.a(x)))) * self.c.scale
        return self.d(torch.tanh(self.c(x)))


def test_what_modules_share_they_share_when_a_grown_state_is_loaded() -> None:
    model, fresh = Sharing(), Sharing()
    graph = Graph(model, (4,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    apply(model, optimizer, GrowthPlan((Split(graph.groups["c"], 1, (0.5, 0.5)),)), 0.0)
    model(torch.randn(5, 4)).sum().backward()
    optimizer.step()
    model.a.scale *= 3
    load(fresh, model.state_dict(), Graph(fresh, (4,)).groups.values())
    assert fresh.a.weight is fresh.b.weight is fresh.b.same
    assert fresh.a.scale is fresh.b.scale is fresh.c.scale
    inputs = torch.randn(5, 4)
    assert torch.equal(fresh(inputs), model(inputs))
    again = torch.optim.SGD(fresh.parameters(), lr=0.1, momentum=0.9)
    again.load_state_dict(optimizer.state_dict())
    for one, two in zip(fresh.parameters(), model.parameters(), strict=True):
        assert torch.equal(again.state[one]["momentum_buffer"], optimizer.state[two]["momentum_buffer"])


class ThreeHeadsOfThree(nn.Module):
    """Attention with a number per head, and its sizes under the usual names: as many heads as a head has channels."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.inner_dim = 3, 3, 9
        self.qkv, self.proj = nn.Linear(5, 27), nn.Linear(9, CLASSES)
        self.bias = nn.Parameter(torch.randn(3, 16))

    def forward(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ k.transpose(-2, -1) + self.bias.view(self.num_heads, t, t)
        y = torch.softmax(scores, -1) @ v
        return self.proj(y.transpose(1, 2).reshape(n, t, self.inner_dim)).mean(1)


def test_a_head_keeps_its_size_where_heads_are_split() -> None:
    torch.manual_seed(0)
    graph = Graph(ThreeHeadsOfThree().double().eval(), (4, 5))
    inputs = torch.randn(6, 4, 5, dtype=torch.float64)
    before = graph.model(inputs)
    (group,) = graph.groups.values()
    apply(graph.model, None, GrowthPlan((Split(group, 0, (0.5, 0.25, 0.25)),)), 0.0)
    assert (graph.model.num_heads, graph.model.head_dim, graph.model.inner_dim) == (5, 3, 15)
    assert gap(graph.model(inputs), before) < 1e-12


# -- the optimiser --------------------------------------------------------------------------------------------------

OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, eps=1e-30),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, eps=1e-30, weight_decay=0.1, amsgrad=True),
}


def train(model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, targets: Tensor, steps: int = 4) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()


def update(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The step the optimiser's state asks for without a new gradient."""
    found = {}
    for name, parameter in model.named_parameters():
        state = optimizer.state.get(parameter, {})
        if "momentum_buffer" in state:
            found[name] = -state["momentum_buffer"]
        elif "exp_avg" in state:
            second = state.get("max_exp_avg_sq", state["exp_avg_sq"])
            found[name] = -state["exp_avg"] / (second.sqrt() + 1e-30)
        else:
            found[name] = torch.zeros_like(parameter)
    return found


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("net", ALL, ids=str)
def test_carried_momentum_keeps_the_functions_velocity(net: Net, kind: str) -> None:
    graph = net.graph()
    inputs, targets = net.sample()
    optimizer = OPTIMIZERS[kind](graph.model.parameters())
    train(graph.model, optimizer, inputs, targets)
    before = velocity(graph.model, update(graph.model, optimizer), inputs)
    apply(graph.model, optimizer, random_plan(graph, 4, directions=False), 0.0)
    after = velocity(graph.model, update(graph.model, optimizer), inputs)
    assert gap(after, before) < 1e-6
    assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {id(p) for p in graph.model.parameters()}
    assert {id(p) for p in optimizer.state} <= {id(p) for p in graph.model.parameters()}
    train(graph.model, optimizer, inputs, targets, 1)  # and training goes on


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_for_displaced_splits_the_velocity_holds_to_order_epsilon(kind: str) -> None:
    net = named("norm")
    inputs, targets = net.sample()
    model = net.model()
    optimizer = OPTIMIZERS[kind](model.parameters())
    train(model, optimizer, inputs, targets)
    before, gaps = velocity(model, update(model, optimizer), inputs), []
    for epsilon in (1e-3, 1e-4):
        twin = copy.deepcopy(model)
        kept = OPTIMIZERS[kind](twin.parameters())
        kept.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        apply(twin, kept, random_plan(Graph(twin, net.shape), 4), epsilon)
        gaps.append(gap(velocity(twin, update(twin, kept), inputs), before))
    assert gaps[0] < 0.2
    assert gaps[1] == pytest.approx(gaps[0] / 10, rel=0.1)


def one_split(policy: str, kind: str, weights: tuple[float, ...]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """State of the mlp's first two layers before and after splitting neuron 1 of the first."""
    net = named("mlp")
    graph = net.graph()
    optimizer = OPTIMIZERS[kind](graph.model.parameters())
    train(graph.model, optimizer, *net.sample())
    names = [f"{layer}.{name}" for layer, name in (("0", "weight"), ("0", "bias"), ("2", "weight"))]
    before = {n: dict(optimizer.state[graph.model.get_parameter(n)]) for n in names}
    apply(graph.model, optimizer, GrowthPlan((Split(graph.groups["0"], 1, weights),)), 0.0, policy)
    return before, {n: optimizer.state.get(graph.model.get_parameter(n)) for n in names}


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_policy_zero_carries_the_first_and_starts_the_newborn_at_rest(kind: str) -> None:
    weights = (0.5, 0.75, -0.25)
    _, carried = one_split("carry", kind, weights)
    _, zeroed = one_split("zero", kind, weights)
    for name in carried:
        for key, value in carried[name].items():
            if key == "step":
                assert torch.equal(zeroed[name][key], value)
                continue
            dim = 1 if name == "2.weight" else 0
            kept, born = zeroed[name][key].split([5, 2], dim)
            assert torch.equal(kept, value.split([5, 2], dim)[0]), (name, key)
            assert not born.any()
            assert value.split([5, 2], dim)[1].abs().min() > 0


def test_policy_reset_forgets_and_unknown_policies_are_refused() -> None:
    _, after = one_split("reset", "adam", (0.5, 0.5))
    assert all(state is None for state in after.values())
    with pytest.raises(BenchError, match="optimizer_state=keep"):
        one_split("keep", "adam", (0.5, 0.5))


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.25,) * 4, (2.0, -1.5, 0.5)])
@pytest.mark.parametrize(
    "net", [*(net for net in NETS if net.name in ("mlp", "norm", "flatten", "prelu", "depthwise")), *WIDE], ids=str
)
def test_second_moments_are_the_squares_of_the_split_nets_gradients(net: Net, weights: tuple[float, ...]) -> None:
    graph = net.graph()
    inputs, targets = net.sample()
    optimizer = torch.optim.Adam(graph.model.parameters(), lr=0, betas=(0.0, 0.0))
    train(graph.model, optimizer, inputs, targets, 1)
    splits = [Split(group, 1, weights) for group in graph.groups.values()]
    apply(graph.model, optimizer, GrowthPlan(tuple(splits)), 0.0)
    graph.model.zero_grad()
    F.cross_entropy(graph.model(inputs), targets).backward()
    for name, parameter in graph.model.named_parameters():
        second, first = optimizer.state[parameter]["exp_avg_sq"], optimizer.state[parameter]["exp_avg"]
        torch.testing.assert_close(second, parameter.grad**2, rtol=1e-9, atol=1e-20, msg=name)
        if min(weights) > 0 and not any(
            name.startswith(f"{c.layer}.") for g in graph.groups.values() for c in g.consumers
        ):
            torch.testing.assert_close(first, parameter.grad, rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.parametrize("kind", [torch.optim.Adadelta, torch.optim.Rprop])
def test_unknown_state_is_refused_before_anything_changes(kind: Any) -> None:
    net = named("mlp")
    graph = net.graph()
    optimizer = kind(graph.model.parameters())
    inputs, targets = net.sample()
    train(graph.model, optimizer, inputs, targets)
    state, before = copy.deepcopy(graph.model.state_dict()), graph.model(inputs)
    plan = random_plan(graph, 0)
    with pytest.raises(PlanError, match=r"optimizer state \w+: expected one of .*optimizer_state=reset") as error:
        apply(graph.model, optimizer, plan, 0.0)
    assert "\n" not in str(error.value)
    assert {k: v.shape for k, v in graph.model.state_dict().items()} == {k: v.shape for k, v in state.items()}
    assert torch.equal(graph.model(inputs), before)
    apply(graph.model, optimizer, plan, 0.0, "reset")
    assert gap(graph.model(inputs), before) < 1e-12
    assert not optimizer.state


def test_groups_of_parameters_keep_their_order_and_options() -> None:
    net = named("norm")
    graph = net.graph()
    weights = [p for p in graph.model.parameters() if p.dim() > 1]
    others = [p for p in graph.model.parameters() if p.dim() == 1]
    optimizer = torch.optim.SGD([{"params": others, "lr": 0.3}, {"params": weights}], lr=0.1, momentum=0.9)
    train(graph.model, optimizer, *net.sample())
    apply(graph.model, optimizer, random_plan(graph, 0), 0.0)
    assert [g["lr"] for g in optimizer.param_groups] == [0.3, 0.1]
    expected = [[p for p in graph.model.parameters() if (p.dim() > 1) == many] for many in (False, True)]
    found = [g["params"] for g in optimizer.param_groups]
    assert [[id(p) for p in g] for g in found] == [[id(p) for p in g] for g in expected]


def test_an_empty_plan_changes_nothing() -> None:
    model = named("mlp").model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    apply(model, None, GrowthPlan(), 1.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


# -- sizes that the code keeps ----------------------------------------------------------------------------------------


class Partial(nn.Module):
    """As in ReXNet: what a layer makes is added to by what came in, as far as that goes; sizes side by side."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.in_channels = 4
        self.stem, self.wide, self.head = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, wide, 1), nn.Linear(wide, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.stem(x))
        y = self.wide(x)
        y = torch.cat([y[:, : self.in_channels] + x, y[:, self.in_channels :]], 1)
        found: Tensor = self.head(F.silu(y).mean((2, 3)))
        return found


@pytest.mark.parametrize("wide", [9, 10])
@pytest.mark.parametrize(("stem", "more"), [(0, 2), (2, 0), (1, 1), (2, 1), (1, 3)])
def test_sizes_of_several_groups_are_set_at_once(wide: int, stem: int, more: int) -> None:
    """One group has grown to what another was before."""
    torch.manual_seed(0)
    model, inputs = Partial(wide).double(), torch.randn(3, 2, 4, 4).double()
    graph, before = Graph(model, (2, 4, 4)), model(inputs)
    assert graph.widths() == {"stem": 4, "wide": wide - 4}
    counts = {"stem": stem, "wide": more}
    splits = [Split(graph.groups[name], i, (1.3, -0.3)) for name, n in counts.items() for i in range(n)]
    apply(model, None, GrowthPlan(tuple(splits)), 0.0)
    assert model.in_channels == 4 + stem
    assert gap(model(inputs), before) < 1e-12


class Windows(nn.Module):
    """Its windows are as large as its channels are many."""

    def __init__(self) -> None:
        super().__init__()
        self.window_size = 4
        self.stem, self.head = nn.Conv2d(2, 4, 1), nn.Linear(4, CLASSES)
        self.scale = nn.Parameter(torch.rand(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        n, _, side, _ = x.shape
        x = (torch.tanh(self.stem(x)) * self.scale).view(n, -1, side // self.window_size, self.window_size, side)
        found: Tensor = self.head(x.amax(3).mean((2, 3)))
        return found


def test_a_size_that_is_no_number_of_channels_stays() -> None:
    torch.manual_seed(0)
    model, inputs = Windows().double(), torch.randn(3, 2, 8, 8).double()
    graph, before = Graph(model, (2, 8, 8)), model(inputs)
    apply(model, None, GrowthPlan((Split(graph.groups["stem"], 1, (1.3, -0.3)),)), 0.0)
    assert model.window_size == 4
    assert gap(model(inputs), before) < 1e-12


class Doubled(nn.Conv2d):
    """A convolution of somebody's own."""


def test_a_layer_of_ones_own_reads_as_many_as_it_did() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 1), nn.SiLU(), Doubled(4, 4, 1), nn.SiLU(), nn.Conv2d(4, CLASSES, 1)).double()
    graph = Graph(model, (2, 3, 3))
    apply(model, None, GrowthPlan((Split(graph.groups["2"], 0, (0.5, 0.5)),)), 0.0)
    assert (model[2].in_channels, model[2].out_channels, model[4].in_channels) == (4, 5, 5)


def test_what_no_state_has_cannot_grow() -> None:
    class Scaled(nn.Module):
        def __init__(self, kept: bool) -> None:
            super().__init__()
            self.one, self.head = nn.Linear(4, 5), nn.Linear(5, CLASSES)
            self.register_buffer("scale", torch.rand(5), persistent=kept)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.head(torch.tanh(self.one(x)) * self.scale)
            return found

    assert Graph(Scaled(True), (4,)).widths() == {"one": 5}
    graph = Graph(Scaled(False), (4,))
    assert not graph.groups
    assert "scale is left out of the state dict" in graph.unsplittable[0].reason
