"""Runs from start to end, in process, on the embedded digits with few epochs."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from bench.core.record import RunState, checksum, plain, read
from bench.methods import registry
from bench.network.cost import costs
from bench.train import Metrics, evaluate
from tests.runs import Counting, numbers, prepared


@pytest.mark.parametrize("method", registry.names())
def test_every_method_runs_to_the_end(method: str, tmp_path: Path) -> None:
    made = prepared(tmp_path, f"method={method}")
    record = made.execute()
    assert record.status is RunState.DONE
    assert len(record.stages) == 3
    for stage in record.stages:
        assert stage.params <= stage.target_cost
    last = record.stages[-1]
    assert last.params == sum(p.numel() for p in made.model.parameters())
    assert last.growth is not None
    assert last.growth.function_gap is not None
    assert last.growth.function_gap < 1e-12
    assert last.growth.added_neurons > 0
    text = made.folder.record_path.read_bytes()
    assert read(text) == record
    on_disk = json.loads(text)
    assert on_disk.pop("sha256") == checksum(plain(record))
    assert on_disk == json.loads(json.dumps(plain(record)))
    lines = made.folder.stages_path.read_text().splitlines()
    assert [json.loads(line) for line in lines] == on_disk["stages"]
    assert [stage.stage for stage in record.stages] == [0, 1, 2]


def test_each_stage_states_every_cost_and_the_layers_have_names(tmp_path: Path) -> None:
    made = prepared(tmp_path, "train.epochs=0")
    record = made.execute()
    for stage in record.stages:
        assert stage.costs == {name: made.ladder.models[name].of(stage.widths) for name in made.ladder.models}
        assert set(stage.costs) == set(costs.names()) - {"latency"}
    assert record.layers == {name: group.kind for name, group in made.graph.groups.items()}
    assert set(record.layers) == set(record.stages[0].widths)
    on_disk = json.loads(made.folder.record_path.read_text())
    for stage, written in zip(record.stages, on_disk["stages"], strict=True):
        old = {"params": stage.params, "macs": stage.macs, "energy_pj": stage.costs["energy"]}
        assert old.items() <= written.items()


def test_training_costs_six_operations_for_each_multiply_add_of_each_example(tmp_path: Path) -> None:
    """Two for the pass forward, four for the one back, at the size that was trained; growing is counted apart."""
    made = prepared(tmp_path, "train.epochs=3")
    seed, *grown = made.execute().stages
    for stage in (seed, *grown):
        assert stage.flops.train == 6 * stage.macs * stage.epochs * len(made.data.train)
    assert [stage.epochs for stage in (seed, *grown)] == [2, 3, 3]
    assert seed.flops.grow == 0
    assert all(stage.growth is not None and stage.flops.grow == stage.growth.flops > 0 for stage in grown)


@pytest.mark.parametrize("data", ["digits", "rbf"])
def test_the_whole_training_set_is_a_sample(data: str, tmp_path: Path) -> None:
    made = prepared(tmp_path, "method=s2d", f"data={data}", "backbone=mlp", "growth.sample=all", "growth.stages=1")
    assert made.sample.inputs.dtype == made.data.train.inputs.dtype  # as they lie in memory: normalised batch by batch
    growth = made.execute().stages[1].growth
    assert growth is not None
    assert growth.sample == len(made.data.train)
    many = prepared(tmp_path / "many", "method=s2d", f"data={data}", "backbone=mlp", "growth.sample=99999999")
    assert many.sample.inputs.equal(made.sample.inputs)


@pytest.mark.parametrize("method", ["s2d", "s3d", "fast_s2d", "random_split"])
def test_predicted_and_measured_drop_agree_at_the_published_step(method: str, tmp_path: Path) -> None:
    record = prepared(tmp_path, f"method={method}", "train.epochs=20", "train.seed_epochs=20").execute()
    for stage in record.stages[1:]:
        assert stage.growth is not None
        assert stage.growth.measured_drop == pytest.approx(stage.growth.predicted_drop, rel=0.05)


def test_a_trained_mobilenet_does_what_the_definition_predicts(tmp_path: Path) -> None:
    """Behind depthwise convolutions with SiLU the textbook form leaves out what the definition has."""
    options = [
        "method=s2d",
        "backbone=mobilenet_v1",
        "backbone.width=6",
        "train.seed_epochs=15",
        "train.epochs=0",
        "seed=2",
    ]
    misses = {}
    for form in ("definition", "published"):
        record = prepared(tmp_path, *options, "growth.stages=2", f"growth.curvature={form}").execute()
        events = [stage.growth for stage in record.stages[1:] if stage.growth is not None]
        assert len(events) == 2
        misses[form] = [abs((one.predicted_drop or 0.0) / (one.measured_drop or 0.0) - 1) for one in events]
    assert max(misses["definition"]) < 0.05
    assert min(misses["published"]) > max(misses["definition"])


def test_same_options_same_numbers(tmp_path: Path) -> None:
    one = prepared(tmp_path / "one").execute()
    two = prepared(tmp_path / "two").execute()
    assert numbers(one) == numbers(two)


def test_another_seed_gives_another_run(tmp_path: Path) -> None:
    one = prepared(tmp_path, "seed=0").execute()
    two = prepared(tmp_path, "seed=1").execute()
    assert one.id != two.id
    assert numbers(one)["stages"] != numbers(two)["stages"]


def test_one_seed_network_for_all_methods(tmp_path: Path) -> None:
    heard = Counting()
    first, second = prepared(tmp_path, "method=s2d"), prepared(tmp_path, "method=net2net", callback=heard)
    one, two = first.execute(), second.execute()
    assert one.stages[0] == two.stages[0]
    assert heard.epochs == 2 * 2
    assert len(list((tmp_path / "seeds").glob("*.pt"))) == 1


def test_each_epochs_losses_are_on_record_as_they_were_heard(tmp_path: Path) -> None:
    heard = Counting()
    made = prepared(tmp_path, "train.epochs=3", callback=heard)
    record = made.execute()
    both = [pair for one in record.stages for pair in zip(one.history.train_loss, one.history.val_loss, strict=True)]
    assert both == heard.losses
    for stage in record.stages:
        assert len(stage.history.train_loss) == len(stage.history.val_loss) == stage.epochs
        assert stage.history.train_loss[-1] == stage.train_loss
        assert stage.history.val_loss[-1] == stage.val_loss
    assert evaluate(made.model, made.data, made.data.validation).loss == record.stages[-1].val_loss


def test_without_epochs_there_is_no_training_loss(tmp_path: Path) -> None:
    record = prepared(tmp_path, "train.epochs=0", "growth.stages=1").execute()
    assert (record.stages[1].train_loss, record.stages[1].history.train_loss) == (None, [])
    assert record.stages[1].val_loss is not None


def test_a_validation_loss_that_is_not_finite_is_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come back to numbers; only what is not finite in the end is a failure."""
    found: list[Metrics] = []

    def at_first_infinite(*arguments: Any) -> Metrics:
        found.append(evaluate(*arguments))
        return found[-1] if len(found) > 1 else replace(found[-1], loss=inf)

    monkeypatch.setattr("bench.run.protocol.evaluate", at_first_infinite)
    made = prepared(tmp_path, "growth.stages=0")
    record = made.execute()
    assert record.stages[0].history.val_loss[0] is None
    assert record.stages[0].history.val_loss[1] == record.stages[0].val_loss
    assert read(made.folder.record_path.read_bytes()) == record


def test_static_matched_trains_longer_and_afresh(tmp_path: Path) -> None:
    seed, first, second = prepared(tmp_path, "method=static_matched").execute().stages
    assert first.epochs == round(2 * seed.macs / first.macs) + 2
    assert second.epochs == round(2 * (seed.macs + first.macs) / second.macs) + 2
    assert second.growth is not None
    assert second.growth.restart
    assert second.growth.measured_drop is None


def test_a_method_without_a_step_has_one_run_for_all_steps(tmp_path: Path) -> None:
    for method, shared in (("static", True), ("net2net method.step=false", True), ("net2net", False)):
        small, large = (prepared(tmp_path, *f"method={method}".split(), f"growth.epsilon={e}") for e in (0.01, 1.0))
        assert (small.folder.id == large.folder.id) is shared
    first = prepared(tmp_path, "method=static", "growth.epsilon=0.01").execute()
    again = prepared(tmp_path / "again", "method=static", "growth.epsilon=line_search").execute()
    assert numbers(first) == numbers(again)


def test_line_search_lowers_the_loss_at_least_as_much_as_the_published_step(tmp_path: Path) -> None:
    searched = prepared(tmp_path, "growth.epsilon=line_search", "growth.stages=1").execute()
    published = prepared(tmp_path, "growth.stages=1").execute()
    drops = [
        record.stages[1].growth.measured_drop for record in (searched, published) if record.stages[1].growth is not None
    ]
    assert drops[0] is not None
    assert drops[1] is not None
    assert drops[0] > drops[1] > 0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_refresh_norm_and_precision(precision: str, tmp_path: Path) -> None:
    overrides = ["backbone=convnet", "growth.refresh_norm=2", f"precision={precision}", "growth.stages=1"]
    record = prepared(tmp_path, *overrides).execute()
    assert record.status is RunState.DONE
    without = prepared(tmp_path, "backbone=convnet", f"precision={precision}", "growth.stages=1").execute()
    extra = record.stages[1].flops.grow - without.stages[1].flops.grow
    assert extra == 2 * record.stages[1].macs * 2 * 64


def test_precision_is_that_of_training_and_of_measuring(tmp_path: Path) -> None:
    found = {}
    for precision in ("fp32", "bf16"):
        made = prepared(tmp_path / precision, f"precision={precision}", "growth.stages=0")
        (stage,) = made.execute().stages
        found[precision] = stage.history.train_loss
        for part, loss in ((made.data.validation, stage.val_loss), (made.data.test, stage.test_loss)):
            assert loss == evaluate(made.model, made.data, part, precision).loss
        assert stage.history.val_loss[-1] == stage.val_loss
    assert all(a != b for a, b in zip(*found.values(), strict=True))


def test_regression_leaves_accuracies_null(tmp_path: Path) -> None:
    record = prepared(tmp_path, "data=rbf", "backbone=rbf").execute()
    assert all(stage.test_accuracy is None and stage.val_accuracy is None for stage in record.stages)
    assert all(stage.test_loss is not None and stage.test_loss > 0 for stage in record.stages)
    assert not any(stage.classified for stage in record.stages)


def test_relu_names_its_surrogate(tmp_path: Path) -> None:
    for overrides, surrogate in ((["backbone.activation=relu"], "softplus3"), ([], None)):
        growth = prepared(tmp_path, *overrides).execute().stages[1].growth
        assert growth is not None
        assert growth.surrogate == surrogate
