"""Diagnostics of a stage: each number against a slow plain form in float64, on every net, and in a run's record."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.backbones import backbones, build
from bench.core.record import Diagnostics, plain
from bench.curvature.sample import Sample
from bench.growth import diagnostics
from bench.network.graph import Graph
from bench.network.groups import outgoing, theta
from bench.network.plan import Birth, GrowthPlan, Split
from bench.network.surgery import apply
from tests.nets import NETS, Net, named
from tests.runs import Fatal, Killed, numbers, prepared

HEARD = [net for net in NETS if net.name not in ("functional", "functional_relu", "padded")]
"""Nets whose consumers are modules and read what is given to them, nothing that pads it."""


def sample(net: Net, count: int = 300) -> Sample:
    """More than a pass takes."""
    return Sample(*net.sample(count), F.cross_entropy)


def activations(net: Net, model: nn.Module, graph: Graph, inputs: Tensor) -> dict[str, Tensor]:
    """What layers that read a group read of it, one column for each neuron, by hooks."""
    found: dict[str, Tensor] = {}
    for name, group in graph.groups.items():
        read: dict[int, tuple[Tensor, Tensor]] = {}
        handles = []
        for slot in group.consumers:
            places = slot.owned(name, graph.widths())

            def hear(layer: nn.Module, given: tuple[Tensor], places: Tensor = places, read: dict = read) -> None:  # type: ignore[type-arg]
                read[id(given[0])] = (given[0].movedim(1 if isinstance(layer, nn.Conv2d) else -1, -1), places)

            handles.append(model.get_submodule(slot.layer).register_forward_pre_hook(hear))
        with torch.no_grad():
            model(inputs)
        for handle in handles:
            handle.remove()
        parts = [
            torch.stack([x[..., own].flatten() for own in places], dim=1)  # one neuron after the other
            for x, places in read.values()
        ]
        found[name] = torch.cat(parts)
    return found


def plain_rank(matrix: Tensor) -> float:
    """Roy and Vetterli's definition."""
    sigma = torch.linalg.svdvals(matrix).tolist()
    shares = [one / sum(sigma) for one in sigma]
    return math.exp(-sum(p * math.log(p) for p in shares if p > 0))


@pytest.mark.parametrize("net", HEARD, ids=str)
def test_rank_is_that_of_the_activations_singular_values(net: Net) -> None:
    graph, probe = net.graph(), sample(net)
    expected = activations(net, graph.model, graph, probe.inputs)
    found = diagnostics.ranks(graph, probe)
    assert found.keys() == graph.groups.keys()
    for name, matrix in expected.items():
        assert found[name] == pytest.approx(plain_rank(matrix) / net.widths[name], rel=1e-5), name


def test_rank_of_equal_directions_and_of_copies() -> None:
    assert diagnostics.effective_rank(torch.eye(5)) == pytest.approx(5)
    assert diagnostics.effective_rank(torch.ones(5, 5)) == pytest.approx(1)
    assert math.isnan(diagnostics.effective_rank(torch.zeros(3, 3)))


def test_copies_of_neurons_keep_the_rank_and_so_lower_it_per_width() -> None:
    net = named("mlp")
    graph, probe = net.graph(), sample(net)
    before = diagnostics.ranks(graph, probe)["0"] * 5
    split = GrowthPlan(tuple(Split(graph.groups["0"], i, (0.5, 0.5)) for i in range(5)))
    apply(graph.model, None, split, 0.0)
    grown = graph.grown()
    assert diagnostics.ranks(grown, probe)["0"] * 10 == pytest.approx(before)
    assert diagnostics.cosines(grown)["0"] == pytest.approx(1)


@pytest.mark.parametrize("net", NETS, ids=str)
def test_cosines_norms_and_gradients_by_hand(net: Net) -> None:
    graph, probe = net.graph(), sample(net, 30)
    before = graph.widths()
    plan = GrowthPlan(tuple(Split(group, 0, (0.3, 0.7)) for group in graph.groups.values()))
    apply(graph.model, None, plan, 0.0)
    graph = graph.grown()
    found = diagnostics.cosines(graph), diagnostics.gradients(graph, probe, before)
    norms = diagnostics.norms(graph, net.build, torch.Generator().manual_seed(3))
    again = diagnostics.norms(graph, net.build, torch.Generator().manual_seed(3))
    assert norms == again
    assert found[0].keys() == found[1].keys() == norms.keys() == graph.groups.keys()
    with torch.enable_grad():
        loss = F.cross_entropy(graph.model(probe.inputs), probe.targets)
        slopes = dict(
            zip(
                dict(graph.model.named_parameters()),
                torch.autograd.grad(loss, [*graph.model.parameters()]),
                strict=True,
            )
        )
    for name, group in graph.groups.items():
        rows = theta(graph.model, group)
        n = len(rows)
        cosine = [
            max(abs(float(F.cosine_similarity(rows[i], rows[j], dim=0))) for j in range(n) if j != i) for i in range(n)
        ]
        assert found[0][name] == pytest.approx(sum(cosine) / n)
        own = [0.0] * n  # squared gradient by neuron
        for slot in (slot for producer in group.producers for slot in producer.slots):
            slope = slopes[slot.tensor].movedim(slot.dim, 0)
            for i, places in enumerate(slot.owned(name, slot.widths(graph.model)).tolist()):
                own[i] += sum(float(slope[place].square().sum()) for place in places)
        old, new = own[: before[name]], own[before[name] :]
        assert found[1][name] == pytest.approx(math.sqrt(sum(new) / len(new) / (sum(old) / len(old))))


def test_norms_are_over_those_of_a_network_as_it_is_drawn() -> None:
    net = named("mlp")
    torch.manual_seed(0)
    model = net.build()
    graph = Graph(model, net.shape)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    wide = {name: [] for name in graph.groups}  # type: ignore[var-annotated]
    for seed in range(200):
        for name, one in diagnostics.norms(graph, net.build, torch.Generator().manual_seed(seed)).items():
            wide[name].append(one)
    torch.manual_seed(0)
    drawn = [net.build() for _ in range(200)]
    for name, group in graph.groups.items():
        usual = sum(float(theta(one, group).norm(dim=1).mean()) for one in drawn) / 200
        expected = float(theta(model, group).norm(dim=1).mean()) / usual
        assert sum(wide[name]) / 200 == pytest.approx(expected, rel=0.05)


def test_newborn_neurons_with_no_outgoing_weights_have_no_gradient() -> None:
    net = named("mlp")
    graph, probe = net.graph(), sample(net)
    group = graph.groups["0"]
    nothing = torch.zeros(outgoing(graph.model, group).shape[1], dtype=torch.float64)
    birth = Birth(group, torch.ones(5, dtype=torch.float64), nothing)
    apply(graph.model, None, GrowthPlan(births=(birth,)), 0.1)
    assert diagnostics.gradients(graph.grown(), probe, net.widths) == {"0": 0.0}


def test_what_is_not_defined_is_left_out() -> None:
    model = nn.Sequential(nn.Linear(3, 1), nn.ReLU(), nn.Linear(1, 2))
    nn.init.zeros_(model[0].weight)
    nn.init.constant_(model[0].bias, -1.0)
    graph = Graph(model, (3,))
    probe = Sample(torch.randn(4, 3), torch.tensor([0, 1, 0, 1]), F.cross_entropy)
    assert diagnostics.ranks(graph, probe) == diagnostics.cosines(graph) == {}

    def broken() -> nn.Module:
        raise RuntimeError("no such thing")

    assert diagnostics.norms(graph, broken, torch.Generator()) == {}
    apply(model, None, GrowthPlan((Split(graph.groups["0"], 0, (0.5, 0.5)),)), 0.0)
    assert diagnostics.gradients(graph.grown(), probe, {"0": 1}) == {}  # of a dead neuron


def wide(width: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 5), nn.Tanh(), nn.Linear(5, 3))


def test_a_layer_too_wide_to_compare_has_its_rank_and_norm_and_no_cosine() -> None:
    width = diagnostics.MOST + 1
    graph = Graph(wide(width), (6,))
    inputs = torch.randn(300, 6)
    probe = Sample(inputs, torch.arange(300) % 3, F.cross_entropy)
    found = diagnostics.diagnose(graph, probe, lambda: wide(width), torch.Generator(), {}, None)
    assert found.rank.keys() == found.norm.keys() == {"0", "2"}
    assert found.cosine.keys() == {"2"}
    exact = plain_rank(torch.tanh(inputs.double() @ graph.model[0].weight.T.double() + graph.model[0].bias.double()))
    assert found.rank["0"] == pytest.approx(exact / width, rel=1e-4)
    apply(graph.model, None, GrowthPlan((Split(graph.groups["0"], 0, (0.5, 0.5)),)), 0.0)
    assert diagnostics.gradients(graph.grown(), probe, {"0": width, "2": 5}).keys() == {"0"}


@pytest.mark.parametrize(("most", "ranked"), [(8, {"0", "2"}), (7, {"2"}), (4, set())])
def test_a_rank_is_left_out_where_neurons_and_examples_are_both_too_many(
    most: int, ranked: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layer of 9 neurons has 8 examples, in passes of 3, and that of 5 is narrow enough for all but the last."""
    graph, inputs = Graph(wide(9), (6,)), torch.randn(8, 6)
    probe = Sample(inputs, torch.arange(8) % 3, F.cross_entropy)
    unlimited = diagnostics.ranks(graph, probe)
    monkeypatch.setattr(diagnostics, "MOST", most)
    monkeypatch.setattr(diagnostics, "TOGETHER", 3)
    found = diagnostics.ranks(graph, probe)
    assert found.keys() == ranked
    assert found == pytest.approx({name: unlimited[name] for name in ranked})
    assert diagnostics.cosines(graph).keys() == ({"2"} if most >= 5 else set())


def test_a_network_that_has_diverged_has_no_numbers() -> None:
    net = named("mlp")
    graph, probe = net.graph(), sample(net, 4)
    for parameter in graph.model.parameters():
        parameter.data.fill_(float("nan"))
    found = diagnostics.diagnose(graph, probe, net.build, torch.Generator(), {}, None)
    assert found == Diagnostics()
    assert diagnostics.gradients(graph, probe, {"0": 2, "2": 2}) == {}


@pytest.mark.parametrize("name", backbones.names())
def test_every_backbone_has_its_numbers(name: str) -> None:
    shape = {"rbf": (4,), "gpt": (16,)}.get(name, (3, 32, 32))

    def made() -> nn.Module:
        return build({"name": name}, shape, 10)

    torch.manual_seed(0)
    inputs = torch.randint(10, (4, *shape)) if name == "gpt" else torch.randn(4, *shape)
    graph = Graph(made(), shape, inputs.dtype)
    probe = Sample(inputs, torch.arange(4), F.cross_entropy)
    state = copy.deepcopy(graph.model.state_dict())
    found = diagnostics.diagnose(graph, probe, made, torch.Generator().manual_seed(0), {}, 0.5)
    several = {name for name, width in graph.widths().items() if width > 1}
    assert found.rank.keys() == found.norm.keys() == graph.groups.keys()
    assert found.cosine.keys() == several
    assert all(0 < rank <= 1 + 1e-6 for rank in found.rank.values())
    assert all(0 <= cosine <= 1 + 1e-6 for cosine in found.cosine.values())
    assert all(norm == pytest.approx(1, abs=0.35) for norm in found.norm.values())  # it is one as it is drawn
    assert all(torch.equal(value, state[key]) for key, value in graph.model.state_dict().items())


@pytest.mark.parametrize("method", ["s2d", "static"])
def test_a_run_records_them_at_each_stage(tmp_path: Path, method: str) -> None:
    record = prepared(tmp_path, f"method={method}").execute()
    for stage in record.stages:
        found = stage.diagnostics
        assert found is not None
        assert found.rank.keys() == found.cosine.keys() == found.norm.keys() == stage.widths.keys()
        assert found.train_accuracy is not None
        grown = method == "s2d" and stage.stage > 0
        assert bool(found.gradient) == grown
    assert plain(record)["stages"][1]["diagnostics"]["rank"].keys() == record.stages[1].widths.keys()


def test_a_killed_run_goes_on_with_the_same_numbers(tmp_path: Path) -> None:
    whole = prepared(tmp_path / "whole", "method=s2d").execute()
    killed = prepared(tmp_path / "killed", "method=s2d", "checkpoint_seconds=0", callback=Fatal(5))
    with pytest.raises(Killed):
        killed.execute()
    assert numbers(prepared(tmp_path / "killed", "method=s2d", "checkpoint_seconds=0").execute()) == numbers(whole)
