"""Runs whose last stage has a share of its own, whose stages end by a trigger, or whose newborn weights learn apart."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench.core.errors import ConfigError
from bench.core.record import RunRecord
from bench.curvature.sample import Sample
from bench.growth import diagnostics
from bench.network.graph import Graph
from tests.runs import Counting, Fatal, Killed, numbers, prepared

LONG = ("method=net2net", "growth.stages=3", "train.epochs=4")
ALWAYS = "checkpoint_seconds=0"


def epochs(record: RunRecord) -> list[int]:
    """Of each stage, as counted, as kept and as paid for."""
    for stage in record.stages:
        assert len(stage.history.train_loss) == len(stage.history.val_loss) == stage.epochs
    each = record.stages[0].flops.train / record.stages[0].costs["macs"] / record.stages[0].epochs
    paid = [stage.flops.train / stage.costs["macs"] / each for stage in record.stages]
    assert paid == pytest.approx([stage.epochs for stage in record.stages])
    return [stage.epochs for stage in record.stages]


def test_the_last_stage_has_its_share(tmp_path: Path) -> None:
    heard = Counting()
    record = prepared(tmp_path, *LONG, "train.final_share=0.5", callback=heard).execute()
    assert epochs(record) == [2, 3, 2, 7]
    assert heard.epochs == 14
    static = prepared(tmp_path, *LONG[1:], "method=static", "train.final_share=0.5").execute()
    assert epochs(static) == [2, 3, 2, 7]


def test_a_share_too_large_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^train\.final_share=0\.95: expected at most 0\.857"):
        prepared(tmp_path, *LONG, "train.final_share=0.95")


TRIGGERS = {
    "gap": ("train.when=gap", "train.gap=0.0", "train.lr=0.2"),
    "converged": ("train.when=converged", "train.patience=1", "train.lr=1e-6"),
}


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_trigger_ends_stages_and_what_it_leaves_goes_to_the_last(trigger: str, tmp_path: Path) -> None:
    record = prepared(tmp_path / "a", *LONG, *TRIGGERS[trigger]).execute()
    found = epochs(record)
    assert sum(found) == 14
    assert found[0] == 2  # the seed network is the same for all
    assert min(found[1:3]) < 4
    assert found[3] > 4
    plain = prepared(tmp_path / "a", *LONG).execute()
    assert [stage.target_cost for stage in record.stages] == [stage.target_cost for stage in plain.stages]
    if trigger == "converged":
        assert found[1:] == [2, 2, 8]
    if trigger == "gap":
        for stage in record.stages[1:3]:
            gaps = [v > t for t, v in zip(stage.history.train_loss, stage.history.val_loss, strict=True)]
            assert gaps == [False] * (len(gaps) - 1) + [len(gaps) < 4 or gaps[-1]]
    with pytest.raises(Killed):
        prepared(tmp_path / "b", *LONG, *TRIGGERS[trigger], ALWAYS, callback=Fatal(4)).execute()
    assert numbers(prepared(tmp_path / "b", *LONG, *TRIGGERS[trigger], ALWAYS).execute()) == numbers(record)


def test_what_a_trigger_looks_at_is_paid_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at the ranks costs a forward pass over its examples, and its time."""
    ranks = diagnostics.ranks

    def slowly(graph: Graph, sample: Sample) -> dict[str, float]:
        time.sleep(0.1)
        return ranks(graph, sample)

    plain = prepared(tmp_path / "a", *LONG).execute()
    run = prepared(tmp_path / "b", *LONG, "train.when=rank", "train.rank=0.01")  # never reached
    monkeypatch.setattr(diagnostics, "ranks", slowly)
    record = run.execute()
    assert epochs(record) == epochs(plain) == [2, 4, 4, 4]
    for stage, other in zip(record.stages[1:3], plain.stages[1:3], strict=True):
        looks = 4 * 2 * stage.costs["macs"] * len(run.probe)
        assert stage.growth.flops - other.growth.flops == pytest.approx(looks)
        assert stage.seconds.eval >= 4 * 0.1
    assert record.stages[3].growth.flops == plain.stages[3].growth.flops


def test_controls_that_start_afresh_have_no_trigger(tmp_path: Path) -> None:
    options = ("method=static_matched", "growth.stages=2", "train.epochs=3")
    plain = prepared(tmp_path / "a", *options).execute()
    other = prepared(tmp_path / "b", *options, *TRIGGERS["converged"][:2]).execute()
    assert numbers(other)["stages"] == numbers(plain)["stages"]


def test_newborn_weights_learn_at_their_own_rate(tmp_path: Path) -> None:
    shared = ("method=random_birth", "growth.stages=2", "train.epochs=2")
    plain = numbers(prepared(tmp_path / "a", *shared).execute())["stages"]
    found = {}
    for rate in ("0.0", "3.0", "norm"):
        options = (*shared, f"train.newborn_lr={rate}", "train.newborn_warmup=0.3")
        found[rate] = numbers(prepared(tmp_path / rate, *options).execute())["stages"]
        assert found[rate][0] == plain[0]
    with pytest.raises(Killed):
        prepared(tmp_path / "killed", *options, ALWAYS, callback=Fatal(6)).execute()
    assert numbers(prepared(tmp_path / "killed", *options, ALWAYS).execute())["stages"] == found["norm"]
    losses = [stages[2]["train_loss"] for stages in (plain, *found.values())]
    assert len(set(losses)) == 4


def test_newborn_weights_at_rate_zero_stay_as_they_were_born(tmp_path: Path) -> None:
    """Outgoing weights of silent neurons then stay zero through their stage, and no longer."""
    run = prepared(tmp_path, "method=random_birth", "growth.stages=2", "train.newborn_lr=0.0")
    record = run.execute()
    widths = [stage.widths for stage in record.stages]
    for name, group in run.graph.groups.items():
        for slot in group.consumers:
            weight = run.model.get_parameter(slot.tensor).movedim(slot.dim, 0)
            assert not weight[widths[1][name] :].any()
            assert weight[widths[0][name] : widths[1][name]].any() == (widths[1][name] > widths[0][name])
