"""A network grown in a caller's own loop, by the engine that the protocol is built on."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset

import bench
from bench.growth.grower import Grower, Growth
from bench.growth.method import GrowthContext, methods
from bench.network.plan import GrowthPlan, Split

torch.manual_seed(0)
INPUTS = torch.randn(240, 1, 8, 8)
TARGETS = (INPUTS[:, 0, :4].sum((1, 2)) > 0).long() + (INPUTS[:, 0, 4:].sum((1, 2)) > 0).long()


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    start = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.AvgPool2d(2), nn.Flatten()
    return nn.Sequential(*start, nn.Linear(36, 6), nn.SiLU(), nn.Linear(6, 3))


def trained(model: nn.Module, optimizer: Optimizer, after_step: Callable[[], object] = lambda: None) -> float:
    """The loss of the last batch of an epoch."""
    for rows in torch.arange(len(INPUTS)).split(40):
        loss = F.cross_entropy(model(INPUTS[rows]), TARGETS[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        after_step()
    return float(loss.detach())


def grown(grower: Grower, **options: Any) -> Growth:
    return grower.grow(INPUTS, TARGETS, F.cross_entropy, **{"ratio": 1.6, **options})


@pytest.mark.parametrize("optimizer", [SGD, Adam, AdamW, RMSprop, Adagrad])
def test_a_plain_loop_grows_in_place_and_trains_on(optimizer: Callable[..., Optimizer]) -> None:
    model = network()
    optim = optimizer(model.parameters(), lr=1e-2)
    grower = Grower(model, INPUTS[:1], "s3d", c=2)
    losses = []
    for _ in range(3):
        losses.append(trained(model, optim))
        before = sum(parameter.numel() for parameter in model.parameters())
        growth = grown(grower, optimizer=optim)
        now = sum(parameter.numel() for parameter in model.parameters())
        assert growth.after["params"] == grower.costs["params"] == now
        assert before < now <= 1.6 * before
        assert growth.predicted_drop == pytest.approx(growth.measured_drop, rel=0.05)
    assert trained(model, optim) < losses[0]
    held = {id(parameter) for group in optim.param_groups for parameter in group["params"]}
    assert held == {id(parameter) for parameter in model.parameters()} >= {id(one) for one in optim.state}


@pytest.mark.parametrize("method", [name for name in methods.names() if name != "retrain"])  # which follows a run
def test_every_method_grows_a_callers_network(method: str) -> None:
    model = network()
    grower = Grower(model, INPUTS[:2], method, build=network)
    optim = SGD(model.parameters(), lr=0.1, momentum=0.9)
    trained(model, optim)
    growth = grown(grower, optimizer=optim, epochs=1)
    assert growth.widths == grower.widths != growth.widths_before
    assert growth.after["params"] <= growth.target
    trained(model, optim)


def test_growing_again_from_the_same_state_gives_the_same_numbers() -> None:
    parameters = []
    for _ in range(2):
        model = network()
        grown(Grower(model, INPUTS[:1], "random_split", seed=5))
        parameters.append([parameter.detach() for parameter in model.parameters()])
    for one, two in zip(*parameters, strict=True):
        assert torch.equal(one, two)


def test_what_is_printed_says_what_was_grown() -> None:
    text = str(grown(Grower(network(), INPUTS[:1], "s2d")))
    assert "s2d: 291 to " in text
    assert "parameters of 466 allowed" in text
    assert "loss drop" in text
    assert "neurons" in text


def test_a_grower_prints_what_can_grow() -> None:
    text = str(Grower(network(), INPUTS[:1]))
    assert text.startswith("Sequential, inputs (1, 8, 8)")
    for said in ("Conv2d 3x3", "291 parameters", "cannot be split"):
        assert said in text
    assert max(map(len, text.splitlines())) <= 80


def test_planning_changes_nothing() -> None:
    model = network()
    grower = Grower(model, INPUTS[:1], "s2d")
    before = copy.deepcopy(model.state_dict())
    plan = grower.plan(INPUTS, TARGETS, F.cross_entropy, ratio=1.6)
    assert plan.splits
    assert grower.events == 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    after = grown(grower)
    assert after.plan.added() == plan.added()


def test_examples_are_drawn_from_a_loader() -> None:
    loader = DataLoader(TensorDataset(INPUTS, TARGETS), batch_size=64)
    one, two = Grower(network(), INPUTS[:1], "s2d", sample=100), Grower(network(), INPUTS[:1], "s2d")
    drawn = one.grow(loader, loss=F.cross_entropy, ratio=1.6)
    given = two.grow(INPUTS[:100], TARGETS[:100], F.cross_entropy, ratio=1.6)
    assert drawn.record.sample == 100
    assert drawn.predicted_drop == given.predicted_drop


def test_schedulers_scalers_and_averages_go_on() -> None:
    model = network()
    optim = AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optim, 1e-2, total_steps=40)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    scaler = torch.amp.GradScaler("cpu")

    def step() -> None:
        scaler.scale(F.cross_entropy(model(INPUTS), TARGETS)).backward()
        scaler.step(optim)
        scaler.update()
        optim.zero_grad()
        schedule.step()
        average.update_parameters(model)

    grower = Grower(model, INPUTS[:1], "s3d")
    for _ in range(3):
        step()
        kept = average.eval()(INPUTS).detach()
        before = optim.param_groups[0]["lr"]
        growth = grown(grower, optimizer=optim, averages=average)
        assert optim.param_groups[0]["lr"] == before
        assert growth.widths != growth.widths_before
        assert torch.allclose(average(INPUTS), kept, atol=1e-3)  # but for the step along the plan's directions
    shapes = [parameter.shape for parameter in average.parameters()]
    assert shapes == [parameter.shape for parameter in model.parameters()]
    step()


def test_several_optimizers_of_one_model_all_go_on() -> None:
    model = network()
    first, second = SGD(model[0].parameters(), lr=0.1), Adam(model[5].parameters(), lr=0.1)
    rest = SGD([*model[1].parameters(), *model[7].parameters()], lr=0.1)
    grown(Grower(model, INPUTS[:1], "net2net"), optimizer=[first, second, rest])
    own = {id(parameter) for parameter in model.parameters()}
    for one in (first, second, rest):
        assert {id(parameter) for group in one.param_groups for parameter in group["params"]} <= own


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)])
def test_growing_inside_a_hook_that_has_gradients_off_is_the_same(mode: Callable[[], Any]) -> None:
    model = network()
    grower = Grower(model, INPUTS[:1], "s2d")
    with mode():
        growth = grown(grower)
    assert growth.predicted_drop == grown(Grower(network(), INPUTS[:1], "s2d")).predicted_drop
    trained(model, SGD(model.parameters(), lr=0.1))  # nothing of it is an inference tensor


def test_a_grower_is_kept_and_goes_on_with_the_same_numbers() -> None:
    model = network()
    grower = Grower(model, INPUTS[:1], "s3d", c=1.5)
    grown(grower)
    state = {**grower.state_dict(), "model": copy.deepcopy(model.state_dict())}
    again = Grower(network(seed=9), INPUTS[:1], "s3d", c=1.5)
    again.load_state_dict(state)
    assert again.widths == grower.widths
    assert torch.equal(again.model(INPUTS), model(INPUTS))
    one, two = grown(grower), grown(again)
    assert one.widths == two.widths
    assert one.predicted_drop == two.predicted_drop
    assert all(torch.equal(again.lineage[name], shares) for name, shares in grower.lineage.items())


class Twice:
    """Splits the first neuron of each group once."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        if max(context.widths.values()) > 6:
            return GrowthPlan()
        return GrowthPlan(tuple(Split(group, 0, (0.5, 0.5)) for group in context.groups))


def test_a_method_may_be_an_object() -> None:
    assert grown(Grower(network(), INPUTS[:1], Twice()), ratio=3.0).widths == {"0": 5, "5": 7}


class Trainer:
    """As Lightning's does: asks the module for its optimisers, and may be told to ask again."""

    def __init__(self, module: nn.Module, on_epoch_end: Callable[[Trainer], object]) -> None:
        self.module, self.on_epoch_end = module, on_epoch_end
        self.optimizers = self.configured()

    def configured(self) -> list[Optimizer]:
        return [Adam(self.module.parameters(), lr=1e-2)]

    def fit(self, epochs: int) -> float:
        for _ in range(epochs):
            loss = trained(self.module, self.optimizers[0])
            self.on_epoch_end(self)
        return loss


def test_a_loop_that_makes_its_optimizers_anew_grows_too() -> None:
    model = network()
    grower = Grower(model, INPUTS[:1], "s2d")

    def grow(trainer: Trainer) -> None:
        grown(grower)
        trainer.optimizers = trainer.configured()

    losses = [Trainer(model, grow).fit(epochs) for epochs in (1, 3)]
    assert losses[1] < losses[0]
    assert grower.events == 4


# -- what does not suit ------------------------------------------------------------------------------------------------

STALE = "one of 8 parameters"


def stepped(model: nn.Module, kind: Callable[..., Optimizer]) -> Optimizer:
    optimizer = kind(model.parameters(), lr=1e-2)
    trained(model, optimizer)
    return optimizer


BROKEN: dict[str, tuple[Callable[[nn.Module], dict[str, Any]], str]] = {
    "sum": (lambda _: {"loss": nn.CrossEntropyLoss(reduction="sum")}, "loss=.*expected the mean over the examples"),
    "none": (lambda _: {"loss": nn.CrossEntropyLoss(reduction="none")}, r"loss=shape \(64,\)"),
    "weights": (lambda _: {"loss": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2, 9]))}, "no sum, no weights"),
    "no loss": (lambda _: {"loss": None}, "loss=None: expected a function"),
    "loss that raises": (
        lambda _: {"loss": lambda outputs, targets: outputs @ targets},
        "^loss of outputs of torch.float32, .*: RuntimeError",
    ),
    "targets short": (lambda _: {"targets": TARGETS[:5]}, r"targets=shape \(5,\): expected one for each of 240"),
    "no targets": (lambda _: {"targets": None}, "targets=NoneType"),
    "inputs' shape": (lambda _: {"inputs": INPUTS[:, 0]}, "inputs=shape .*expected the shape that was read"),
    "inputs' dtype": (lambda _: {"inputs": INPUTS.double()}, "inputs=torch.float64: expected the dtype"),
    "inputs' device": (lambda _: {"inputs": INPUTS.to("meta")}, "inputs=meta: expected the model's device, cpu"),
    "targets' device": (lambda _: {"targets": TARGETS.to("meta")}, "targets=meta: expected the inputs' device"),
    "a single target": (lambda _: {"targets": torch.tensor(1)}, r"targets=shape \(\): expected one for each of 240"),
    "no batches": (lambda _: {"inputs": [], "targets": None}, "inputs=no batch"),
    "batches of other inputs": (
        lambda _: {"inputs": [(INPUTS, TARGETS), (INPUTS[:3, :, 1:], TARGETS[:3])], "targets": None},
        r"inputs=batches of shape \(240, 1, 8, 8\) and \(3, 1, 7, 8\): expected the same shape in all",
    ),
    "batches of other targets": (
        lambda _: {"inputs": [(INPUTS, TARGETS), (INPUTS[:3], TARGETS[:3, None])], "targets": None},
        r"targets=batches of shape \(240,\) and \(3, 1\): expected the same shape in all",
    ),
    "batches of single targets": (
        lambda _: {"inputs": [(INPUTS[:1], TARGETS[0])], "targets": None},
        r"targets=batches of shape \(\): expected the same shape in all",
    ),
    "batches on two devices": (
        lambda _: {"inputs": [(INPUTS, TARGETS), (INPUTS.to("meta"), TARGETS)], "targets": None},
        "inputs: ",
    ),
    "no epochs": (lambda _: {"epochs": None}, "epochs=None: expected a whole number of at least 0"),
    "epochs as text": (lambda _: {"epochs": "3"}, "epochs=3: expected a whole number of at least 0"),
    "batches of one": (lambda _: {"inputs": [INPUTS], "targets": None}, "inputs=batches of Tensor"),
    "ratio": (lambda _: {"ratio": 1.0}, "ratio=1.0: expected a finite number above 1"),
    "budget": (
        lambda _: {"ratio": None, "budget": 17},
        "budget=17: expected a number of at least .*, 291",
    ),
    "both": (lambda _: {"budget": 1e4}, "ratio=1.6: expected a number above 1, or None and a budget"),
    "neither": (lambda _: {"ratio": None}, "ratio=None"),
    "averages": (lambda _: {"averages": nn.Linear(2, 2)}, "averages=Linear: expected a copy of the model"),
    "another's optimizer": (lambda _: {"optimizer": SGD(network().parameters(), lr=1.0)}, "optimizer=one of 8 param"),
    "no optimizer": (lambda model: {"optimizer": [model]}, "optimizer=Sequential: expected a torch.optim.Optimizer"),
    "scheduler": (
        lambda model: {"optimizer": torch.optim.lr_scheduler.ExponentialLR(SGD(model.parameters(), lr=1.0), 0.9)},
        "optimizer=ExponentialLR: expected a torch.optim.Optimizer",
    ),
    "optimizer as average": (
        lambda model: {"averages": SGD(model.parameters(), lr=1.0)},
        "averages=SGD: expected a tor",
    ),
    "ratio as text": (lambda _: {"ratio": "2"}, "ratio=2: expected a finite number above 1"),
    "budget as text": (lambda _: {"ratio": None, "budget": "20k"}, "budget=20k: expected a number of at least"),
    "NaN": (lambda _: {"inputs": torch.full_like(INPUTS, torch.nan)}, "inputs=NaN or infinite ones"),
    "dictionaries": (lambda _: {"inputs": [{"x": INPUTS}], "targets": None}, r"batches of dict: .* for b in loader"),
    "no gradient": (lambda _: {"loss": lambda o, t: (o.argmax(1) == t).float().mean()}, "loss=one without a gradient"),
    "pairs": (lambda _: {"loss": lambda o, t: F.mse_loss(o[:, :1], t.float())}, r"outputs are of shape \(64, 3\)"),
    "single precision": (
        lambda _: {"loss": nn.CrossEntropyLoss(weight=torch.ones(3))},
        "^loss of outputs of torch.float64, .*expected scalar type Double",
    ),
    "hidden parameters": (lambda model: {"optimizer": torch.optim.LBFGS(model.parameters())}, "optimizer=LBFGS"),
    "unknown state": (
        lambda model: {"optimizer": stepped(model, torch.optim.Adadelta)},
        "optimizer state acc_delta|av",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_suit_is_said_in_one_line_and_changes_nothing(case: str) -> None:
    model = network()
    grower = Grower(model, INPUTS[:1], "s2d")
    make, message = BROKEN[case]
    arguments = {"inputs": INPUTS, "targets": TARGETS, "loss": F.cross_entropy, "ratio": 1.6, **make(model)}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(bench.BenchError, match=message) as raised:
        grower.grow(arguments.pop("inputs"), arguments.pop("targets"), arguments.pop("loss"), **arguments)
    assert "\n" not in str(raised.value)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert grower.events == 0
    assert not grower.history


class Branches(nn.Module):
    """Goes another way by what its inputs are."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Its output."""
        made: Tensor = self.layer(x) if x.sum() > 0 else x
        return made


UNSUITED: dict[str, tuple[Callable[[], Iterable[Any]], dict[str, Any], str]] = {
    "a class": (
        lambda: (network(), INPUTS),
        {"method": Twice},
        r"^method=Twice: expected a method's name, or an object .*; this is a class, Twice\(\.\.\.\) is an object$",
    ),
    "no such method": (lambda: (network(), INPUTS), {"method": "nope"}, "method=nope: expected one of"),
    "no such option": (
        lambda: (network(), INPUTS),
        {"method": "s3d", "k": 2},
        "k=2: expected an option of s3d, c, cap, rank, or of Grower",
    ),
    "misspelt": (
        lambda: (network(), INPUTS),
        {"epsilonn": 1},
        r"epsilonn=1: .*or of Grower \(did you mean epsilon\?\)",
    ),
    "engine's": (lambda: (network(), INPUTS), {"engine_options": 3}, "growth.engine_options=3"),
    "seed": (lambda: (network(), INPUTS), {"seed": "a"}, "seed=a: expected a whole number"),
    "build": (lambda: (network(), INPUTS), {"build": 3}, "build=3: expected a function"),
    "lazy": (
        lambda: (nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 2)), torch.randn(2, 5)),
        {},
        "have their sizes; lazy",
    ),
    "value": (lambda: (network(), INPUTS), {"method": "s3d", "c": 0.5}, "method.c=0.5"),
    "step": (lambda: (network(), INPUTS), {"epsilon": -1}, "growth.epsilon=-1"),
    "type": (lambda: (network(), INPUTS), {"memory": "much"}, "growth.memory=much"),
    "cost": (lambda: (network(), INPUTS), {"cost": "joules"}, "growth.cost=joules: expected one of"),
    "no method": (lambda: (network(), INPUTS), {"method": 3}, "method=int"),
    "options of an object": (lambda: (network(), INPUTS), {"method": Twice(), "c": 2}, "c=2"),
    "no module": (lambda: (abs, INPUTS), {}, "model=builtin_function_or_method: expected a torch.nn.Module"),
    "compiled": (lambda: (torch.compile(network()), INPUTS), {}, "model=torch.compile"),
    "wrapped": (lambda: (nn.DataParallel(network()), INPUTS), {}, "model=DataParallel"),
    "half": (lambda: (network().bfloat16(), INPUTS.bfloat16()), {}, "float32 or float64; 0.weight has torch.bfloat16"),
    "no batch": (lambda: (nn.Linear(8, 8), torch.randn(8)), {}, "inputs=shape .*expected a batch"),
    "other inputs": (lambda: (network(), torch.randn(2, 3, 8, 8)), {}, "the model cannot be read on inputs of shape"),
    "data in branches": (lambda: (Branches(), torch.randn(2, 4)), {}, "the model cannot be read"),
    "nothing to grow": (lambda: (nn.Linear(8, 8), torch.randn(2, 8)), {}, "nothing of the model can grow"),
    "frozen": (lambda: (network().requires_grad_(False), INPUTS), {}, "model=Sequential: expected parameters that are"),
}


@pytest.mark.parametrize("case", UNSUITED)
def test_a_network_or_option_that_does_not_suit_is_said_in_one_line(case: str) -> None:
    make, options, message = UNSUITED[case]
    with pytest.raises(bench.BenchError, match=message) as raised:
        Grower(*make(), **options)
    assert "\n" not in str(raised.value)


class Single(nn.Module):
    """Makes tensors of its own in single precision."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(64, 5), nn.Linear(3, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        state = self.two(torch.ones(len(x), 3))
        found: Tensor = self.head(torch.tanh(self.one(x.flatten(1).float()) + state))
        return found


@pytest.mark.parametrize("method", ["s2d", "s3d", "net2net", "firefly"])
def test_a_network_that_single_precision_is_written_into_grows_too(method: str) -> None:
    torch.manual_seed(0)
    grower = Grower(Single(), INPUTS[:1], method)
    result = grown(grower)
    assert result.record.splits + result.record.births > 0
    assert 0 <= result.record.function_gap <= 1e-3


CHANGES: dict[str, tuple[Callable[[nn.Module], object], str]] = {
    "frozen": (lambda model: model[0].requires_grad_(False), "0.weight has changed in shape, dtype or requires_grad"),
    "grown": (lambda model: grown(Grower(model, INPUTS[:1], "s2d")), "has changed in shape"),
    "other type": (lambda model: model.double(), "0.weight has changed in shape, dtype"),
    "another layer": (lambda model: model.append(nn.Linear(3, 3)), "8.weight has changed in parameters"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_model_that_has_changed_since_it_was_read_is_refused(case: str) -> None:
    """Nothing frozen grows, and nothing grows by another's widths."""
    model = network()
    grower = Grower(model, INPUTS[:1], "s2d")
    change, message = CHANGES[case]
    change(model)
    before = [tuple(parameter.shape) for parameter in model.parameters()]
    for ask in (grown, lambda one: one.plan(INPUTS, TARGETS, F.cross_entropy, ratio=1.5)):
        with pytest.raises(bench.BenchError, match=rf"^model=Sequential: .*{message}.*; make a new Grower of it$"):
            ask(grower)
    assert [tuple(parameter.shape) for parameter in model.parameters()] == before


def test_what_somebody_gave_a_parameter_goes_on_with_it() -> None:
    model, seen = network(), list[str]()
    for name, parameter in model.named_parameters():
        parameter.own = name  # type: ignore[attr-defined]
        parameter.register_hook(lambda _, name=name: seen.append(name))
        parameter.register_post_accumulate_grad_hook(lambda _, name=name: seen.append(name))
    grown(grower := Grower(model, INPUTS[:1], "s2d"))
    Grower(network(), INPUTS[:1], "s2d").load_state_dict(grower.state_dict())
    assert all(parameter.own == name for name, parameter in model.named_parameters())
    seen.clear()
    F.cross_entropy(model(INPUTS), TARGETS).backward()
    assert sorted(seen) == sorted([name for name, _ in model.named_parameters()] * 2)


def test_starting_afresh_needs_to_know_how() -> None:
    model = network()
    grower = Grower(model, INPUTS[:1], "static")
    with pytest.raises(bench.BenchError, match="build=FUNCTION"):
        grown(grower)
    assert grower.widths == grower.seed_widths


class Failing:
    """Raises once; counts on its class, as a method starts each event as it was made."""

    tries = 0

    def propose(self, context: GrowthContext) -> GrowthPlan:
        Failing.tries += 1
        if Failing.tries == 1:
            raise RuntimeError("not yet")
        return GrowthPlan()


def test_an_event_that_fails_counts_no_training_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Failing, "tries", 0)
    grower = Grower(network(), INPUTS[:1], Failing())
    with pytest.raises(bench.BenchError, match="not yet"):
        grown(grower, epochs=3)
    assert not grower.history
    grown(grower, epochs=3)
    assert [one.epochs for one in grower.history] == [3]


@pytest.mark.parametrize("recipe", [None, 10])
def test_a_control_that_is_trained_for_as_long_as_it_asks_matches_what_growing_spends(recipe: int | None) -> None:
    grower = Grower(network(), INPUTS[:1], "static_matched", build=network)
    macs, trained, asked = [grower.costs["macs"]], 10, []
    for _ in range(4):
        growth = grown(grower, epochs=trained, recipe=recipe)
        macs.append(growth.after["macs"])
        asked.append(trained := growth.plan.epochs)
    assert asked == [round(10 * sum(macs[: k + 1]) / macs[k + 1]) + 10 for k in range(4)]
    assert [one.epochs for one in grower.history] == [10, *asked[:3]]


class Exp(nn.Module):
    """Overflows after long steps."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm, self.two = nn.Linear(64, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.two(torch.exp(self.norm(self.one(x.flatten(1)))))


class Later:
    """Splits, then does something else on the grown network."""

    def __init__(self, then: Callable[[GrowthContext], GrowthPlan]) -> None:
        self.rounds, self.then = 0, then

    def propose(self, context: GrowthContext) -> GrowthPlan:
        self.rounds += 1
        if self.rounds > 1:
            return self.then(context)
        return GrowthPlan(tuple(Split(group, 0, (1.5, -0.5)) for group in context.groups))


def raising(context: GrowthContext) -> GrowthPlan:
    raise RuntimeError("not again")


def no_split(context: GrowthContext) -> GrowthPlan:
    return GrowthPlan(tuple(Split(group, 0, (1.0, 1.0)) for group in context.groups))


def scaled_and_raising(context: GrowthContext) -> GrowthPlan:
    """In place, of a group that does not grow."""
    first, second = context.groups
    if context.widths[first.name] == 5:
        return GrowthPlan((Split(first, 0, (0.5, 0.5)),), scale={second.name: 0.5})
    raise RuntimeError("not again")


FAILING: dict[str, tuple[Callable[[], nn.Module], Any, dict[str, Any], str]] = {
    "a long step": (Exp, "s2d", {"epsilon": 1000.0}, "^the loss became (nan|inf) by growing with growth.epsilon=1000"),
    "a second plan that raises": (network, lambda: Later(raising), {}, "method=Later: RuntimeError: not again"),
    "a second plan that is none": (network, lambda: Later(no_split), {}, "sum to 2; expected 1"),
    "a third plan": (network, lambda: Later(scaled_and_raising), {}, "method=Later: RuntimeError: not again"),
    "a second plan without state": (
        network,
        lambda: Later(raising),
        {"optimizer_state": "reset"},
        "method=Later: RuntimeError: not again",
    ),
}


@pytest.mark.parametrize("case", FAILING)
def test_an_event_that_fails_undoes_what_it_has_grown(case: str) -> None:
    """The same parameters with the same values are in the network, its average and the optimiser, and all go on."""
    make, method, options, message = FAILING[case]
    torch.manual_seed(0)
    model = make()
    optim, average = Adam(model.parameters(), lr=1e-2), AveragedModel(model, use_buffers=True)
    trained(model, optim, lambda: average.update_parameters(model))
    grower = Grower(model, INPUTS[:1], method if isinstance(method, str) else method(), **options)
    held = [*model.parameters(), *model.buffers(), *average.parameters(), *average.buffers()]
    values, state = copy.deepcopy(held), copy.deepcopy(optim.state_dict())
    sizes, lineage = [str(module) for module in model.modules()], dict(grower.lineage)
    with pytest.raises(bench.BenchError, match=message) as raised:
        grown(grower, optimizer=optim, averages=average, ratio=4.0)
    assert "\n" not in str(raised.value)
    now = [*model.parameters(), *model.buffers(), *average.parameters(), *average.buffers()]
    assert all(one is two for one, two in zip(now, held, strict=True))
    assert all(torch.equal(one, two) for one, two in zip(now, values, strict=True))
    assert [str(module) for module in model.modules()] == sizes
    torch.testing.assert_close(optim.state_dict(), state, rtol=0, atol=0)
    assert grower.lineage == lineage
    assert (grower.events, grower.widths) == (0, grower.seed_widths)
    trained(model, optim)
    grower.method, grower.config = Twice(), replace(grower.config, epsilon=0.01)
    assert grown(grower, optimizer=optim, averages=average).widths != grower.seed_widths
    trained(model, optim, lambda: average.update_parameters(model))


EXHAUSTING: dict[str, Callable[[], object]] = {
    "of Python": lambda: bytearray(2**60),
    "of NumPy": lambda: np.empty(2**58),
    "of PyTorch": lambda: torch.empty(2**58),
    "of a GPU": lambda: _raise(torch.OutOfMemoryError("CUDA out of memory. Tried\nto allocate")),
    "of a driver": lambda: _raise(RuntimeError("CUDA error: out of memory\nCompile with")),
    "of a library": lambda: _raise(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling")),
}


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("case", EXHAUSTING)
def test_memory_that_a_method_uses_up_is_said_in_one_line_with_what_helps(case: str) -> None:
    method = Later(lambda context: EXHAUSTING[case]())  # type: ignore[arg-type, return-value]
    grower = Grower(network(), INPUTS[:1], method)
    less = "a lower growth.memory or growth.sample needs less"
    with pytest.raises(bench.BenchError, match=f"^method=Later: ran out of memory while growing; {less}$"):
        grown(grower, ratio=4.0)
    assert (grower.events, grower.widths) == (0, grower.seed_widths)


def test_a_method_that_speaks_of_memory_has_not_used_it_up() -> None:
    grower = Grower(network(), INPUTS[:1], Later(lambda context: _raise(KeyError("out of memory"))))  # type: ignore[arg-type]
    with pytest.raises(bench.BenchError, match=r"^method=Later: KeyError: 'out of memory'"):
        grown(grower, ratio=4.0)


def test_a_state_of_another_network_is_refused() -> None:
    grower = Grower(network(), INPUTS[:1])
    other = Grower(nn.Sequential(nn.Linear(4, 4), nn.SiLU(), nn.Linear(4, 2)), torch.randn(2, 4))
    with pytest.raises(bench.BenchError, match="another network"):
        grower.load_state_dict(other.state_dict())
    with pytest.raises(bench.BenchError, match=r"the state has no model; expected what Grower.state_dict\(\) gave"):
        grower.load_state_dict({})


def test_the_package_offers_its_names_and_loads_neither_torch_nor_hydra_alone() -> None:
    code = (
        "import sys, bench; assert 'torch' not in sys.modules; bench.Grower; "
        "assert 'hydra' not in sys.modules; assert set(bench.__all__) <= set(dir(bench))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="nothing"):
        _ = bench.nothing
