"""A plan that no surgery can carry out is answered with one line that says why."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.core.errors import PlanError
from bench.network.plan import GrowthPlan, Split, by_group, validate
from tests.nets import bare, named

GRAPH = named("mlp").graph()
GROUP = GRAPH.groups["0"]
UNIT = torch.tensor([[1.0, 0, 0, 0, 0], [-1, 0, 0, 0, 0]])
GOOD = Split(GROUP, 1, (0.5, 0.5), UNIT)


def check(*splits: Split) -> None:
    validate(GrowthPlan(splits), GRAPH.model, GRAPH.groups)


def test_good_plans_pass() -> None:
    check()
    check(GOOD, replace(GOOD, neuron=0), Split(GRAPH.groups["2"], 3, (2.0, -0.5, -0.5)))
    check(replace(GOOD, weights=(0.1,) * 10, directions=None))
    check(replace(GOOD, weights=(2, -1), gain=-1))  # whole numbers are numbers


BAD = {
    "split of 0[5]: expected a neuron from 0 to 4": [replace(GOOD, neuron=5)],
    "split of 0[-1]: expected a neuron from 0 to 4": [replace(GOOD, neuron=-1)],
    "split of 0[1]: the neuron is split twice in one plan": [GOOD, GOOD],
    "split of 0[1]: 1 offspring; expected at least 2": [Split(GROUP, 1, (1.0,))],
    "split of 0[1]: 0 offspring; expected at least 2": [Split(GROUP, 1, ())],
    "sum to 1.1; expected 1": [replace(GOOD, weights=(0.5, 0.6))],
    "sum to nan; expected 1": [replace(GOOD, weights=(0.5, float("nan")))],
    "directions of shape (2, 4); expected (2, 5)": [replace(GOOD, directions=UNIT[:, :4])],
    "directions of shape (2, 5); expected (3, 5)": [replace(GOOD, weights=(0.5, 0.25, 0.25))],
    "a direction has length 1.5; expected at most 1": [replace(GOOD, directions=1.5 * UNIT)],
    "a direction has length nan; expected at most 1": [replace(GOOD, directions=UNIT * float("nan"))],
    "a direction has length inf; expected at most 1": [replace(GOOD, directions=UNIT + torch.inf)],
    "split of 0[0.0]: the neuron is a float; expected an int": [replace(GOOD, neuron=0.0)],
    "split of 0[True]: the neuron is a bool; expected an int": [replace(GOOD, neuron=True)],
    "the neuron is a int64; expected an int": [replace(GOOD, neuron=np.int64(1))],
    "the neuron is a Tensor; expected an int": [replace(GOOD, neuron=torch.tensor(1))],
    "a gain of tensor(-1.); expected a finite number, or None": [replace(GOOD, gain=torch.tensor(-1.0))],
    "a gain of True; expected a finite number, or None": [replace(GOOD, gain=True)],
    "expected a tuple of ints and floats": [replace(GOOD, weights=(torch.tensor(0.5), torch.tensor(0.5)))],
    "the weights tensor([0.5000, 0.5000]); expected a tuple": [replace(GOOD, weights=torch.tensor([0.5, 0.5]))],
    "directions of torch.int64; expected a tensor of floating": [replace(GOOD, directions=UNIT.long())],
    "directions of list; expected a tensor of floating": [replace(GOOD, directions=UNIT.tolist())],
    "the plan has a tuple among its splits": [(GROUP, 1)],
    "the plan has a Split among its splits; expected a Split of a Group": [replace(GOOD, group="0")],
    "the plan grows group other: expected one of 0, 2": [Split(bare("other"), 0, (0.5, 0.5))],
}


@pytest.mark.parametrize("message", BAD)
def test_bad_plans_are_answered_with_one_line(message: str) -> None:
    with pytest.raises(PlanError, match=re.escape(message)) as error:
        check(*BAD[message])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (GrowthPlan(epochs=True), "the plan asks for True epochs"),
        (GrowthPlan(epochs=10**12), "the plan asks for 1000000000000 epochs"),
        (GrowthPlan(restart=1), "the plan's restart is 1"),
        (GrowthPlan(stopped=3), "the plan's stopped is 3"),
        (GrowthPlan(notes={"x": torch.tensor(1.0)}), "the plan's note 'x' is tensor"),
        (GrowthPlan(notes={"x": True}), "the plan's note 'x' is True"),
    ],
)
def test_a_plan_is_of_plain_numbers(plan: GrowthPlan, message: str) -> None:
    with pytest.raises(PlanError, match=re.escape(message)):
        validate(plan, GRAPH.model, GRAPH.groups)


def test_a_group_of_another_network_is_refused() -> None:
    with pytest.raises(PlanError, match="the plan grows group 0"):
        check(replace(GOOD, group=named("norm").graph().groups["0"]))


def test_sums_of_a_plan() -> None:
    splits = (replace(GOOD, gain=-2.0), Split(GRAPH.groups["2"], 0, (1.0, 1.0, -1.0), gain=-1.0))
    plan = GrowthPlan(splits)
    assert plan.added() == {"0": 1, "2": 2}
    assert plan.has_directions
    assert plan.predicted_change(0.1) == pytest.approx(-0.015)
    assert GrowthPlan((*splits, replace(GOOD, neuron=2))).predicted_change(0.1) is None
    assert GrowthPlan().predicted_change(0.1) is None
    assert not GrowthPlan((Split(GROUP, 0, (0.5, 0.5)),)).has_directions
    assert [list(by_group(plan.splits)), len(by_group(plan.splits)["2"])] == [["0", "2"], 1]
