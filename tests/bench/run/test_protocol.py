"""Runs from start to end, in process, on the embedded digits with few epochs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import nn

from bench.backbones.base import backbones
from bench.cli import CONF
from bench.core.errors import BenchError, ConfigError, Refused, TrainingDiverged
from bench.core.store import Run, checksum
from bench.data import load
from bench.growth.method import GrowthContext
from bench.methods import registry
from bench.methods.s2d import Config as S2DConfig
from bench.network.latency import read
from bench.network.plan import GrowthPlan, Split
from bench.run.config import Settings
from bench.run.protocol import Experiment

SHORT = ["train.epochs=2", "train.seed_epochs=2", "growth.stages=2", "growth.sample=128"]


class Quiet:
    """An callback that counts."""

    def __init__(self) -> None:
        self.epochs = 0

    def stage(self, stage: int, stages: int, epochs: int, done: int) -> None: ...

    def epoch(self, loss: float) -> None:
        self.epochs += 1

    def finished(self, record: dict[str, Any]) -> None: ...

    def end(self, record: dict[str, Any]) -> None: ...


def options(folder: Path, *overrides: str) -> dict[str, Any]:
    """The resolved options of a command line."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", [f"runs_dir={folder}", *SHORT, *overrides])
    found = OmegaConf.to_container(config, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def experiment(folder: Path, *overrides: str) -> Experiment:
    chosen = options(folder, *overrides)
    return Experiment(Settings.of(chosen), Run(folder, chosen), Quiet())


def numbers(record: dict[str, Any]) -> Any:
    """A record without what may differ between two equal runs: times."""
    plain = json.loads(json.dumps(record))
    for stage in plain["stages"]:
        stage.pop("seconds")
        if stage["growth"]:
            stage["growth"].pop("seconds")
    plain.pop("config")
    plain.pop("sha256", None)
    return plain


@pytest.mark.parametrize("method", registry.names())
def test_every_method_runs_to_the_end(method: str, tmp_path: Path) -> None:
    made = experiment(tmp_path, f"method={method}")
    record = made.execute()
    assert record["status"] == "done"
    assert len(record["stages"]) == 3
    for stage in record["stages"]:
        assert stage["params"] <= stage["target_cost"]
    last = record["stages"][-1]
    assert last["params"] == sum(p.numel() for p in made.model.parameters())
    assert last["growth"]["function_gap"] < 1e-12
    assert last["growth"]["added_neurons"] > 0
    on_disk = json.loads(made.run.record_path.read_text())
    assert on_disk.pop("sha256") == checksum(record)
    assert on_disk == json.loads(json.dumps(record))
    lines = (made.run.folder / "stages.jsonl").read_text().splitlines()
    assert [json.loads(line)["stage"] for line in lines] == [0, 1, 2]


@pytest.mark.parametrize("method", registry.names())
def test_each_rung_is_filled(method: str, tmp_path: Path) -> None:
    made = experiment(tmp_path, f"method={method}", "train.epochs=0")
    record = made.execute()
    price = made.costs["params"]
    for stage in record["stages"][1:]:
        n = price.vector(stage["widths"])
        cheapest = float((price.at(n) + price.marginal(n)).min())
        assert cheapest > stage["target_cost"] or stage["growth"]["stopped"]


@pytest.mark.parametrize("cost", ["params", "macs", "energy"])
def test_ladder_in_each_cost(cost: str, tmp_path: Path) -> None:
    made = experiment(tmp_path, "method=fast_s2d", f"growth.cost={cost}", "train.epochs=0", "backbone=lenet")
    record = made.execute()
    field = "energy_pj" if cost == "energy" else cost
    for stage in record["stages"]:
        assert stage[field] <= stage["target_cost"] * (1 + 1e-12)


def test_a_ladder_in_measured_latency(tmp_path: Path) -> None:
    """One table for all methods; each stage says what it was given, and what was measured."""
    options = ["growth.cost=latency", "growth.latency_batch=8", "growth.ratio=1.1", "train.epochs=0", "threads=1"]
    one = experiment(tmp_path, "method=fast_s2d", *options).execute()
    (table,) = (tmp_path / "seeds").glob("latency-*.json")
    written = table.stat().st_mtime_ns
    two = experiment(tmp_path, "method=net2net", *options).execute()
    assert table.stat().st_mtime_ns == written
    assert read(one["latency"]) == read(two["latency"]) == read(json.loads(table.read_text()))
    assert one["latency"]["batch"] == 8
    price = read(one["latency"]).model
    for record in (one, two):
        targets = [stage["target_cost"] for stage in record["stages"]]
        assert targets == [pytest.approx(price.of(record["stages"][0]["widths"]) * 1.1**k) for k in range(len(targets))]
        for stage in record["stages"]:
            assert price.of(stage["widths"]) <= stage["target_cost"] * (1 + 1e-12)
            assert stage["latency_us"] > 0
    table.write_text(table.read_text()[:100])  # damaged: measured again, but not for a run that has begun
    assert experiment(tmp_path, "method=net2net", *options).latency == read(two["latency"])
    fresh = experiment(tmp_path, "method=s2d", *options).latency
    assert fresh is not None
    assert fresh == read(json.loads(table.read_text())) != read(two["latency"])
    plain = experiment(tmp_path, "method=s2d", "train.epochs=0").execute()  # of the same seed network
    assert "latency_us" not in plain["stages"][0]


def test_latency_that_cannot_be_measured_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise RuntimeError("not enough memory:\nyou tried to allocate 9 GiB")

    monkeypatch.setattr("bench.run.protocol.latency", fails)
    with pytest.raises(BenchError) as error:
        experiment(tmp_path, "growth.cost=latency")
    assert str(error.value) == (
        "growth.cost=latency: RuntimeError: not enough memory: you tried to allocate 9 GiB; "
        "try a smaller growth.latency_batch"
    )


@pytest.mark.parametrize("data", ["digits", "rbf"])
def test_the_whole_training_set_is_a_sample(data: str, tmp_path: Path) -> None:
    made = experiment(tmp_path, "method=s2d", f"data={data}", "backbone=mlp", "growth.sample=all", "growth.stages=1")
    assert made.sample.inputs.dtype == made.data.train.inputs.dtype  # as they lie in memory: normalised batch by batch
    record = made.execute()
    assert record["stages"][1]["growth"]["sample"] == len(made.data.train)
    many = experiment(tmp_path / "many", "method=s2d", f"data={data}", "backbone=mlp", "growth.sample=99999999")
    assert many.sample.inputs.equal(made.sample.inputs)


@pytest.mark.parametrize("method", ["s2d", "s3d", "fast_s2d", "random_split"])
def test_predicted_and_measured_drop_agree_at_the_published_step(method: str, tmp_path: Path) -> None:
    record = experiment(tmp_path, f"method={method}", "train.epochs=20", "train.seed_epochs=20").execute()
    for stage in record["stages"][1:]:
        growth = stage["growth"]
        assert growth["measured_drop"] == pytest.approx(growth["predicted_drop"], rel=0.05)


def test_a_trained_mobilenet_does_what_the_definition_predicts(tmp_path: Path) -> None:
    """Behind depthwise convolutions with SiLU the textbook form leaves out what the definition has."""
    options = ["method=s2d", "backbone=mobilenet_v1", "backbone.width=6", "train.seed_epochs=15", "train.epochs=0"]
    misses = {}
    for form in ("definition", "published"):
        record = experiment(tmp_path, *options, "growth.stages=2", f"growth.curvature={form}").execute()
        drops = [
            (stage["growth"]["predicted_drop"], stage["growth"]["measured_drop"]) for stage in record["stages"][1:]
        ]
        misses[form] = [abs(predicted / measured - 1) for predicted, measured in drops]
    assert max(misses["definition"]) < 0.05
    assert min(misses["published"]) > max(misses["definition"])


def test_same_options_same_numbers(tmp_path: Path) -> None:
    one = experiment(tmp_path / "one").execute()
    two = experiment(tmp_path / "two").execute()
    assert numbers(one) == numbers(two)


def test_another_seed_gives_another_run(tmp_path: Path) -> None:
    one = experiment(tmp_path, "seed=0").execute()
    two = experiment(tmp_path, "seed=1").execute()
    assert one["id"] != two["id"]
    assert numbers(one)["stages"] != numbers(two)["stages"]


def test_one_seed_network_for_all_methods(tmp_path: Path) -> None:
    first = experiment(tmp_path, "method=s2d")
    second = experiment(tmp_path, "method=net2net")
    one, two = first.execute(), second.execute()
    assert one["stages"][0] == two["stages"][0]
    assert second.callback.epochs == 2 * 2  # type: ignore[attr-defined]
    assert len(list((tmp_path / "seeds").glob("*.pt"))) == 1


class Killed(Exception):
    """Stands for a kill at any instant."""


class Fatal(Quiet):
    """Kills the run at a given epoch."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def epoch(self, loss: float) -> None:
        super().epoch(loss)
        if self.epochs == self.at:
            raise Killed


@pytest.mark.parametrize("at", range(1, 9))
def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(at: int, tmp_path: Path) -> None:
    undisturbed = experiment(tmp_path / "one", "train.epochs=3").execute()
    chosen = options(tmp_path / "two", "train.epochs=3", "checkpoint_seconds=0")
    with pytest.raises(Killed):
        Experiment(Settings.of(chosen), Run(tmp_path / "two", chosen), Fatal(at)).execute()
    callback = Quiet()
    record = Experiment(Settings.of(chosen), Run(tmp_path / "two", chosen), callback).execute()
    assert numbers(record) == numbers(undisturbed)
    if at > 2:  # the seed network was kept, and so were the epochs before the last checkpoint
        assert callback.epochs <= 8 - at + 1


def test_a_damaged_checkpoint_is_done_again(tmp_path: Path) -> None:
    undisturbed = experiment(tmp_path / "one").execute()
    made = experiment(tmp_path / "two")
    made.run.folder.mkdir(parents=True)
    made.run.checkpoint_path.write_bytes(b"PK half a file")
    assert numbers(made.execute()) == numbers(undisturbed)


def test_nan_loss_is_a_failed_run_with_its_reason(tmp_path: Path) -> None:
    made = experiment(tmp_path, "train.lr=1e12")
    with pytest.raises(TrainingDiverged, match=r"train\.lr"):
        made.execute()
    record = made.run.record()
    assert record is not None
    assert record["status"] == "failed"
    assert "train.lr" in record["reason"]


@pytest.mark.parametrize(
    "override",
    [
        "growth.ratio=1",
        "growth.stages=-1",
        "growth.budget=100",
        "growth.epsilon=0",
        "growth.epsilon=search",
        "growth.cost=bytes",
        "growth.engine=power",
        "growth.curvature=fisher",
        "growth.optimizer_state=keep",
        "growth.sample=0",
        "growth.memory=0",
        "growth.refresh_norm=-1",
        "train.epochs=-1",
        "method.c=0.5",
        "seed=-1",
        "threads=0",
        "device=tpu",
        "precision=fp8",
        "rerun=maybe",
        "checkpoint_seconds=-1",
    ],
)
def test_bad_options_are_named_before_training(override: str, tmp_path: Path) -> None:
    option = override.split("=")[0]
    with pytest.raises(ConfigError, match=rf"^{option}=.*: expected ") as caught:
        experiment(tmp_path, override)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_without_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^device=cuda: expected one that this machine has"):
        experiment(tmp_path, "device=cuda")


def test_budget_ends_the_ladder(tmp_path: Path) -> None:
    record = experiment(tmp_path, "growth.budget=900", "growth.stages=1", "train.epochs=0").execute()
    assert [stage["target_cost"] for stage in record["stages"]] == [330, 495, 742.5, 900]


def test_static_matched_trains_longer_and_afresh(tmp_path: Path) -> None:
    record = experiment(tmp_path, "method=static_matched").execute()
    seed, first, second = record["stages"]
    assert first["epochs"] == round(2 * seed["macs"] / first["macs"]) + 2
    assert second["epochs"] == round(2 * (seed["macs"] + first["macs"]) / second["macs"]) + 2
    assert second["growth"]["restart"]
    assert second["growth"]["measured_drop"] is None


def test_line_search_lowers_the_loss_at_least_as_much_as_the_published_step(tmp_path: Path) -> None:
    searched = experiment(tmp_path, "growth.epsilon=line_search", "growth.stages=1").execute()
    published = experiment(tmp_path, "growth.stages=1").execute()
    drops = [record["stages"][1]["growth"]["measured_drop"] for record in (searched, published)]
    assert drops[0] > drops[1] > 0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_refresh_norm_and_precision(precision: str, tmp_path: Path) -> None:
    overrides = ["backbone=convnet", "growth.refresh_norm=2", f"precision={precision}", "growth.stages=1"]
    made = experiment(tmp_path, *overrides)
    record = made.execute()
    assert record["status"] == "done"
    plain = experiment(tmp_path, "backbone=convnet", f"precision={precision}", "growth.stages=1").execute()
    extra = record["stages"][1]["flops"]["grow"] - plain["stages"][1]["flops"]["grow"]
    assert extra == 2 * record["stages"][1]["macs"] * 2 * 64


def test_regression_leaves_accuracies_null(tmp_path: Path) -> None:
    record = experiment(tmp_path, "data=rbf", "backbone=rbf").execute()
    assert all(stage["test_accuracy"] is None and stage["val_accuracy"] is None for stage in record["stages"])
    assert all(stage["test_loss"] > 0 for stage in record["stages"])


def test_relu_names_its_surrogate(tmp_path: Path) -> None:
    record = experiment(tmp_path, "backbone.activation=relu").execute()
    assert record["stages"][1]["growth"]["surrogate"] == "softplus3"
    smooth = experiment(tmp_path).execute()
    assert smooth["stages"][1]["growth"]["surrogate"] is None


# -- methods and backbones of somebody else ------------------------------------------------------------


class Plugin:
    """A method that does what the test says."""

    behaviour: Any

    def __init__(self, config: S2DConfig) -> None: ...

    def propose(self, context: GrowthContext) -> GrowthPlan:
        return type(self).behaviour(context)  # type: ignore[no-any-return]


@pytest.fixture
def plugin() -> Iterator[type[Plugin]]:
    registry.names()
    registry.register("plugin", S2DConfig)(Plugin)
    yield Plugin
    del registry._entries["plugin"]


def _raise(context: GrowthContext) -> GrowthPlan:
    raise ZeroDivisionError("by accident")


def _refuse(context: GrowthContext) -> GrowthPlan:
    raise Refused("not for this network")


def _split(neuron: int, weights: tuple[float, ...], times: int = 1) -> Any:
    def behaviour(context: GrowthContext) -> GrowthPlan:
        return GrowthPlan((Split(context.groups[0], neuron, weights),) * times)

    return behaviour


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (_raise, r"method=plugin: ZeroDivisionError: by accident \(test_protocol\.py:\d+\)"),
        (_split(0, (0.5, 0.6)), r"sum to 1\.1; expected 1"),
        (_split(99, (0.5, 0.5)), r"expected a neuron from 0 to 3"),
        (_split(-1, (0.5, 0.5)), r"expected a neuron from 0 to 3"),
        (_split(0, (0.5, 0.5), 2), r"split twice"),
        (_split(0, (1.0,)), r"expected at least 2"),
        (_split(0, (0.01,) * 100), r"the rung allows 495"),
        (_split(0, (float("nan"), 0.5)), r"expected 1"),
        (lambda context: None, r"propose returned NoneType; expected a GrowthPlan"),
        (lambda context: GrowthPlan((None,)), r"method=plugin: AttributeError"),
    ],
)
def test_a_plugin_that_breaks_the_rules_fails_with_the_reason(
    behaviour: Any, message: str, plugin: type[Plugin], tmp_path: Path
) -> None:
    plugin.behaviour = staticmethod(behaviour)
    chosen = {**options(tmp_path), "method": {"name": "plugin"}}
    made = Experiment(Settings.of(chosen), Run(tmp_path, chosen), Quiet())
    with pytest.raises(BenchError, match=message) as caught:
        made.execute()
    assert "\n" not in str(caught.value)
    record = made.run.record()
    assert record is not None
    assert record["status"] == "failed"
    assert record["reason"] == str(caught.value)
    assert len(record["stages"]) == 1  # the seed network's, which is not lost


def test_a_method_can_refuse(plugin: type[Plugin], tmp_path: Path) -> None:
    plugin.behaviour = staticmethod(_refuse)
    chosen = {**options(tmp_path), "method": {"name": "plugin"}}
    record = Experiment(Settings.of(chosen), Run(tmp_path, chosen), Quiet()).execute()
    assert (record["status"], record["reason"]) == ("refused", "not for this network")


def test_a_method_that_finds_nothing_stops_short_and_trains_on(plugin: type[Plugin], tmp_path: Path) -> None:
    plugin.behaviour = staticmethod(lambda context: GrowthPlan(stopped="stable"))
    chosen = {**options(tmp_path), "method": {"name": "plugin"}}
    record = Experiment(Settings.of(chosen), Run(tmp_path, chosen), Quiet()).execute()
    assert record["status"] == "done"
    assert [stage["params"] for stage in record["stages"]] == [330, 330, 330]
    assert record["stages"][1]["growth"]["stopped"] == "stable"
    assert record["stages"][1]["epochs"] == 2


def test_a_backbone_with_nothing_to_split(tmp_path: Path) -> None:
    backbones.names()
    backbones.register("flat", S2DConfig)(lambda config, shape, outputs: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    try:
        chosen = {**options(tmp_path), "backbone": {"name": "flat"}}
        with pytest.raises(
            ConfigError, match=r"backbone=flat: expected a network with channels to split .*network out"
        ):
            Experiment(Settings.of(chosen), Run(tmp_path, chosen), Quiet())
    finally:
        del backbones._entries["flat"]


def test_missing_data_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"^data=mnist: .*data\.root"):
        load({"name": "mnist", "root": str(tmp_path), "download": False}, 0)
