"""What can be split is found, with all its readers; what cannot is named with the reason."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.errors import BenchError
from bench.network.graph import Graph
from bench.network.groups import Slot, theta, width
from bench.network.modes import evaluation
from tests.nets import NETS, Net, named


@pytest.mark.parametrize("net", NETS, ids=str)
def test_groups_are_found_with_their_widths(net: Net) -> None:
    graph = net.graph()
    assert graph.widths() == net.widths
    assert {name for name, group in graph.groups.items() if group.producers[0].bias} == set(net.bias)
    assert all(width(graph.model, group) == net.widths[name] for name, group in graph.groups.items())


@pytest.mark.parametrize("net", NETS, ids=str)
def test_every_layer_is_accounted_for(net: Net) -> None:
    """Each dense layer is a producer or refused, once; each is read by exactly the group that feeds it."""
    graph = net.graph()
    layers = {
        path
        for path, m in graph.model.named_modules()
        if isinstance(m, nn.Linear) or (isinstance(m, nn.Conv2d) and m.groups == 1)
    }
    producers = [producer.layer for group in graph.groups.values() for producer in group.producers]
    listed = [*producers, *(refused.name for refused in graph.unsplittable)]
    assert sorted(listed) == sorted(layers)


@pytest.mark.parametrize("net", NETS, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_tracing_leaves_the_model_as_it_was(net: Net, training: bool) -> None:
    model = net.model().train(training)
    state = copy.deepcopy(model.state_dict())
    flags = [(m.training, getattr(m, "inplace", None)) for m in model.modules()]
    random = torch.get_rng_state()
    Graph(model, net.shape)
    assert [(m.training, getattr(m, "inplace", None)) for m in model.modules()] == flags
    assert torch.equal(torch.get_rng_state(), random)
    assert list(state) == list(model.state_dict())
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


def test_consumers_blocks_and_chain() -> None:
    def held(name: str, net: str, slots: str) -> list[tuple[str, int]]:
        group = named(net).graph().groups[name]
        found: tuple[Slot, ...] = getattr(group, slots)
        return [(slot.tensor, slot.block(name)) for slot in found]

    norm = [f"1.{name}" for name in ("weight", "bias", "running_mean", "running_var")]
    assert held("stem", "two_consumers", "consumers") == [("left.weight", 1), ("right.weight", 1)]
    assert held("0", "flatten", "consumers") == [("4.weight", 6)]
    assert held("0", "flat_norm", "chain") == [(name.replace("1.", "4."), 4) for name in norm]
    assert held("0", "flat_norm", "consumers") == [("5.weight", 4)]
    assert held("0", "depthwise", "chain") == [
        *[("0.bias", 1), *((name, 1) for name in norm), ("3.weight", 1), ("3.bias", 1)],
        *((name.replace("1.", "4."), 1) for name in norm),
    ]
    assert held("0", "prelu", "chain") == [("1.weight", 1), ("3.weight", 4)]
    assert held("stem", "nested_consumers", "consumers") == [("next.weight", 1), ("two.weight", 1)]
    (producer,) = named("flat_norm").graph().groups["5"].producers
    assert (producer.layer, producer.bias) == ("5", None)  # a norm follows: the bias does nothing


def test_theta_is_the_kernel_and_the_bias() -> None:
    graph = named("two_consumers").graph()
    layer = graph.model.get_submodule("stem")
    expected = torch.cat([layer.weight.flatten(1), layer.bias[:, None]], 1)
    assert torch.equal(theta(graph.model, graph.groups["stem"]), expected)


def test_a_copy_has_the_same_graph() -> None:
    graph = named("norm").graph()
    twin = graph.on(copy.deepcopy(graph.model))
    assert twin.groups is graph.groups
    assert twin.model is not graph.model
    twin.model.get_submodule("0").weight.data = torch.zeros(7, 2, 3, 3)
    assert (twin.widths()["0"], graph.widths()["0"]) == (7, 4)


def test_evaluation_restores_after_an_error() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True), nn.Dropout()).train()
    model[2].eval()

    def fail() -> None:
        with evaluation(model):
            assert not any(module.training for module in model.modules())
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
    assert [m.training for m in model.modules()] == [True, True, True, False]


class Wired(nn.Module):
    """Layers ``a`` and ``b`` of four channels, and a head behind a function of both."""

    def __init__(self, wiring: Callable[[Wired, Tensor], Tensor]) -> None:
        super().__init__()
        self.wiring = wiring
        self.a, self.b, self.c = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.wide, self.grouped = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 6, 1, groups=2)
        self.six, self.single = nn.Conv2d(6, 4, 1), nn.Conv2d(4, 1, 1)
        self.norm, self.layer_norm = nn.GroupNorm(2, 4), nn.LayerNorm(4)
        self.batch = nn.BatchNorm2d(4, track_running_stats=False)
        self.scale, self.zero = nn.Parameter(torch.ones(4, 1, 1)), nn.Parameter(torch.zeros(1))
        self.free = nn.Parameter(torch.ones(6, 6))
        self.deep = nn.Conv2d(4, 4, 1, groups=4)
        self.fc, self.row = nn.Linear(4 * 36, 3), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.wiring(self, x)


REFUSALS: list[tuple[str, Callable[[Wired, Tensor], Tensor], dict[str, str]]] = [
    ("input sum", lambda m, x: m.c(x + m.a(x)), {"a": "meets what cannot grow in add"}),
    ("spread", lambda m, x: m.c(m.a(x) * m.single(x)), {"single": "is spread over others in mul"}),
    ("output", lambda m, x: m.a(x), {"a": "network output"}),
    ("also output", lambda m, x: (h := m.a(x), m.c(h)), {"a": "network output"}),
    ("dead end", lambda m, x: (m.a(x), m.c(x))[1], {"a": "nothing reads it"}),
    ("sum over channels", lambda m, x: m.c(m.a(x).cumsum(1)), {"a": "cumsum over channels"}),
    ("unknown", lambda m, x: m.c(m.a(x).sort(1)[0]), {"a": "unknown operation sort: needs an entry"}),
    ("flip", lambda m, x: m.c(torch.flip(m.a(x), (1,))), {"a": "its channels change places"}),
    ("group norm", lambda m, x: m.c(m.norm(m.a(x))), {"a": "group_norm mixes its channels"}),
    ("layer norm", lambda m, x: m.c(m.layer_norm(m.a(x).transpose(1, 3)).transpose(1, 3)), {"a": "a layer norm mixes"}),
    ("softmax", lambda m, x: m.c(F.softmax(m.a(x), 1)), {"a": "softmax over channels"}),
    ("batch statistics", lambda m, x: m.c(m.batch(m.a(x))), {"a": "normalised by the batch in evaluation mode"}),
    ("shared", lambda m, x: m.c(m.b(m.b(m.a(x)))), {"a": "b is used more than once", "b": "b is used more than once"}),
    ("fixed view", lambda m, x: m.fc(m.a(x).view(-1, 144)), {"a": "its code keeps the size"}),
    ("fixed reshape", lambda m, x: m.fc(m.a(x).reshape(x.size(0), 144)), {"a": "its code keeps the size"}),
    ("index", lambda m, x: m.c(m.a(x)[:, [1, 0, 3, 2]]), {"a": "is picked by index"}),
    ("weight in the code", lambda m, x: m.c(m.a(x) - m.a.bias.mean()), {"a": "mean over channels"}),
    ("width in the code", lambda m, x: m.c(m.a(x)) / m.c.in_channels**0.5, {"a": "its code computes with the size"}),
    ("mean over channels", lambda m, x: m.c(m.a(x).mean(1, keepdim=True).expand(-1, 4, -1, -1)), {"a": "mean over"}),
    ("negative mean", lambda m, x: m.row(m.a(x).mean(-3).flatten(1)[:, :6]), {"a": "mean over channels"}),
    ("positions", lambda m, x: m.c(m.row(m.a(x))), {"row": "is convolved over"}),
    ("computed weight", lambda m, x: F.conv2d(m.a(x), m.c.weight * 2), {"a": "computed, by mul"}),
    ("norm of a weight", lambda m, x: m.c(m.a(x)) / m.a.weight.norm(), {"a": "a is used more than once"}),
    ("transposed", lambda m, x: F.conv_transpose2d(m.a(x), m.c.weight), {"a": "is read by a transposed convolution"}),
    (
        "halves by the code",
        lambda m, x: m.c(torch.cat([(h := m.a(x))[:, : (c := h.shape[1] // 2)].sin(), h[:, c:]], 1)),
        {},
    ),
    ("places of maxima", lambda m, x: m.c(torch.add(*m.a(x).max(2, keepdim=True))), {"a": "max: the places of its"}),
    ("scaled product", lambda m, x: m.c(_scaled(m, m.a(x))), {"c": "network output", "row": "unknown operation addmm"}),
    ("einsum", lambda m, x: torch.einsum("bchw,oc->bohw", m.a(x), m.c.weight[:, :, 0, 0]), {"a": "summed over by a"}),
    ("no layer", lambda m, x: m.c(m.free @ m.a(x)), {"free": "is convolved over"}),
    (
        "hidden by a zero",
        lambda m, x: m.c(x + m.zero * m.b(m.a(x) / m.a.out_channels)),
        {"a": "computes with the size"},
    ),
]


def _scaled(m: Wired, x: Tensor) -> Tensor:
    rows = x.mean((0, 1))
    return x + torch.addmm(m.row.bias, rows, m.row.weight, alpha=2.0)


@pytest.mark.parametrize(("wiring", "refused"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS])
def test_what_cannot_be_split_is_named_with_the_reason(
    wiring: Callable[[Wired, Tensor], Tensor], refused: dict[str, str]
) -> None:
    graph = Graph(Wired(wiring), (4, 6, 6))
    reasons = {u.name: u.reason for u in graph.unsplittable}
    for name, pattern in refused.items():
        assert name not in graph.groups
        assert any(part in reasons[name] for part in pattern.split("|")), reasons


ACCEPTED: list[tuple[str, Callable[[Wired, Tensor], Tensor]]] = [
    ("same tensor twice", lambda m, x: m.c((h := m.a(x)) + h)),
    ("gate by itself", lambda m, x: m.c((h := m.a(x)) * h.sigmoid())),
    ("constants", lambda m, x: m.c(1 - (2 * m.a(x) + 3) / 4)),
    ("in place", lambda m, x: m.c(F.relu(m.a(x), inplace=True).mul_(2))),
    ("positional in place", lambda m, x: m.c(F.relu(m.a(x), True))),
    ("sized view", lambda m, x: m.fc(m.a(x).view(x.shape[0], -1))),
    ("reshape", lambda m, x: m.fc(m.a(x).reshape((x.size(0), -1)))),
    ("own depthwise", lambda m, x: m.c((h := m.a(x)) + m.deep(h))),
    ("depthwise twice", lambda m, x: m.c(m.deep(m.deep(m.a(x))))),
    ("cat", lambda m, x: m.c(m.wide(torch.cat([m.a(x), m.b(x)], 1)))),
    ("one cat", lambda m, x: m.c(torch.cat([m.a(x)], 1))),
    ("grouped", lambda m, x: m.six(m.grouped(m.a(x)))),
    ("halves", lambda m, x: m.c(torch.cat(m.a(x).chunk(2, 1)[::-1], 1))),
    ("a parameter of each channel", lambda m, x: m.c(m.a(x) + m.scale)),
    ("spread over channels", lambda m, x: m.c(m.a(x) * m.single(x))),
    ("a function of a layer's weight", lambda m, x: F.conv2d(m.a(x), m.c.weight)),
    ("along its positions", lambda m, x: m.c(m.row(m.a(x)))),
    ("a size of the input", lambda m, x: m.c(m.a(x) * x.size(1))),
    ("zeros beside it", lambda m, x: m.wide(F.pad(m.a(x), (0, 0, 0, 0, 4, 0)))),
    ("dropout", lambda m, x: m.c(F.dropout(m.a(x), 0.5, m.training))),
]


@pytest.mark.parametrize("wiring", [case[1] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED])
def test_what_acts_on_each_channel_alone_is_accepted(wiring: Callable[[Wired, Tensor], Tensor]) -> None:
    assert "a" in Graph(Wired(wiring), (4, 6, 6)).groups


def test_a_mean_over_channels_is_not_taken_for_one_over_positions() -> None:
    """With as many positions as channels the shapes alone cannot tell."""

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.head = nn.Conv2d(2, 4, 3), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.a(x).mean(3).mean(-2))

    assert "a" not in Graph(Mean(), (2, 6, 5)).groups


def test_tied_weights_are_refused() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.SiLU(), nn.Linear(4, 4), nn.SiLU(), nn.Linear(4, 3))
    model[2].weight = model[0].weight
    reasons = [u.reason for u in Graph(model, (4,)).unsplittable]
    assert any("is tied to other weights" in reason for reason in reasons)
    assert not Graph(model, (4,)).groups


OUTPUT = "network output, whose size is given"


@pytest.mark.parametrize("net", ["two_consumers", "residual_inside"])
def test_refused_streams(net: str) -> None:
    reasons = {u.name: u.reason for u in named(net).graph().unsplittable}
    expected = {
        "two_consumers": {"one": OUTPUT, "two": OUTPUT},
        "residual_inside": {"head": OUTPUT},
    }[net]
    assert reasons == expected


def test_an_untraceable_model_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x) if x.sum() > 0 else x

    said = r"its code depends on values that tensors have: return self\.a\(x\) if x\.sum\(\) > 0 else x \(.*:\d+\)$"
    with pytest.raises(BenchError, match=r"^the model cannot be read on inputs of shape \(2,\): " + said) as error:
        Graph(Branches(), (2,))
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")
    with pytest.raises(BenchError, match="cannot be read"):
        Graph(nn.Linear(3, 3), (4,))
    with pytest.raises(BenchError, match="cannot be read"):
        Graph(nn.ReLU(), (4,))


@pytest.mark.parametrize("code", [lambda x: x if x.shape[0] % 2 else -x, lambda x: x * torch.ones(2, 1)])
def test_code_that_does_not_take_any_number_of_inputs_is_one_line(code: Callable[[Tensor], Tensor]) -> None:
    class Counts(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return code(super().forward(x))

    with pytest.raises(
        BenchError, match=r"^the model cannot be read on .*: its code depends on the number of inputs in"
    ):
        Graph(Counts(nn.Linear(3, 4), nn.Linear(4, 2)), (3,))


@given(widths=st.lists(st.integers(1, 5), min_size=1, max_size=4), bias=st.booleans())
def test_chains_of_linear_layers(widths: list[int], bias: bool) -> None:
    sizes = [3, *widths, 2]
    layers: list[nn.Module] = []
    for one, two in pairwise(sizes):
        layers += [nn.Linear(one, two, bias=bias), nn.SiLU()]
    graph = Graph(nn.Sequential(*layers[:-1]), (3,))
    assert graph.widths() == {str(2 * i): n for i, n in enumerate(widths)}
    assert [[c.tensor for c in g.consumers] for g in graph.groups.values()] == [
        [f"{2 * i + 2}.weight"] for i in range(len(widths))
    ]
