"""The sizes that a run climbs, in each cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from msgspec import structs
from torch import nn

from bench.core import output
from bench.core.errors import BenchError, ConfigError
from bench.core.record import LatencyTable, RunState
from bench.methods import registry
from bench.network import latency
from bench.network.cost import cost_models
from bench.network.graph import Graph
from bench.run import protocol
from bench.run.cell import run_folder
from bench.run.command import run
from bench.run.terminal import table
from tests.bench.run.run_helpers import contents
from tests.runs import Fatal, Killed, options, prepared


@pytest.mark.parametrize("method", registry.names())
def test_each_rung_is_filled(method: str, tmp_path: Path) -> None:
    made = prepared(tmp_path, f"method={method}", "train.epochs=0")
    record = made.execute()
    model = made.ladder.models["params"]
    for stage in record.stages[1:]:
        n = model.vector(stage.widths)
        cheapest = float((model.at(n) + model.marginal(n)).min())
        assert stage.growth is not None
        assert cheapest > stage.target_cost or stage.growth.stopped


@pytest.mark.parametrize("cost", ["params", "macs", "energy"])
def test_ladder_in_each_cost(cost: str, tmp_path: Path) -> None:
    made = prepared(tmp_path, "method=fast_s2d", f"growth.cost={cost}", "train.epochs=0", "backbone=lenet")
    record = made.execute()
    assert record.latency is None
    for stage, rung in zip(record.stages, made.ladder.rungs, strict=True):
        assert stage.target_cost == rung
        assert stage.costs[cost] <= stage.target_cost * (1 + 1e-12)
    assert record.stages[-1].costs[cost] > record.stages[0].costs[cost]


def test_budget_ends_the_ladder(tmp_path: Path) -> None:
    record = prepared(tmp_path, "growth.budget=900", "growth.stages=1", "train.epochs=0").execute()
    assert [stage.target_cost for stage in record.stages] == [330, 495, 742.5, 900]


def test_a_ladder_that_leads_very_far_says_so_before_any_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output.notice.cache_clear()
    prepared(tmp_path, "growth.ratio=10", "growth.stages=3")
    assert capsys.readouterr().err == ""
    for typed in ("growth.ratio=100", "growth.budget=3.3e08"):
        prepared(tmp_path, typed, "growth.stages=3")
        (line,) = capsys.readouterr().err.splitlines()
        size = "the last rung allows parameters 330,000,000, 1,000,000 times the seed network's"
        assert line.replace("e+", "e").startswith(f"{typed}: {size}; it may take that many times as long")


def table_of(path: Path) -> LatencyTable:
    """The table in a file."""
    found = latency.read(path)
    assert found is not None
    return found


def on_a_machine(monkeypatch: pytest.MonkeyPatch, seconds: Callable[[float], float]) -> None:
    """From here on a pass takes so many seconds, by the network's multiply-adds."""
    now = [0.0]

    def passes(model: nn.Module, graph: Graph, batch: int, device: torch.device) -> Callable[[int], None]:
        takes = seconds(cost_models(graph)["macs"].of(graph.on(model).widths()))

        def run(count: int) -> None:
            now[0] += count * takes

        return run

    monkeypatch.setattr(latency, "passes", passes)
    monkeypatch.setattr(latency, "clock", lambda: now[0])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which a pass takes a microsecond and a nanosecond for each multiply-add."""
    on_a_machine(monkeypatch, lambda macs: 1e-6 + 1e-9 * macs)


@pytest.mark.usefixtures("clock")
def test_a_ladder_in_measured_latency(tmp_path: Path) -> None:
    """One table for all methods; each stage says what it was given, and what was measured."""
    options = ["growth.cost=latency", "growth.latency_batch=8", "growth.ratio=1.1", "train.epochs=0", "threads=1"]
    run = prepared(tmp_path, "method=fast_s2d", *options)
    one = run.execute()
    (shared,) = (tmp_path / "seeds").glob("latency-*.json")
    written = shared.stat().st_mtime_ns
    two = prepared(tmp_path, "method=net2net", *options).execute()
    assert shared.stat().st_mtime_ns == written
    assert one.latency == two.latency == table_of(shared) == table_of(run.folder.latency_path)
    assert one.latency is not None
    assert one.latency.batch == 8
    model = latency.fitted(one.latency)
    for record in (one, two):
        targets = [stage.target_cost for stage in record.stages]
        assert targets == [pytest.approx(model.of(record.stages[0].widths) * 1.1**k) for k in range(len(targets))]
        for stage in record.stages:
            assert model.of(stage.widths) <= stage.target_cost * (1 + 1e-12)
            assert stage.costs["latency"] > 0
    on_disk = json.loads(run.folder.record_path.read_text())
    assert [s["latency_us"] for s in on_disk["stages"]] == [s.costs["latency"] for s in one.stages]
    shared.write_text(shared.read_text()[:100])  # damaged: measured again, but not for a run that has begun
    assert prepared(tmp_path, "method=net2net", *options).ladder.table == two.latency
    fresh = prepared(tmp_path, "method=s2d", *options).ladder.table
    assert fresh is not None
    assert fresh == table_of(shared)
    plain = prepared(tmp_path, "method=s2d", "train.epochs=0").execute()  # of the same seed network
    assert "latency" not in plain.stages[0].costs


@pytest.mark.parametrize("method", ["fast_s2d", "random_split"])
def test_latency_is_measured_as_far_out_as_the_ladder_leads(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small networks are all overhead: at 2 and 4 times each width there is nothing to be seen of what comes."""
    on_a_machine(monkeypatch, lambda macs: max(1e-4 + 1e-9 * macs, 5e-8 * macs))
    ladder = ["growth.cost=latency", "growth.ratio=4", "growth.stages=2", "train.epochs=0", "growth.sample=64"]
    record = prepared(tmp_path, f"method={method}", *ladder).execute()
    assert record.latency is not None
    assert max(reading.microseconds for reading in record.latency.readings) > 1600
    for stage in record.stages[1:]:
        assert 0.5 < stage.costs["latency"] / stage.target_cost < 1.4


@pytest.mark.usefixtures("clock")
def test_a_ladder_beyond_what_was_measured_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As one does that goes on with a table of before."""
    made = prepared(tmp_path, *MEASURED)
    assert "extrapolated" not in capsys.readouterr().err
    own = made.ladder.table
    assert own is not None
    made.folder.path.mkdir()
    latency.write(made.folder.latency_path, structs.replace(own, readings=own.readings[:1]))
    prepared(tmp_path, *MEASURED)
    assert capsys.readouterr().err.splitlines() == [
        "growth.cost=latency: measured up to 1; up to 2 it is extrapolated, and may be exceeded"
    ]


@pytest.mark.usefixtures("clock")
def test_the_seeds_latency_is_measured_for_the_ladder_that_is_climbed(tmp_path: Path) -> None:
    """Whoever trained the seed network may have climbed another ladder."""
    plain = prepared(tmp_path, "train.epochs=0", "growth.stages=1").execute()
    options = ["growth.cost=latency", "growth.ratio=1.1", "train.epochs=0", "growth.stages=1", "threads=1"]
    record = prepared(tmp_path, *options).execute()
    assert len(list((tmp_path / "seeds").glob("*.pt"))) == 1
    assert record.stages[0].costs["latency"] > 0
    assert record.stages[0].target_cost != plain.stages[0].target_cost == 330


def test_latency_that_cannot_be_measured_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise RuntimeError("not enough memory:\nyou tried to allocate 9 GiB")

    monkeypatch.setattr("bench.network.latency.latency", fails)
    with pytest.raises(BenchError) as error:
        prepared(tmp_path, "growth.cost=latency")
    assert str(error.value) == (
        "growth.cost=latency: RuntimeError: not enough memory: you tried to allocate 9 GiB; "
        "try a smaller growth.latency_batch, or a shorter ladder"
    )


@pytest.mark.usefixtures("clock")
def test_a_ladder_whose_rungs_the_noise_swallows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["growth.cost=latency", "growth.ratio=1.1", "growth.stages=1", "train.epochs=0"]
    assert prepared(tmp_path / "quiet", *options).ladder.table is not None
    measure = latency.measure

    def noisy(*arguments: Any) -> LatencyTable:
        found = measure(*arguments)
        readings = [structs.replace(one, noise=0.12 * one.microseconds) for one in found.readings]
        return structs.replace(found, readings=readings)

    monkeypatch.setattr(latency, "measure", noisy)
    with pytest.raises(ConfigError, match=r"growth.ratio=1.1: expected above 1.12, as latency is known here to 12%"):
        prepared(tmp_path / "noisy", *options)
    prepared(tmp_path / "noisy", *options, "growth.ratio=1.3")


@pytest.mark.usefixtures("clock")
def test_each_stage_shows_what_was_measured_beside_what_was_allowed(tmp_path: Path) -> None:
    record = prepared(
        tmp_path, "growth.cost=latency", "growth.ratio=1.5", "growth.stages=1", "train.epochs=0"
    ).execute()
    shown = table(record)
    headings = [str(column.heading) for column in shown.columns]
    at = headings.index("latency\nallowed")
    allowed, measured = (list(shown.columns[i].cells) for i in (at, at - 1))
    assert [float(str(one)) for one in allowed] == pytest.approx([s.target_cost for s in record.stages], rel=0.01)
    assert [float(str(one)) for one in measured] == pytest.approx([s.costs["latency"] for s in record.stages], rel=0.01)


# -- tables of an earlier attempt --------------------------------------------------------------------------------------

OLD = LatencyTable(1, 10.0, {"1": 1.0, "3": 1.0}, [], [], 0.01)
"""As a run has it that was made long ago."""

MEASURED = ("growth.cost=latency", "growth.ratio=1.5", "growth.stages=1", "train.epochs=1", "threads=1")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Moves to another machine."""

    def move() -> None:
        own = protocol.describe
        monkeypatch.setattr(protocol, "describe", lambda device: structs.replace(own(device), device="another"))

    return move


@pytest.mark.usefixtures("clock")
def test_a_run_that_is_done_again_measures_latency_anew(tmp_path: Path) -> None:
    first = run(options(tmp_path, *MEASURED), quiet=True)
    folder = run_folder(options(tmp_path, *MEASURED))
    latency.write(folder.latency_path, OLD)
    again = run(options(tmp_path, *MEASURED, "rerun=all"), quiet=True)
    assert again.latency == first.latency == table_of(folder.latency_path) != OLD
    assert [stage.target_cost for stage in again.stages] == [stage.target_cost for stage in first.stages]


@pytest.mark.usefixtures("clock")
def test_a_run_does_not_go_on_with_another_machines_ladder(tmp_path: Path, elsewhere: Callable[[], None]) -> None:
    with pytest.raises(Killed):
        prepared(tmp_path, *MEASURED, callback=Fatal(3)).execute()
    folder = run_folder(options(tmp_path, *MEASURED))
    latency.write(folder.latency_path, OLD)
    elsewhere()
    before = contents(folder.path)
    with pytest.raises(BenchError, match="made before this changed: the machine; rerun=all starts again") as told:
        prepared(tmp_path, *MEASURED).execute()
    assert not told.value.recorded
    assert contents(folder.path) == before
    assert folder.standing().state is RunState.INTERRUPTED
    record = prepared(tmp_path, *MEASURED, "rerun=all").execute()
    assert record.latency == table_of(folder.latency_path) != OLD
    assert record.stages[1].target_cost == pytest.approx(1.5 * record.stages[0].target_cost)


@pytest.mark.usefixtures("clock")
def test_a_run_that_goes_on_keeps_its_ladder(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        prepared(tmp_path, *MEASURED, callback=Fatal(3)).execute()
    folder = run_folder(options(tmp_path, *MEASURED))
    own = table_of(folder.latency_path)
    kept = structs.replace(own, constant=own.constant * 2)
    latency.write(folder.latency_path, kept)
    assert prepared(tmp_path, *MEASURED).execute().latency == kept
