"""The two losses and their reductions against their formulas."""

import pytest
import torch

from bench.core.errors import ConfigError
from bench.train import loss_function


def losses(task, smoothing=0.0):
    """Outputs, targets, and the loss of each example from the formula."""
    torch.manual_seed(0)
    outputs = torch.randn(6, 4, dtype=torch.float64)
    if task == "regression":
        targets = torch.randn(6, 4, dtype=torch.float64)
        return outputs, targets, (outputs - targets).square().sum(1) / 4
    targets = torch.randint(4, (6,))
    wanted = torch.eye(4, dtype=torch.float64)[targets] * (1 - smoothing) + smoothing / 4
    return outputs, targets, -(wanted * outputs.log_softmax(1)).sum(1)


@pytest.mark.parametrize(("task", "smoothing"), [("classification", 0.0), ("classification", 0.1), ("regression", 0.0)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_loss_is_its_formula(task, smoothing, reduction):
    outputs, targets, expected = losses(task, smoothing)
    expected = expected if reduction == "none" else getattr(expected, reduction)()
    torch.testing.assert_close(loss_function(task, smoothing, reduction)(outputs, targets), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ranking",), "task=ranking"),
        (("regression", 0.1), r"train\.label_smoothing=0\.1: expected 0 for regression"),
        (("regression", 0.0, "max"), "reduction=max"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        loss_function(*arguments)
