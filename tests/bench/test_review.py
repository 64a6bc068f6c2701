"""Mistakes that a review found, each with the smallest case that shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.bench.test_protocol import Quiet, experiment, options
from torch import Tensor, nn

from bench import check
from bench.core.errors import BenchError, Refused
from bench.core.store import Run
from bench.curvature.passes import Curvature
from bench.data import load
from bench.growth.budget import Budget
from bench.methods import registry
from bench.methods.net2net import Config as Net2NetConfig
from bench.methods.net2net import Net2Net
from bench.methods.static import Config as StaticConfig
from bench.methods.static import Static, StaticMatched
from bench.network.cost import CostModel
from bench.network.graph import Group, Producer
from bench.network.plan import GrowthPlan
from bench.network.surgery import apply
from bench.run.command import run
from bench.run.config import Settings
from bench.run.load import load_network
from bench.run.protocol import Experiment
from bench.run.refresh import draw_parameters, refresh_norm


@pytest.mark.parametrize("method", [Static, StaticMatched])
def test_a_control_starts_afresh_even_where_no_neuron_fits_the_rung(method: type[Static]) -> None:
    made, target = check.event(method(StaticConfig()), check.networks()["linear"](), 1.0)
    record, plan = made.grow(target)
    assert record.splits == 0
    assert record.restart
    assert plan.restart


def test_a_run_that_another_process_finished_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = options(tmp_path)
    build = Experiment.__init__

    def while_another_finishes(self: Experiment, settings: Settings, place: Run, callback: Any) -> None:
        build(self, settings, place, callback)
        monkeypatch.undo()
        run(chosen)

    monkeypatch.setattr(Experiment, "__init__", while_another_finishes)
    seen = []
    monkeypatch.setattr(Run, "forget", lambda self: seen.append(self))
    run(chosen)
    assert not seen


def test_a_loss_that_growing_made_nan_is_a_failure(tmp_path: Path) -> None:
    made = experiment(tmp_path, "method=net2net", "backbone.activation=relu", "growth.epsilon=1e300", "train.epochs=0")
    with pytest.raises(BenchError, match=r"growth\.epsilon"):
        made.execute()
    record = made.run.record()
    assert record is not None
    assert record["status"] == "failed"
    json.loads(made.run.record_path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_every_measuring_pass_is_priced_at_the_size_it_runs_at() -> None:
    made, target = check.event(Net2Net(Net2NetConfig()), check.networks()["linear"](), 4.0)
    small = made.costs["macs"].of(made.graph.widths())
    record, _ = made.grow(target)
    large = made.costs["macs"].of(made.graph.widths())
    assert record.flops == 2 * len(made.sample) * (small + 2 * large)


def test_the_memory_limit_counts_the_network_as_it_is_now() -> None:
    made, target = check.event(Net2Net(Net2NetConfig()), check.networks()["norm, pooling and flatten"](), 9.0)

    def held() -> tuple[float, float]:
        curvature = Curvature(made.graph, made.sample)
        group = next(iter(made.graph.groups.values()))
        batches = list(curvature.operator(group).batches())
        real = sum(t.nbytes for b in batches for t in (*b.inputs, b.hessian) if isinstance(t, Tensor))
        return curvature._bytes(group.name), real

    before, real_before = held()
    made.grow(target)
    after, real_after = held()
    assert before == real_before
    assert after == real_after > real_before


def test_fresh_statistics_do_not_depend_on_dropout() -> None:
    data = load({"name": "digits"}, 0)
    layers = [nn.Flatten(), nn.Linear(64, 4), nn.Dropout(0.5), nn.BatchNorm1d(4), nn.Linear(4, 10)]
    model = nn.Sequential(*layers)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        refresh_norm(model, data, 2, 64, torch.Generator().manual_seed(0))
        statistics = model.get_submodule("3").running_mean
        assert isinstance(statistics, torch.Tensor)
        found.append(statistics.clone())
    assert torch.equal(*found)
    assert model.training


def test_starting_afresh_refuses_what_nothing_draws() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

    with pytest.raises(Refused, match=r"no reset_parameters draws 1\.scale"):
        draw_parameters(nn.Sequential(nn.Linear(2, 2), Scale()), torch.Generator())


def test_a_target_that_is_met_exactly_is_met_in_every_cost() -> None:
    group = Group("g", (Producer("g", True),), (), ())
    generator = np.random.default_rng(0)
    for _ in range(200):
        price = CostModel(("g",), *generator.uniform(0, 1e3, 1), generator.uniform(0, 1e3, 1), np.zeros((1, 1)))
        budget = Budget(price, {"g": 3}, price.of({"g": 9}))
        while budget.fits(group.name, 1):
            budget.add(group.name, 1)
        assert budget.widths[0] == 9


@dataclass(frozen=True)
class Fragile:
    """Options of a plugin that cannot be built."""

    late: bool = False

    def __post_init__(self) -> None:
        if not self.late:
            raise ValueError("two\nlines")


def _broken(config: Fragile) -> object:
    raise RuntimeError("no such luck")


@pytest.mark.parametrize(
    ("late", "message"),
    [(False, "method: ValueError: two lines"), (True, "method=fragile: RuntimeError: no such luck")],
)
def test_a_plugin_that_cannot_be_built_is_one_line(late: bool, message: str, tmp_path: Path) -> None:
    registry.names()
    registry.register("fragile", Fragile)(_broken)  # type: ignore[arg-type]
    try:
        chosen = {**options(tmp_path), "method": {"name": "fragile", "late": late}}
        with pytest.raises(BenchError, match=message):
            Experiment(Settings.of(chosen), Run(tmp_path, chosen), Quiet())
    finally:
        del registry._entries["fragile"]


def test_a_checkpoint_of_another_backbone_is_told(tmp_path: Path) -> None:
    made = experiment(tmp_path, "growth.stages=1")
    made.execute()
    config = made.run.folder / "config.yaml"
    config.write_text(config.read_text().replace("depth: 2", "depth: 3"))
    with pytest.raises(BenchError, match="another network"):
        load_network(made.run.folder)


def test_an_empty_plan_changes_nothing() -> None:
    model = check.networks()["linear"]()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    apply(model, None, GrowthPlan(), 1.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
