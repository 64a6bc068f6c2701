"""Retraining the widths that another method grew, and warm starts without growing: whole runs on the digits."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.errors import BenchError, ConfigError, Refused
from bench.core.record import RunRecord, RunState
from bench.growth.condition import Condition, condition
from bench.growth.grower import Grower
from bench.growth.method import Trained, has_step
from bench.run import protocol
from bench.run.cell import run_folder
from bench.run.command import run
from bench.run.protocol import Run
from tests.methods.made import context_of, method
from tests.nets import named
from tests.runs import Fatal, Killed, numbers, options, prepared

ALWAYS = "checkpoint_seconds=0"


def made(folder: Path, *overrides: str) -> RunRecord:
    """The record of a command line."""
    return run(options(folder, *overrides), quiet=True)


# -- retrain -----------------------------------------------------------------------------------------------------------


def test_retrain_takes_the_other_s_widths_which_are_grown_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[str] = []
    own = Run.execute
    monkeypatch.setattr(Run, "execute", lambda self: (executed.append(self.settings.name("method")), own(self))[1])
    again = made(tmp_path, "method=retrain", "method.of=random_split")
    grown = made(tmp_path, "method=random_split")
    assert executed == ["retrain", "random_split"]  # what is followed is made inside, and is that method's own run
    assert [stage.widths for stage in again.stages] == [stage.widths for stage in grown.stages]
    assert again.stages[-1].widths != again.stages[0].widths
    assert [stage.epochs for stage in again.stages] == [2, 2, 2]
    assert all(stage.growth is not None and stage.growth.restart for stage in again.stages[1:])
    assert numbers(again)["stages"][0] == numbers(grown)["stages"][0]
    assert numbers(again)["stages"][1] != numbers(grown)["stages"][1]

    matched = made(tmp_path, "method=retrain", "method.of=random_split", "method.epochs=matched")
    assert executed == ["retrain", "random_split", "retrain"]
    macs = [stage.costs["macs"] for stage in grown.stages]
    expected = [2, *(round(sum(2 * m for m in macs[:k]) / macs[k]) + 2 for k in (1, 2))]
    assert [stage.epochs for stage in matched.stages] == expected
    assert expected == [2, 3, 4]
    assert [stage.widths for stage in matched.stages] == [stage.widths for stage in grown.stages]


def test_retrain_follows_with_the_options_that_are_given(tmp_path: Path) -> None:
    ladder = ("growth.stages=1", "growth.ratio=4", "train.epochs=0", "seed=1")
    one = made(tmp_path, "method=retrain", "method.of=random_birth", "method.options={where:random}", *ladder)
    two = made(tmp_path, "method=random_birth", "method.where=random", *ladder)
    other = made(tmp_path, "method=random_birth", *ladder)
    assert one.stages[1].widths == two.stages[1].widths != other.stages[1].widths


def test_a_killed_retrain_goes_on_with_the_same_numbers(tmp_path: Path) -> None:
    chosen = ("method=retrain", "method.of=random_split", ALWAYS)
    undisturbed = prepared(tmp_path / "a", *chosen).execute()
    with pytest.raises(Killed):
        prepared(tmp_path / "b", *chosen, callback=Fatal(4)).execute()
    assert numbers(prepared(tmp_path / "b", *chosen).execute()) == numbers(undisturbed)


def test_retrain_says_which_methods_and_options_there_are() -> None:
    with pytest.raises(ConfigError, match=r"^method\.of=unknown: expected one of .*s2d"):
        method("retrain", of="unknown")
    with pytest.raises(ConfigError, match=r"^method\.epochs=all: expected one of recipe, matched"):
        method("retrain", epochs="all")
    with pytest.raises(ConfigError, match=r"method\.rank=best"):
        method("retrain", of="s2d", options={"rank": "best"})
    assert has_step(method("retrain", of="s2d"))
    assert not has_step(method("retrain", of="senn"))


def test_retrain_declines_where_nothing_was_run_for_it_or_the_other_declines(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="retrain takes the widths of a run of s2d"):
        method("retrain").propose(context_of(named("mlp")))
    network = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.SiLU(), torch.nn.Linear(5, 3))
    with pytest.raises(BenchError, match="retrain takes the widths"):
        Grower(network, torch.randn(2, 4), "retrain", build=lambda: copy.deepcopy(network)).grow(
            torch.randn(9, 4), torch.arange(9) % 3, torch.nn.functional.cross_entropy, ratio=2.0
        )
    refused = made(tmp_path, "method=retrain", "method.of=tiny", "backbone=mlp", "backbone.activation=softplus")
    assert refused.status is RunState.REFUSED
    assert refused.reason is not None
    assert refused.reason.startswith("tiny declines: no layer whose null neurons put out nothing")


def test_a_failure_of_the_other_s_run_is_told_as_such(tmp_path: Path) -> None:
    chosen = options(tmp_path, "method=retrain", "method.of=net2net", "train.lr=1e12")
    with pytest.raises(BenchError, match=r"train\.lr"):
        run(chosen)
    assert run_folder(chosen).standing().state is RunState.FAILED
    reason = run_folder(chosen).standing().record.reason  # type: ignore[union-attr]
    assert reason is not None
    assert reason.startswith("the run that this one follows: ")


def test_a_followed_run_that_failed_is_done_again_where_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Run) -> None:
        raise BenchError("no luck")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_grow", fails)
        with pytest.raises(BenchError, match="no luck"):
            made(tmp_path, "method=s2d")
    chosen = ("method=retrain", "method.of=s2d")
    with pytest.raises(BenchError, match="the run that this one follows: this run failed before: no luck"):
        made(tmp_path, *chosen)
    assert made(tmp_path, *chosen, "rerun=failed").status is RunState.DONE
    other = run_folder(options(tmp_path, "method=s2d")).record_path
    written = other.stat().st_mtime_ns
    for rerun in ("failed", "all"):
        made(tmp_path, *chosen, f"rerun={rerun}")
    assert other.stat().st_mtime_ns == written  # what has ended well is not done again with what follows it


def test_what_a_followed_run_cannot_go_on_from_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Killed):
        prepared(tmp_path, "method=s2d", ALWAYS, callback=Fatal(4)).execute()
    chosen = options(tmp_path, "method=retrain", "method.of=s2d")
    monkeypatch.setattr(protocol, "NUMERICS", protocol.NUMERICS + 1)
    with pytest.raises(BenchError, match=r"the run that this one follows: .* made before this changed: the suite's"):
        run(chosen, quiet=True)
    for one in (chosen, options(tmp_path, "method=s2d")):
        assert run_folder(one).standing().state is RunState.INTERRUPTED


# -- shrink and perturb without growing --------------------------------------------------------------------------------


def test_shrink_perturb_trains_as_long_as_static_matched_in_as_many_cycles_as_growing_had_stages() -> None:
    history = (Trained(1000.0, 7), Trained(2000.0, 99, 4), Trained(3000.0, 99, 4))
    for count in (1, 2, 3):
        context = context_of(named("norm"), history=history[:count], epochs=4)
        one, two = (method(name).propose(context) for name in ("shrink_perturb", "static_matched"))
        assert (one.epochs, one.cycles, two.cycles) == (two.epochs, count + 1, 1)
        assert one.added() == two.added()
        assert one.restart
    assert not has_step(method("shrink_perturb"))


def cycles(folder: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> tuple[RunRecord, list[Any]]:
    """A run, and each warm start of it: stage, cycle, epoch, the weights before and after, and what is drawn."""
    heard: list[Any] = []
    made_run = prepared(folder, "method=shrink_perturb", *overrides)
    own = Grower.warm_start

    def listen(self: Grower, stage: int, cycle: int) -> None:
        before = copy.deepcopy(self.model)
        own(self, stage, cycle)
        heard.append((stage, cycle, made_run.progress.epoch, before, copy.deepcopy(self.model)))

    monkeypatch.setattr(Grower, "warm_start", listen)
    record = made_run.execute()
    monkeypatch.undo()
    return record, heard


def test_the_network_is_shrunk_and_perturbed_between_cycles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, heard = cycles(tmp_path / "a", monkeypatch)
    matched = prepared(tmp_path / "b", "method=static_matched").execute()
    assert [s.epochs for s in record.stages] == [s.epochs for s in matched.stages]
    assert [s.widths for s in record.stages] == [s.widths for s in matched.stages]
    epochs = [stage.epochs for stage in record.stages]
    expected = [(1, 1, round(epochs[1] / 2)), (2, 1, round(epochs[2] / 3)), (2, 2, round(2 * epochs[2] / 3))]
    assert [one[:3] for one in heard] == expected
    fresh = []
    for *_, before, after in heard:
        drawn = [2 * a - b for a, b in zip(after.parameters(), before.parameters(), strict=True)]
        fresh.append(drawn[0].detach())
        for parameter in drawn:  # as a layer is drawn: of its own fan-in
            assert parameter.abs().max() < 1
            assert parameter.abs().max() > 0.01
    assert not torch.allclose(fresh[1], fresh[2])
    _, other = cycles(tmp_path / "c", monkeypatch, "growth.shrink=0.25", "growth.perturb=0.0")
    for *_, before, after in other:
        for a, b in zip(after.parameters(), before.parameters(), strict=True):
            assert torch.allclose(a, 0.25 * b)


@pytest.mark.parametrize("at", [5, 8])
def test_a_killed_warm_start_goes_on_with_the_same_numbers(at: int, tmp_path: Path) -> None:
    undisturbed = prepared(tmp_path / "a", "method=shrink_perturb").execute()
    total = sum(stage.epochs for stage in undisturbed.stages)
    assert total >= at
    with pytest.raises(Killed):
        prepared(tmp_path / "b", "method=shrink_perturb", ALWAYS, callback=Fatal(at)).execute()
    assert numbers(prepared(tmp_path / "b", "method=shrink_perturb", ALWAYS).execute()) == numbers(undisturbed)


def test_a_warm_start_is_what_conditioning_does() -> None:
    def build() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.SiLU(), torch.nn.Linear(5, 3))

    torch.manual_seed(0)
    grower = Grower(build(), torch.randn(2, 4), "net2net", build=build, seed=3)
    before = copy.deepcopy(grower.model)
    found = []
    for stage, cycle in ((1, 1), (1, 2), (2, 1), (1, 1)):
        grower.model.load_state_dict(before.state_dict())
        grower.warm_start(stage, cycle)
        found.append([p.detach().clone() for p in grower.model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(found[0], found[3], strict=True))
    assert not any(torch.equal(found[0][0], other[0]) for other in found[1:3])
    fresh = copy.deepcopy(before)
    with torch.no_grad():
        for own, a, b in zip(fresh.parameters(), found[0], before.parameters(), strict=True):
            own.copy_(2 * a - b)
    condition(before, fresh, Condition("shrink_perturb", 0.5, 0.5))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found[0], before.parameters(), strict=True))


def test_a_warm_start_without_conditioning_leaves_the_weights() -> None:
    def build() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.SiLU(), torch.nn.Linear(5, 3))

    grower = Grower(build(), torch.randn(2, 4), "net2net", build=build, condition="none")
    before = [p.detach().clone() for p in grower.model.parameters()]
    grower.warm_start(1, 1)
    assert all(torch.equal(a, b) for a, b in zip(before, grower.model.parameters(), strict=True))
