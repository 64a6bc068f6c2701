"""Latency as a cost: the fit against costs that are known, and the networks that are timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.core.record import LatencyTable
from bench.network import latency
from bench.network.cost import cost_models
from bench.network.graph import Graph
from bench.network.latency import fitted, measure, passes, read, standard_error, timed, undisturbed, widened, write
from tests.nets import NETS, Net, named

Runs = list[Callable[[int], None]]


@pytest.fixture
def as_if(monkeypatch: pytest.MonkeyPatch) -> Callable[..., LatencyTable]:
    """Measures a net as if its latency were a function of its widths, with so much spread in the turns."""

    def measured(net: Net, cost: Callable[[dict[str, int]], float], spread: float = 0.0) -> LatencyTable:
        graph, seen = net.graph(), []

        def pretended(runs: Runs) -> list[list[float]]:
            times = [cost(widths) for widths in seen] or [1.0] * len(runs)
            return [[t * (1 + spread * (turn - 2)) for turn in range(9)] for t in times]

        monkeypatch.setattr(latency, "timed", pretended)
        for _ in range(2):  # the first time says at which widths
            found = measure(graph, cost_models(graph)["macs"], 1, torch.device("cpu"))
            seen = [reading.widths for reading in found.readings]
        return found

    return measured


@pytest.mark.parametrize("net", NETS, ids=str)
def test_a_quadratic_is_found_again(net: Net, as_if: Callable[..., LatencyTable], tmp_path: Path) -> None:
    """If latency is what multiply-adds are, the fit says what multiply-adds are, at any widths."""
    graph = net.graph()
    macs = cost_models(graph)["macs"]
    found = as_if(net, lambda widths: 100 + macs.of(widths))
    assert found.error < 1e-6
    random = np.random.default_rng(0)
    for _ in range(5):
        other = {name: int(random.integers(1, 5 * n)) for name, n in graph.widths().items()}
        assert fitted(found).of(other) == pytest.approx(100 + macs.of(other), rel=1e-4)
    write(tmp_path / "latency.json", found)
    assert read(tmp_path / "latency.json") == found
    assert [reading.fitted for reading in found.readings] == [fitted(found).of(r.widths) for r in found.readings]
    assert found.readings[0].widths == graph.widths()
    for name, n in graph.widths().items():
        assert [r.widths[name] for r in found.readings].count(4 * n) == 1


def test_a_line_says_at_once_that_it_is_measured(
    as_if: Callable[..., LatencyTable], capsys: pytest.CaptureFixture[str]
) -> None:
    found = as_if(NETS[0], lambda widths: 1.0 + sum(widths.values()))
    lines = capsys.readouterr().err.splitlines()
    assert lines == 2 * [f"measuring latency: {len(found.readings)} widths of the network in turns"]


def test_no_group_is_free(as_if: Callable[..., LatencyTable]) -> None:
    """What cannot be told from noise costs as much as the noise."""
    net = named("two_consumers")
    found = as_if(net, lambda widths: 500.0, spread=0.01)
    noise = (3 / 16 / 9) ** 0.5 * (0.4 - 0.1) * 8 * 5.0 / 0.3  # nine turns, 5 us apart
    assert found.readings[0].microseconds == pytest.approx(500)
    assert found.readings[0].noise == pytest.approx(noise)
    model = fitted(found)
    seed = model.vector(net.graph().widths())
    assert (model.marginal(seed) * seed).tolist() == pytest.approx([noise] * len(seed))


def test_noise_at_small_widths_is_not_taken_for_a_cost_at_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a network that is all overhead, whose ladder leads far, with turns that are some per cent apart."""
    graph = named("two_consumers").graph()
    macs = cost_models(graph)["macs"]

    def takes(model: nn.Module, graph: Graph, *_: object) -> float:
        return 100 + 0.001 * macs.of(graph.on(model).widths())

    def pretended(costs: list[float]) -> list[list[float]]:
        return [[cost * (1 + 0.02 * (turn - 2)) for turn in range(9)] for cost in costs]

    monkeypatch.setattr(latency, "passes", takes)
    monkeypatch.setattr(latency, "timed", pretended)
    found = measure(graph, macs, 1, torch.device("cpu"), lambda seed: 5 * seed)
    assert max(one.microseconds for one in found.readings) > 500
    assert found.error < 0.02


@pytest.mark.parametrize("net", NETS, ids=str)
def test_what_is_timed_is_the_network_at_those_widths(net: Net) -> None:
    graph = net.graph()
    inputs, _ = net.sample()
    for name, n in graph.widths().items():
        model = widened(graph, {name: 4})
        assert graph.on(model).widths() == {**graph.widths(), name: 4 * n}
        assert torch.allclose(model.eval()(inputs), graph.model.eval()(inputs))


@dataclass
class Machine:
    """A clock, and passes that take what they are said to; other work slows some turns down."""

    load: Callable[[], float]
    now: float = 0.0

    def run(self, seconds: float) -> Callable[[int], None]:
        def passes(count: int) -> None:
            self.now += count * seconds * self.load()

        return passes

    def times(self, monkeypatch: pytest.MonkeyPatch, *seconds: float) -> list[list[float]]:
        monkeypatch.setattr(latency, "clock", lambda: self.now)
        return timed([self.run(one) for one in seconds])


def test_turns_are_interleaved_and_passes_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []
    monkeypatch.setattr(latency, "ROUNDS", (4, 4))
    times = timed([lambda k: calls.append(("a", k)), lambda k: calls.append(("b", k))])
    assert [len(turns) for turns in times] == [4, 4]
    assert [name for name, _ in calls[4:]] == ["a", "b", "b", "a"] * 2
    graph = named("norm").graph()
    before = graph.model.training
    passes(graph.model, graph, 3, torch.device("cpu"))(2)
    assert graph.model.training == before


def test_a_quiet_machine_needs_few_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    times = Machine(lambda: 1.0).times(monkeypatch, 1e-4, 3e-4)
    assert [len(turns) for turns in times] == [20, 20]
    assert [undisturbed(turns) for turns in times] == pytest.approx([100, 300])


@pytest.mark.parametrize("busy", [0.3, 0.5, 0.6])
def test_other_work_on_the_machine_hardly_moves_the_latency(busy: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two to six times as slow in so many turns, at random: the median would be off by up to that much."""
    random = np.random.default_rng(0)

    def load() -> float:
        return float(random.uniform(2, 6) if random.random() < busy else random.uniform(1, 1.01))

    times = Machine(load).times(monkeypatch, 1e-4, 3e-4)
    assert [undisturbed(turns) for turns in times] == pytest.approx([100, 300], rel=0.02)


def test_it_goes_on_while_the_noise_is_large_and_says_how_large_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    (turns,) = Machine(lambda: float(random.uniform(1, 30))).times(monkeypatch, 1e-4)
    assert len(turns) == 400
    estimates = [np.quantile(random.uniform(100, 3000, 400), 0.25) for _ in range(300)]
    assert standard_error(turns) == pytest.approx(float(np.std(estimates)), rel=0.5)
    assert standard_error(turns) > 0.02 * undisturbed(turns)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"batch": 1}', b'{"batch": "x"}', b"\xff"])
def test_a_file_that_is_no_table_is_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    assert read(path) is None
    path.write_bytes(content)
    assert read(path) is None


def test_one_table_for_all_who_ask_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = named("norm").graph(dtype=torch.float32)
    macs, device, measured = cost_models(graph)["macs"], torch.device("cpu"), []

    def once(*arguments: object) -> LatencyTable:
        measured.append(arguments)
        return measure(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(latency, "measure", once)
    first = latency.latency(graph, macs, 2, device, tmp_path, {"backbone": "one"})
    assert latency.latency(graph, macs, 2, device, tmp_path, {"backbone": "one"}) == first
    assert len(measured) == 1
    latency.latency(graph, macs, 2, device, tmp_path, {"backbone": "two"})
    latency.latency(graph, macs, 3, device, tmp_path, {"backbone": "one"})
    assert len(measured) == 3
    assert len(list(tmp_path.glob("latency-*.json"))) == 3
