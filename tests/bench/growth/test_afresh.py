"""Networks that start afresh have the distribution that their backbone draws them from, at any widths."""

from __future__ import annotations

import copy
from collections.abc import Callable
from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.init import kaiming_normal_

from bench.backbones import backbones, build
from bench.growth.afresh import draw_parameters
from bench.network.graph import Graph
from bench.network.plan import GrowthPlan, Split
from bench.network.surgery import apply
from tests.runs import numbers, prepared

Build = Callable[[], nn.Module]


class Odd(nn.Module):
    """Initialised in all the ways that there are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.scaled = nn.Conv2d(8, 8, 3, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.layer_scale = nn.Parameter(1e-3 * torch.ones(8, 1, 1))
        self.shift = nn.Parameter(torch.randn(8, 1, 1))
        self.hidden = nn.Linear(8, 400)
        self.head = nn.Linear(400, 10)
        kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.scaled.weight, 0.0, sqrt(2 / (9 * 8)))
        nn.init.zeros_(self.norm.weight)
        self.hidden.weight.data.normal_(0, 0.01)
        with torch.no_grad():
            self.head.weight[:5] = 7.0
            nn.init.constant_(self.head.bias[:5], 7.0)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = torch.tanh(self.norm(self.scaled(torch.tanh(self.conv(x)))) * self.layer_scale + self.shift)
        return self.head(torch.tanh(self.hidden(x.mean((2, 3)))))


def doubled(model: nn.Module) -> nn.Module:
    """Every neuron twice."""
    graph = Graph(model, (3, 16, 16))
    widths = graph.widths()
    splits = [Split(group, i, (0.5, 0.5)) for name, group in graph.groups.items() for i in range(widths[name])]
    apply(model, None, GrowthPlan(tuple(splits)), 0.0)
    return model


def drawn(make: Build, model: nn.Module, seed: int = 1) -> dict[str, Tensor]:
    draw_parameters(model, make, torch.Generator().manual_seed(seed))
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


NAMES: list[dict[str, Any]] = [
    *({"name": name} for name in backbones.names() if name not in ("gpt", "rbf", "vgg16_bn", "vgg19_bn", "resnet18")),
    *({"name": f"torchvision:{name}", "size": 32} for name in ("resnet18", "mobilenet_v3_small", "regnet_x_400mf")),
    *({"name": f"torchvision:{name}", "size": 32} for name in ("squeezenet1_1", "densenet121", "mnasnet0_5")),
]


@pytest.mark.parametrize("options", NAMES, ids=lambda one: str(one["name"]))
def test_at_the_seeds_widths_the_distribution_is_the_backbones(options: dict[str, Any]) -> None:
    def make() -> nn.Module:
        return build(options, (3, 32, 32), 10)

    torch.manual_seed(0)
    fresh, other, found = make(), make(), drawn(make, make())
    for (name, one), two in zip(fresh.named_parameters(), other.parameters(), strict=True):
        ours, k = found[name], one.numel()
        if k > 20:
            deviation, spread = float(one.detach().std()), abs(float(one.detach().std() - two.detach().std()))
            assert float(ours.std()) == pytest.approx(deviation, abs=6 * deviation / sqrt(2 * k) + 3 * spread), name
            assert float(ours.mean() - one.detach().mean()) == pytest.approx(0, abs=6 * deviation / sqrt(k) + 1e-7)
        assert one.equal(two) is bool(ours.equal(one)), name  # constants are the same, draws are others


def test_at_other_widths_fans_follow() -> None:
    torch.manual_seed(0)
    found = drawn(Odd, doubled(Odd()))
    assert found["conv.weight"].shape == (16, 3, 3, 3)
    assert float(found["conv.weight"].std()) == pytest.approx(sqrt(2 / (9 * 16)), rel=0.2)
    assert float(found["scaled.weight"].std()) == pytest.approx(sqrt(2 / (9 * 16)), rel=0.1)
    assert float(found["conv.bias"].abs().max()) <= 1 / sqrt(27)
    assert float(found["hidden.weight"].std()) == pytest.approx(0.01, rel=0.1)
    assert float(found["hidden.bias"].abs().max()) == pytest.approx(1 / sqrt(16), rel=0.1)  # of the grown layer's fan
    assert found["norm.weight"].eq(0).all()
    assert found["layer_scale"].eq(1e-3).all()
    assert float(found["shift"].std()) == pytest.approx(1, rel=0.6)
    assert 0.3 < float(found["head.weight"].eq(7).double().mean()) < 0.7
    assert found["head.bias"].eq(7).tolist() == 5 * [True] + 5 * [False]  # a part is not the whole


def in_double() -> nn.Module:
    """Moved once it is initialised, as a network is to a device."""
    return Odd().double()


def test_what_has_initialised_a_parameter_is_known_wherever_that_is_moved_afterwards() -> None:
    torch.manual_seed(0)
    found, model = drawn(Odd, doubled(Odd())), doubled(Odd())
    moved = drawn(in_double, model.double())
    assert float(moved["hidden.weight"].std()) == pytest.approx(0.01, rel=0.1)
    for name, parameter in found.items():
        assert moved[name].dtype == torch.float64
        same = {"shift": 0.7, "head.weight": 0.1, "head.bias": 1e-6}.get(name, 0.2)  # of as many draws as there are
        assert float(moved[name].std()) == pytest.approx(float(parameter.std()), rel=same), name
    assert moved["head.bias"].eq(7).tolist() == 5 * [True] + 5 * [False]


class Given(nn.Module):
    """Gets data of its own, of another type, back and forth."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(8, 50), nn.Linear(50, 10)
        self.one.weight.data = torch.full((50, 8), 3.0)
        kept = self.two.weight.data
        self.two.weight.data = kept.double()
        self.two.weight.data = kept
        self.two.weight.data.normal_(0, 5.0)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.two(torch.tanh(self.one(x)))


def test_data_that_a_parameter_is_given_are_written_into_it() -> None:
    found = drawn(Given, Given())
    assert found["one.weight"].eq(3).all()
    assert float(found["two.weight"].std()) == pytest.approx(5, rel=0.2)
    assert float(found["one.bias"].abs().max()) == pytest.approx(1 / sqrt(8), rel=0.1)


def test_the_generator_decides_and_nothing_else_is_drawn() -> None:
    model = Odd()
    kept = torch.get_rng_state()
    one, two = drawn(Odd, copy.deepcopy(model)), drawn(Odd, copy.deepcopy(model))
    other = drawn(Odd, copy.deepcopy(model), seed=2)
    assert torch.get_rng_state().equal(kept)
    assert all(one[name].equal(two[name]) for name in one)
    assert not one["conv.weight"].equal(other["conv.weight"])
    assert not one["shift"].equal(other["shift"])


def test_the_control_is_no_copy_of_the_seed_network(tmp_path: Any) -> None:
    made = prepared(tmp_path, "method=static", "backbone=convnet", "train.epochs=0", "train.seed_epochs=0")
    seed = {name: parameter.detach().clone() for name, parameter in made.model.named_parameters()}
    record = made.execute()
    for name, parameter in made.model.named_parameters():
        if parameter.dim() > 1:
            assert not torch.isin(parameter.detach(), seed[name]).any()
    again = prepared(tmp_path / "again", "method=static", "backbone=convnet", "train.epochs=0", "train.seed_epochs=0")
    assert numbers(again.execute())["stages"] == numbers(record)["stages"]
