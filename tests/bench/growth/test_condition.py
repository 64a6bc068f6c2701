"""What is done to the weights after growing, the same for every method."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.core.errors import BenchError, ConfigError
from bench.growth.afresh import draw_parameters
from bench.growth.condition import Condition, condition
from bench.growth.config import GrowthConfig
from bench.growth.grower import Grower
from tests.runs import numbers, prepared

HALVES = Condition("shrink_perturb", 0.5, 0.5)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    layers = nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.SiLU(), nn.Conv2d(4, 5, 3), nn.PReLU(), nn.Flatten()
    return nn.Sequential(*layers, nn.LayerNorm(80), nn.Linear(80, 3))


def shifted() -> nn.Module:
    """As trained: nothing is as it is drawn."""
    model = network()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3)
    return model


def test_shrink_and_perturb_by_hand() -> None:
    model, fresh = shifted(), network(1)
    before = copy.deepcopy(model.state_dict())
    condition(model, fresh, Condition("shrink_perturb", 0.4, 0.3))
    for name, value in model.state_dict().items():
        normalises = name.startswith(("1.", "6."))
        expected = before[name] if normalises else 0.4 * before[name] + 0.3 * fresh.state_dict()[name]
        assert torch.allclose(value, expected), name


class RMS(nn.Module):
    """Somebody's own normalisation."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised along the last dimension."""
        return self.gain * x / x.square().mean(-1, keepdim=True).sqrt()


NORMS: dict[str, nn.Module] = {
    "batch": nn.BatchNorm2d(4),
    "instance": nn.InstanceNorm2d(4, affine=True),
    "layer": nn.LayerNorm((4, 3, 3)),  # of three dimensions
    "group": nn.GroupNorm(2, 4),
    "rms": nn.RMSNorm((3, 3)),
    "own": RMS(3),
}


@pytest.mark.parametrize("drawn", [0.0, 1.0, 0.3])
@pytest.mark.parametrize("name", NORMS)
def test_normalisations_are_left_alone_whatever_they_are_drawn_with(name: str, drawn: float) -> None:
    fresh = copy.deepcopy(NORMS[name])
    for parameter in fresh.parameters():
        nn.init.constant_(parameter, drawn)
    for how in (HALVES, Condition("rescale", perturb=0.5)):
        model = nn.Sequential(copy.deepcopy(NORMS[name]))
        for parameter in model.parameters():
            nn.init.constant_(parameter, 2.0)
        condition(model, nn.Sequential(fresh), how)
        assert all(bool((parameter == 2).all()) for parameter in model.parameters())


def test_layers_are_conditioned_whatever_they_are_drawn_with() -> None:
    """Ones, which a normalisation is drawn with, are no sign of one; nor is a weight that is frozen."""
    fresh = nn.Sequential(nn.Linear(3, 3), nn.Conv2d(2, 2, 3), nn.PReLU(2), nn.Linear(3, 3))
    model = copy.deepcopy(fresh)
    for parameter in fresh.parameters():
        nn.init.ones_(parameter)
    model[3].weight.requires_grad_(False)
    before = copy.deepcopy(dict(model.named_parameters()))
    condition(model, fresh, HALVES)
    for name, parameter in model.named_parameters():
        expected = before[name] if name == "3.weight" else 0.5 * before[name] + 0.5
        assert torch.allclose(parameter, expected), name


def test_rescaling_gives_each_layer_a_fresh_ones_norm() -> None:
    model, fresh = shifted(), network(1)
    before = copy.deepcopy(model.state_dict())
    condition(model, fresh, Condition("rescale"))
    for name in ("0.weight", "3.weight", "4.weight", "7.weight"):
        now, then = model.state_dict()[name], before[name]
        assert float(now.norm()) == pytest.approx(float(fresh.state_dict()[name].norm()), rel=1e-5)
        assert torch.allclose(now / now.norm(), then / then.norm(), atol=1e-6)
    factor = (model.state_dict()["7.weight"] / before["7.weight"]).mean()
    assert torch.allclose(model.state_dict()["7.bias"], factor * before["7.bias"])
    assert torch.equal(model.state_dict()["1.weight"], before["1.weight"])


def test_rescaling_takes_a_share_of_a_fresh_layer_and_keeps_its_norm() -> None:
    model, fresh = shifted(), network(1)
    before = copy.deepcopy(model.state_dict())
    condition(model, fresh, Condition("rescale", perturb=0.6))
    for name in ("0.weight", "3.weight", "4.weight", "7.weight"):
        now, then, drawn = model.state_dict()[name], before[name], fresh.state_dict()[name]
        assert torch.allclose(now, 0.8 * drawn.norm() / then.norm() * then + 0.6 * drawn, atol=1e-6)
    condition(model, fresh, Condition("rescale", perturb=1.0))
    assert torch.equal(model[7].weight, fresh[7].weight)
    assert torch.equal(model[7].bias, fresh[7].bias)


class Tied(nn.Module):
    """An embedding that is the output layer's weight as well."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.hidden = nn.Embedding(6, 4), nn.Linear(4, 4)
        self.output = nn.Linear(4, 6)
        self.output.weight = self.embedding.weight


@pytest.mark.parametrize("how", [HALVES, Condition("rescale", perturb=0.3)])
def test_what_layers_share_is_conditioned_once(how: Condition) -> None:
    model, fresh = Tied(), Tied()
    with torch.no_grad():
        model.embedding.weight.mul_(3)
    before, drawn = model.embedding.weight.detach().clone(), fresh.embedding.weight
    condition(model, fresh, how)
    share = how.perturb
    factor = 0.5 if how is HALVES else (1 - share**2) ** 0.5 * drawn.norm() / before.norm()
    assert torch.allclose(model.embedding.weight, factor * before + share * drawn, atol=1e-6)
    assert model.output.weight is model.embedding.weight


def test_what_is_frozen_or_of_no_length_is_left_alone() -> None:
    model, fresh = shifted(), network(1)
    model[7].requires_grad_(False)
    with torch.no_grad():
        fresh[3].weight.zero_()
    before = copy.deepcopy(model.state_dict())
    condition(model, fresh, Condition("rescale"))
    for name in ("7.weight", "7.bias", "3.weight", "3.bias"):
        assert torch.equal(model.state_dict()[name], before[name])


@pytest.mark.parametrize(
    ("kind", "shrink", "perturb", "expected"),
    [
        (None, None, None, Condition()),
        ("none", None, None, Condition()),
        (None, 0.5, 0.5, HALVES),
        ("shrink_perturb", None, None, HALVES),
        (None, 0.7, None, Condition("shrink_perturb", 0.7, 0.0)),
        ("shrink_perturb", None, 0.2, Condition("shrink_perturb", 1.0, 0.2)),
        ("rescale", None, None, Condition("rescale", perturb=0.5)),
        ("rescale", None, 0.7, Condition("rescale", perturb=0.7)),
    ],
)
def test_what_options_mean(kind: str | None, shrink: float | None, perturb: float | None, expected: Condition) -> None:
    assert GrowthConfig(condition=kind, shrink=shrink, perturb=perturb).conditioning == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"condition": "shrink"}, "growth.condition=shrink: expected one of none, shrink_perturb, rescale"),
        ({"condition": "none", "shrink": 0.5}, "growth.shrink=0.5: expected null with growth.condition=none"),
        ({"condition": "rescale", "shrink": 0.5}, "growth.shrink=0.5: expected null with growth.condition=rescale"),
        ({"condition": "none", "perturb": 0.5}, "growth.perturb=0.5: expected null with growth.condition=none"),
        ({"shrink": 1.5}, "growth.shrink=1.5: expected a number from 0 to 1, or null"),
        ({"perturb": -1.0}, "growth.perturb=-1.0: expected a number from 0 to 1, or null"),
        ({"shrink": 0.0}, "growth.shrink=0.0: expected above 0 where growth.perturb is 0"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GrowthConfig(**options)


def test_a_stage_starts_from_conditioned_weights_drawn_as_the_backbone_draws_them(tmp_path: Path) -> None:
    options = ("method=net2net", "train.epochs=0", "growth.stages=1")
    plain, halved = (
        prepared(tmp_path / "a", *options),
        prepared(tmp_path / "b", *options, "growth.shrink=0.5", "growth.perturb=0.5"),
    )
    assert plain.execute().stages[1].growth.condition is None  # type: ignore[union-attr]
    growth = halved.execute().stages[1].growth
    assert growth is not None
    assert growth.condition == "shrink_perturb"
    assert growth.conditioned is not None
    fresh = copy.deepcopy(plain.model)
    draw_parameters(fresh, plain._build, plain._stream("condition 1"))
    condition(plain.model, fresh, HALVES)
    for one, two in zip(plain.model.parameters(), halved.model.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_control_that_starts_afresh_is_not_conditioned(tmp_path: Path) -> None:
    options = ("method=static", "train.epochs=1", "growth.stages=1")
    plain, halved = (
        prepared(tmp_path / str(i), *options, *more) for i, more in enumerate([(), ("growth.shrink=0.5",)])
    )
    one, two = (numbers(run.execute()) for run in (plain, halved))
    assert one["stages"] == two["stages"]


def test_a_callers_network_and_its_average_are_conditioned_alike() -> None:
    inputs, targets = torch.randn(30, 1, 8, 8), torch.randint(3, (30,))
    model = network()
    average = torch.optim.swa_utils.AveragedModel(model)
    grower = Grower(model, inputs[:1], "net2net", condition="shrink_perturb", build=network)
    growth = grower.grow(inputs, targets, F.cross_entropy, averages=average, ratio=1.3)
    assert growth.record.condition == "shrink_perturb"
    for one, two in zip(model.parameters(), average.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-6)
    with pytest.raises(BenchError, match=r"growth\.condition=shrink_perturb: expected build=FUNCTION"):
        Grower(network(), inputs[:1], shrink=0.5)
