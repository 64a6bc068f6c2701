"""Evaluation against a slow computation, one example at a time in float64."""

import math

import pytest
import torch
from torch import nn

from bench.core.errors import ConfigError
from bench.train import evaluate


def slow(model, data, part):
    """Mean loss and accuracy, one example at a time, in float64."""
    model = model.double().eval()
    total, right = 0.0, 0
    for index in range(len(part)):
        inputs, targets = data.batch(part, torch.tensor([index]))
        outputs = model(inputs.double())[0].tolist()
        if data.task == "regression":
            total += sum((a - b) ** 2 for a, b in zip(outputs, targets[0].tolist(), strict=True)) / len(outputs)
        else:
            total += math.log(sum(math.exp(a) for a in outputs)) - outputs[targets.item()]
            right += outputs.index(max(outputs)) == targets.item()
    return total / len(part), right / len(part)


@pytest.mark.parametrize("batch_size", [1, 5, 1024])
def test_classification(images, batch_size):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    model(torch.randn(8, 2, 6, 6))
    metrics = evaluate(model, images, images.validation, batch_size=batch_size)
    loss, accuracy = slow(model, images, images.validation)
    assert metrics.loss == pytest.approx(loss, rel=1e-5)
    assert metrics.accuracy == accuracy


def test_regression_has_no_accuracy(curve):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    metrics = evaluate(model, curve, curve.test, batch_size=4)
    assert metrics.loss == pytest.approx(slow(model, curve, curve.test)[0], rel=1e-5)
    assert metrics.accuracy is None


def test_every_module_keeps_its_mode_and_statistics(images):
    model = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(72, 3)).train()
    model[0].eval()
    before = model[0].running_mean.clone()
    first, second = (evaluate(model, images, images.test) for _ in range(2))
    assert first == second
    assert [module.training for module in model.modules()] == [True, False, True, True, True]
    assert torch.equal(model[0].running_mean, before)


def test_bf16_is_close(images):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(72, 16), nn.SiLU(), nn.Linear(16, 3))
    exact, half = (evaluate(model, images, images.test, precision) for precision in ("fp32", "bf16"))
    assert half.loss == pytest.approx(exact.loss, rel=0.03)
    assert half.loss != exact.loss


def test_an_unknown_precision_is_named(images):
    with pytest.raises(ConfigError, match="precision=fp8: expected one of fp32, bf16"):
        evaluate(nn.Flatten(), images, images.test, "fp8")
