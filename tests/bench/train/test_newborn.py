"""Learning rates of newborn weights, against a loop that scales each step by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.network.graph import Graph
from bench.network.plan import GrowthPlan
from bench.network.surgery import apply
from bench.train import TrainConfig, make_optimizer, train
from bench.train.newborn import NewbornRates, ages
from tests.bench.network.test_births import any_births, born
from tests.bench.network.test_surgery import OPTIMIZERS
from tests.nets import NETS, Net, named

WIDTHS = [{"0": 5, "2": 4}, {"0": 7, "2": 4}, {"0": 8, "2": 6}]
ROWS, COLUMNS = torch.tensor([0, 0, 0, 0, 2, 2]), torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])
AGES = {  # of the mlp's weights, by hand; an entry is as old as the younger of the two neurons that it joins
    "0.weight": COLUMNS[:, None].expand(8, 4),
    "0.bias": COLUMNS,
    "2.weight": torch.maximum(ROWS[:, None], COLUMNS[None]),
    "4.weight": ROWS[None].expand(3, 6),
    "4.bias": torch.zeros(3),
}


def grown() -> Graph:
    """The mlp after two growth events."""
    graph = named("mlp").graph()
    group = graph.groups["0"]
    first = [birth for birth in any_births(graph, 0, 2) if birth.group == group]
    apply(graph.model, None, GrowthPlan(births=tuple(first)), 0.3)
    births = any_births(graph, 1, 2)
    one = [birth for birth in births if birth.group == group][:1]
    apply(graph.model, None, GrowthPlan(births=(*one, *(b for b in births if b.group != group))), 0.3)
    assert graph.widths() == WIDTHS[-1]
    return graph


def rates(graph: Graph, model: nn.Module, rate: float | str, warmup: float = 0.0) -> NewbornRates:
    return NewbornRates(model, graph.groups.values(), WIDTHS, rate, warmup)


def by_hand(name: str, before: Tensor, rate: float | str, rising: float) -> Tensor:
    """The factor of each entry."""
    age, factors = AGES[name], torch.ones_like(before)
    for t in (1, 2):
        own = age == t
        if rate == "norm":
            if own.any():
                factors[own] = before[own].norm() / before[age == 0].norm()
        elif t == 2:
            factors[own] = rate
    factors[age == 2] *= rising
    return factors


def test_ages_by_hand() -> None:
    graph = grown()
    found = ages(graph.model, graph.groups.values(), WIDTHS)
    for name, parameter in graph.model.named_parameters():
        assert torch.equal(found[parameter].double(), AGES[name].double()), name


@pytest.mark.parametrize("net", NETS, ids=str)
def test_ages_are_the_events_in_which_entries_came_to_be(net: Net) -> None:
    graph, widths, expected = net.graph(), [net.graph().widths()], {}
    for name, parameter in graph.model.named_parameters():
        expected[name] = torch.zeros_like(parameter)
    for event in (1, 2):
        plan = GrowthPlan(births=any_births(graph, event, 3 - event))
        apply(graph.model, None, plan, 0.1)
        widths.append(graph.widths())
        new = born(graph, plan)
        for name, before in expected.items():
            after = torch.full_like(new[name], event, dtype=before.dtype)
            after[~new[name]] = before.flatten()
            expected[name] = after
    found = ages(graph.model, graph.groups.values(), widths)
    for name, parameter in graph.model.named_parameters():
        assert torch.equal(found[parameter].to(parameter), expected[name]), name


@pytest.mark.parametrize("warmup", [0.0, 0.5])
@pytest.mark.parametrize("rate", [3.0, 0.0, "norm"])
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_steps_are_those_of_a_loop_that_scales_them_by_hand(kind: str, rate: float | str, warmup: float) -> None:
    graph = grown()
    model, twin = graph.model, copy.deepcopy(graph.model)
    inputs, targets = named("mlp").sample()
    optimizers = [OPTIMIZERS[kind](one.parameters()) for one in (model, twin)]
    scaled, steps, held = rates(graph, model, rate, warmup), 6, {}
    for step in range(steps):
        if step % 3 == 0:  # an epoch begins, and norms are measured again
            scaled.renew()
            held = {name: p.detach().clone() for name, p in twin.named_parameters()} if step == 0 else held
        for one, optimizer in zip((model, twin), optimizers, strict=True):
            optimizer.zero_grad()
            F.cross_entropy(one(inputs), targets).backward()
        scaled.hold()
        before = {name: p.detach().clone() for name, p in twin.named_parameters()}
        for optimizer in optimizers:
            optimizer.step()
        scaled.scale((step + 1) / steps)
        rising = min(1.0, (step + 1) / steps / warmup) if warmup else 1.0
        with torch.no_grad():
            if step % 3 == 0:
                held = {name: p.detach().clone() for name, p in twin.named_parameters()}
            for name, parameter in twin.named_parameters():
                factors = by_hand(name, held[name], rate, rising)
                parameter.copy_(before[name] + factors * (parameter - before[name]))
    for (name, one), two in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.allclose(one, two, rtol=1e-10, atol=1e-12), name


def stepped(change: Callable[[Graph, nn.Module], NewbornRates | None]) -> dict[str, Tensor]:
    """Parameters after one step."""
    graph = grown()
    model = graph.model
    optimizer = OPTIMIZERS["adam"](model.parameters())
    found = change(graph, model)
    F.cross_entropy(model(named("mlp").sample()[0]), named("mlp").sample()[1]).backward()
    if found is not None:
        found.hold()
    optimizer.step()
    if found is not None:
        found.scale(0.5)
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def test_what_was_there_before_steps_to_the_bit_as_without() -> None:
    plain, still = stepped(lambda *_: None), stepped(lambda graph, model: rates(graph, model, 0.0))
    before = {name: parameter.detach() for name, parameter in grown().model.named_parameters()}
    for name, age in AGES.items():
        assert torch.equal(still[name][age < 2], plain[name][age < 2]), name
        assert torch.equal(still[name][age == 2], before[name][age == 2]), name
        assert not torch.equal(still[name][age < 2], before[name][age < 2])
    graph = grown()
    held = rates(graph, graph.model, 0.0).ages
    assert {name for name, p in graph.model.named_parameters() if p not in held} == {"4.bias"}


def test_frozen_parameters_and_groups_that_did_not_grow_are_left_alone() -> None:
    graph = grown()
    weight: Any = graph.model.get_submodule("2").weight
    weight.requires_grad_(False)
    assert weight not in rates(graph, graph.model, 2.0).ages
    plain = named("mlp").graph()
    same = [plain.widths()] * 3
    assert not NewbornRates(plain.model, plain.groups.values(), same, 2.0).ages


def test_training_goes_by_the_stages_progress(images) -> None:
    """Over the whole stage's steps; and a resumed stage ends with the same bits."""
    config = TrainConfig(batch_size=8, lr=0.05, newborn_lr=0.5, newborn_warmup=0.5)
    data = replace(images, crop=0, flip=False)

    def made() -> tuple[Graph, list[dict[str, int]]]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.Flatten(), nn.Linear(64, 3))
        graph = Graph(net, (2, 6, 6))
        before = graph.widths()
        apply(net, None, GrowthPlan(births=any_births(graph, 0, 1)), 0.5)
        return graph, [before, graph.widths()]

    heard: list[float] = []

    class Listening(NewbornRates):
        def scale(self, progress: float) -> None:
            heard.append(progress)
            super().scale(progress)

    found, saved = [], {}
    for start in (0, 2):
        graph, widths = made()
        optimizer = make_optimizer(graph.model, config)
        if start:
            graph.model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])

        def keep(epoch: int, _: float, graph: Graph = graph, optimizer: Any = optimizer) -> None:
            if epoch == 1:
                saved["model"] = copy.deepcopy(graph.model.state_dict())
                saved["optimizer"] = copy.deepcopy(optimizer.state_dict())

        newborn = Listening(graph.model, graph.groups.values(), widths, 0.5, 0.5)
        options: dict[str, Any] = {"epochs": 4, "seed": 0, "start_epoch": start, "newborn": newborn}
        train(graph.model, optimizer, data, config, on_epoch=keep, **options)
        found.append({name: tensor.clone() for name, tensor in graph.model.state_dict().items()})
    assert heard[:20] == [(step + 1) / 20 for step in range(20)]
    assert heard[20:] == heard[10:20]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
