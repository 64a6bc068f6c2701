"""Net2Net and the controls."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from bench.core.errors import ConfigError
from bench.core.identity import AFRESH
from bench.core.record import numbers
from bench.growth.method import Trained, has_step, unused
from bench.methods import registry
from bench.run.command import run
from tests.methods.made import context_of, method
from tests.nets import NETS, Net, named
from tests.runs import options


def test_net2net_shares_equally_and_displaces_replicas_only() -> None:
    context = context_of(named("two_consumers"), ratio=5.0)
    plan = method("net2net").propose(context)
    for split in plan.splits:
        k = len(split.weights)
        assert split.weights == (1 / k,) * k
        assert split.gain is None
        assert not split.directions[0].any()
        lengths = torch.linalg.vector_norm(split.directions[1:], dim=1)
        assert torch.allclose(lengths, torch.ones_like(lengths))
    assert max(len(split.weights) for split in plan.splits) > 2  # parents are drawn with replacement
    quiet = method("net2net", step=False).propose(context_of(named("two_consumers"), ratio=5.0))
    assert not quiet.has_directions
    assert Counter(s.group.name for s in quiet.splits).keys() == context.widths.keys()


def test_random_split_predicts_along_its_own_directions() -> None:
    context = context_of(named("norm"))
    for split in method("random_split").propose(context).splits:
        v = split.directions[0]
        assert float(torch.linalg.vector_norm(v)) == pytest.approx(1)
        assert torch.equal(split.directions[1], -v)
        matrix = context.operator(split.group).dense()[split.neuron]
        assert split.gain == pytest.approx(float(v @ matrix @ v))


@pytest.mark.parametrize("name", ["static", "static_matched"])
@pytest.mark.parametrize("net", NETS, ids=str)
def test_static_widens_in_proportion_and_fills_the_rung(name: str, net: Net) -> None:
    for ratio in (1.5, 6.0):
        context = context_of(net, ratio=ratio)
        plan = method(name).propose(context)
        assert plan.restart
        assert plan.predicted_change(0.1) is None
        widths = {k: n + plan.added().get(k, 0) for k, n in net.widths.items()}
        n = context.cost.vector(widths)
        assert context.cost.at(n) <= context.target
        assert context.cost.at(n) + context.cost.marginal(n).min() > context.target
        scale = max(widths[k] / net.widths[k] for k in widths)
        step = max(1 / n for n in net.widths.values())
        cheapest = min(context.cost.marginal(n))
        short = [k for k, m in zip(context.cost.groups, context.cost.marginal(n), strict=True) if m > cheapest]
        assert all(widths[k] / net.widths[k] > scale - 2 * step for k in widths if k not in short)


def test_static_goes_by_the_recipe_and_static_matched_by_what_was_spent() -> None:
    net = named("norm")
    history = (Trained(1000.0, 7), Trained(2000.0, 99, 4), Trained(3000.0, 99, 4))
    for name in ("static", "static_matched"):
        context = context_of(net, history=history, epochs=4)
        plan = method(name).propose(context)
        widths = {k: n + plan.added().get(k, 0) for k, n in net.widths.items()}
        macs = context.macs.of(widths)
        expected = {"static": None, "static_matched": round((7 * 1000 + 4 * 2000 + 4 * 3000) / macs) + 4}[name]
        assert plan.epochs == expected
    seed_only = context_of(net, history=history[:1], epochs=4)
    assert (
        method("static_matched").propose(seed_only).epochs
        == round(
            7000
            / seed_only.macs.of(
                {k: n + method("static").propose(seed_only).added().get(k, 0) for k, n in net.widths.items()}
            )
        )
        + 4
    )


def test_splits_of_static_are_spread_evenly() -> None:
    plan = method("static").propose(context_of(named("norm"), ratio=6.0))
    for name in ("0", "3"):
        copies = [len(s.weights) for s in plan.splits if s.group.name == name]
        assert max(copies) - min(copies) <= 1


def test_the_controls_say_that_they_have_no_step_and_take_no_options() -> None:
    without = {name for name in registry.names() if not has_step(method(name))}
    controls = {"static", "static_matched", "shrink_perturb"}
    assert without == {*controls, "gradmax", "random_birth", "senn", "tiny", "variance_transfer"}
    assert not has_step(method("net2net", step=False))
    for name in controls:
        assert registry[name].defaults() == {"name": name}
        with pytest.raises(ConfigError, match=r"^method\.step=False: expected one of no options"):
            method(name, step=False)


@pytest.mark.parametrize("name", ["static", "static_matched"])
def test_nothing_that_is_done_to_a_grown_network_changes_what_starts_afresh(name: str, tmp_path: Path) -> None:
    others = {
        "epsilon": 0.5,
        "epsilon_relative": True,
        "condition": "shrink_perturb",
        "shrink": 0.3,
        "perturb": 0.3,
        "optimizer_state": "reset",
    }
    assert tuple(others) == AFRESH
    assert unused(method(name)) == AFRESH
    given = [f"method={name}", "growth.stages=1", "train.epochs=1"]
    plain, other = (
        run(options(tmp_path / where, *given, *more), quiet=True)
        for where, more in [("plain", []), ("other", [f"growth.{key}={value}" for key, value in others.items()])]
    )
    assert numbers(plain) == numbers(other)


@pytest.mark.parametrize("name", ["static", "static_matched"])
def test_controls_take_copies_alone(name: str) -> None:
    plan = method(name).propose(context_of(named("norm"), ratio=3.0))
    assert plan.splits
    assert not plan.has_directions
