"""The protocol's promises, each by a test that fails where it is broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.data.base import Dataset
from bench.growth import event as growth_event
from bench.growth import grower as growth_grower
from bench.network.plan import GrowthPlan
from bench.run import protocol
from bench.run.protocol import Run
from bench.train import evaluate
from tests.runs import prepared


def test_what_is_reported_is_measured_on_the_part_that_it_is_called_by(tmp_path: Path) -> None:
    made = prepared(tmp_path, "train.epochs=3")
    record = made.execute()
    last = record.stages[-1]
    for name, part in (("val", made.data.validation), ("test", made.data.test)):
        found = evaluate(made.model, made.data, part)
        assert getattr(last, f"{name}_loss") == found.loss
        assert getattr(last, f"{name}_accuracy") == found.accuracy
    assert last.val_loss != last.test_loss
    assert [stage.history.val_loss[-1] for stage in record.stages] == [stage.val_loss for stage in record.stages]


def test_test_data_decide_nothing(tmp_path: Path) -> None:
    """With other test examples everything but the test scores is the same."""
    own, other = prepared(tmp_path / "own"), prepared(tmp_path / "other")
    other.data.test.inputs.zero_()
    one, two = own.execute(), other.execute()
    assert [stage.test_loss for stage in one.stages] != [stage.test_loss for stage in two.stages]
    for a, b in zip(one.stages, two.stages, strict=True):
        assert (a.val_loss, a.widths, a.history) == (b.val_loss, b.widths, b.history)
    assert all(x.equal(y) for x, y in zip(own.model.parameters(), other.model.parameters(), strict=True))


def test_growth_looks_at_training_examples_alone(tmp_path: Path) -> None:
    made = prepared(tmp_path, "growth.sample=200")
    rows = {tuple(row.flatten().tolist()) for row in made.data.train.inputs}
    assert all(tuple(row.flatten().tolist()) in rows for row in made.sample.inputs)


def _orders(made: Run, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The order of examples in each epoch of training."""
    found: list[list[int]] = []
    own = Dataset.batch

    def batch(self: Dataset, part: Any, index: Tensor, generator: Any = None) -> tuple[Tensor, Tensor]:
        if part is self.train and len(index) == len(part):
            found.append(index.tolist())
        return own(self, part, index, generator)

    with monkeypatch.context() as patch:
        patch.setattr(Dataset, "batch", batch)
        made.execute()
    return found


def test_every_epoch_of_every_stage_has_an_order_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = _orders(prepared(tmp_path / "one"), monkeypatch)
    assert len(orders) == 2 + 2 * 2
    assert len({tuple(order) for order in orders}) == len(orders)
    assert all(sorted(order) == list(range(len(order))) for order in orders)
    assert _orders(prepared(tmp_path / "two", "method=net2net"), monkeypatch) == orders  # the same for every method
    assert _orders(prepared(tmp_path / "three", "seed=1"), monkeypatch)[0] != orders[0]


def test_the_lineage_is_the_product_of_the_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several events, counted here from the plans: S3D's cap holds for each neuron's own history."""
    shares: dict[str, list[float]] = {}
    own = growth_event.apply

    def apply(model: Any, optimizer: Any, plan: GrowthPlan, *more: Any) -> Any:
        if optimizer is not None:
            grown: dict[str, list[float]] = {}
            for split in plan.splits:
                name = split.group.name
                line = shares.setdefault(name, [1.0] * len(made.grower.lineage[name]))
                parent = line[split.neuron]
                line[split.neuron] = parent * abs(split.weights[0])
                grown.setdefault(name, []).extend(parent * abs(weight) for weight in split.weights[1:])
            for name, values in grown.items():
                shares[name] += values
        return own(model, optimizer, plan, *more)

    monkeypatch.setattr(growth_event, "apply", apply)
    made = prepared(tmp_path, "method=s3d", "method.c=3", "method.cap=4", "growth.stages=4", "train.epochs=1")
    made.execute()
    assert shares
    for name, values in shares.items():
        assert sorted(made.grower.lineage[name].tolist()) == pytest.approx(sorted(values))
        assert max(values) <= 4 * (1 + 1e-9)
    assert max(max(values) for values in shares.values()) > 1


def test_a_resumed_run_remembers_its_lineage(tmp_path: Path) -> None:
    made = prepared(tmp_path, "method=s3d", "method.c=3", "growth.stages=2", "train.epochs=0")
    made.execute()
    made.folder.record_path.unlink()
    again = prepared(tmp_path, "method=s3d", "method.c=3", "growth.stages=2", "train.epochs=0")
    again.execute()
    for name, values in made.grower.lineage.items():
        assert again.grower.lineage[name].equal(values)
        assert float(values.max()) > 1 or float(values.min()) < 1


def test_every_method_starts_from_the_same_bytes_and_climbs_the_same_ladder(tmp_path: Path) -> None:
    records = [
        prepared(tmp_path, f"method={name}", "growth.stages=2").execute() for name in ("s2d", "static", "net2net")
    ]
    first = records[0]
    for record in records[1:]:
        assert record.stages[0].test_loss == first.stages[0].test_loss
        assert [stage.target_cost for stage in record.stages] == [stage.target_cost for stage in first.stages]
    assert [t / first.stages[0].params for t in (s.target_cost for s in first.stages)] == pytest.approx([1, 1.5, 2.25])


def test_a_seed_network_is_held_against_the_ladder_of_the_run_that_reads_it(tmp_path: Path) -> None:
    prepared(tmp_path, "growth.stages=0").execute()
    made = prepared(tmp_path, "growth.cost=macs", "growth.stages=0")
    (stage,) = made.execute().stages
    assert len(list((tmp_path / "seeds").glob("*.pt"))) == 1
    assert stage.target_cost == made.ladder.rungs[0] == stage.macs != stage.params


def test_a_control_starts_with_an_optimiser_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From scratch is without the momentum of the stage before, which grown networks keep."""
    own, kept = protocol.train, list[bool]()

    def train(model: nn.Module, optimizer: torch.optim.Optimizer, *more: Any, **options: Any) -> Any:
        kept.append(bool(optimizer.state))
        assert {id(p) for group in optimizer.param_groups for p in group["params"]} == {*map(id, model.parameters())}
        return own(model, optimizer, *more, **options)

    monkeypatch.setattr(protocol, "train", train)
    prepared(tmp_path / "grown", "method=net2net").execute()
    prepared(tmp_path / "static", "method=static").execute()
    assert kept == [False, True, True, False, False, False]


def test_another_seed_changes_the_network_the_parts_and_the_sample(tmp_path: Path) -> None:
    one, again, two = (prepared(tmp_path, f"seed={seed}", "growth.sample=64") for seed in (0, 0, 1))

    def drawn(made: Run) -> list[Tensor]:
        parts = made.data.train, made.data.validation, made.sample
        return [*made.model.parameters(), *(part.inputs for part in parts)]

    assert all(a.equal(b) for a, b in zip(drawn(one), drawn(again), strict=True))
    assert not any(a.equal(b) for a, b in zip(drawn(one), drawn(two), strict=True))
    assert one.data.test.inputs.equal(two.data.test.inputs)
    for made in (one, two):  # the sample is drawn by the seed too
        assert made.sample.inputs.equal(made.data.sample(64, made.seed).inputs)


def test_streams_of_a_seed_are_independent(tmp_path: Path) -> None:
    """The purposes do not share their draws."""
    made = prepared(tmp_path)
    drawn = {
        purpose: torch.rand(4, generator=made._stream(purpose)) for purpose in ("init", "method 1", "stage 1", "norm 1")
    }
    values = list(drawn.values())
    assert all(not a.equal(b) for i, a in enumerate(values) for b in values[:i])


@pytest.mark.parametrize("method", ["net2net", "static"])
def test_no_two_stages_draw_the_same_numbers(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The method, a control's fresh parameters and the batches of fresh statistics have a stream for every stage."""
    seeds: list[int] = []
    own = growth_event.GrowthEvent.grow

    def grow(self: growth_event.GrowthEvent, target: float) -> Any:
        seeds.append(self.generator.initial_seed())
        return own(self, target)

    def heard(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            seeds.append(arguments[-1].initial_seed())
            return function(*arguments)

        return call

    monkeypatch.setattr(growth_event.GrowthEvent, "grow", grow)
    for module, name in ((growth_grower, "draw_parameters"), (protocol, "refresh_norm")):
        monkeypatch.setattr(module, name, heard(getattr(module, name)))
    quick = ["backbone=convnet", "growth.refresh_norm=1", "train.epochs=0", "train.seed_epochs=0"]
    prepared(tmp_path, f"method={method}", *quick).execute()
    assert len(set(seeds)) == len(seeds) == 2 * 2
