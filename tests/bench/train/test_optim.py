"""Learning rates against PyTorch's schedulers, and which parameters decay."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

from bench.train import TrainConfig, learning_rate, make_optimizer


def scheduled(make_scheduler, lr, steps):
    """The learning rate of each step under one of PyTorch's schedulers."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = make_scheduler(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("steps", [1, 2, 7, 40, 101])
def test_cosine_is_pytorchs(steps):
    config = TrainConfig(lr=0.3, schedule="cosine")
    expected = scheduled(lambda optimizer: CosineAnnealingLR(optimizer, T_max=steps), 0.3, steps)
    assert [learning_rate(config, step, steps) for step in range(steps)] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("steps", "fractions", "milestones"),
    [(40, (0.5, 0.75), [20, 30]), (10, (0.1, 0.3, 0.7), [1, 3, 7]), (7, (0.5, 0.75), [4, 6]), (160, (0.5,), [80])],
)
def test_step_is_pytorchs(steps, fractions, milestones):
    config = TrainConfig(lr=0.3, schedule="step", milestones=fractions, decay=0.1)
    expected = scheduled(lambda optimizer: MultiStepLR(optimizer, milestones, gamma=0.1), 0.3, steps)
    assert [learning_rate(config, step, steps) for step in range(steps)] == pytest.approx(expected)


def test_constant_is_constant():
    assert {learning_rate(TrainConfig(lr=0.3, schedule="constant"), step, 9) for step in range(9)} == {0.3}


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_warmup_rises_in_equal_steps_to_the_peak(schedule):
    config = TrainConfig(lr=1.0, schedule=schedule, warmup=0.3)
    rates = [learning_rate(config, step, 10) for step in range(10)]
    assert rates[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert max(rates) == rates[3]


def test_warmup_leaves_a_step_of_a_short_stage():
    assert learning_rate(TrainConfig(lr=1.0, warmup=0.9), 0, 1) == 1.0


def net():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.LazyLinear(3))


def decays(model, config):
    """The weight decay of each parameter by name."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = make_optimizer(model, config).param_groups
    return {names[parameter]: group["weight_decay"] for group in groups for parameter in group["params"]}


@pytest.fixture
def model():
    built = net()
    built(torch.zeros(2, 1, 4, 4))
    return built


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_norm_weights_and_biases_do_not_decay(model, optimizer):
    found = decays(model, TrainConfig(optimizer=optimizer, weight_decay=0.01))
    assert found == {name: 0.01 if name in ("0.weight", "3.weight") else 0.0 for name, _ in model.named_parameters()}


def test_decay_norm_decays_all(model):
    found = decays(model, TrainConfig(weight_decay=0.01, decay_norm=True))
    assert found == dict.fromkeys(dict(model.named_parameters()), 0.01)


def test_frozen_parameters_are_left_out(model):
    model[0].requires_grad_(False)
    assert set(decays(model, TrainConfig())) == {"1.weight", "1.bias", "3.weight", "3.bias"}


@pytest.mark.parametrize(
    ("config", "reference"),
    [
        (
            TrainConfig(lr=0.1, weight_decay=0.01, nesterov=True, decay_norm=True),
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        ),
        (
            TrainConfig(optimizer="adam", momentum=0.8, weight_decay=0.01, decay_norm=True),
            lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.999), weight_decay=0.01),
        ),
        (
            TrainConfig(optimizer="adamw", weight_decay=0.01, decay_norm=True),
            lambda p: torch.optim.AdamW(p, lr=0.05, betas=(0.9, 0.999), weight_decay=0.01),
        ),
    ],
    ids=["sgd", "adam", "adamw"],
)
def test_steps_are_those_of_pytorchs_own_loop(config, reference):
    torch.manual_seed(0)
    ours, theirs = nn.Linear(4, 3).double(), nn.Linear(4, 3).double()
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(5, 4, dtype=torch.float64)
    for model, optimizer in [(ours, make_optimizer(ours, config)), (theirs, reference(theirs.parameters()))]:
        for _ in range(5):
            optimizer.zero_grad()
            model(inputs).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_steps_do_not_depend_on_memory_layout(optimizer):
    """Surgery may leave parameters as views and their state in another layout."""
    torch.manual_seed(0)
    storage, inputs = torch.randn(4, 8), torch.randn(5, 4)

    def weight_after_steps(weight, relayout):
        model = nn.Linear(4, 4)
        model.weight, model.bias = nn.Parameter(weight), None
        running = make_optimizer(model, TrainConfig(optimizer=optimizer))
        for _ in range(3):
            running.zero_grad()
            model(inputs).square().mean().backward()
            running.step()
            state = running.state[model.weight]
            state.update({key: relayout(value) for key, value in state.items() if value.ndim == 2})
        return model.weight.detach()

    plain = weight_after_steps(storage[:, :4].clone(), lambda state: state)
    strided = weight_after_steps(storage[:, :4], lambda state: state.T.contiguous().T)
    torch.testing.assert_close(strided, plain)
