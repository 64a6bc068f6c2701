"""Latency as a cost: the fit against costs that are known, and the networks that are timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
import torch

from bench.network import latency
from bench.network.cost import cost_models
from bench.network.latency import Latency, measure, passes, read, timed, widened
from tests.nets import NETS, Net, named

Runs = list[Callable[[int], None]]


@pytest.fixture
def as_if(monkeypatch: pytest.MonkeyPatch) -> Callable[..., LatencyTable]:
    """Measures a net as if its latency were a function of its widths, with so much spread in the turns."""

    def measured(net: Net, cost: Callable[[dict[str, int]], float], spread: float = 0.0) -> LatencyTable:
        graph, seen = net.graph(), []

        def pretended(runs: Runs, rounds: int = 9) -> list[list[float]]:
            times = [cost(widths) for widths in seen] or [1.0] * len(runs)
            return [[t * (1 + spread * (turn - rounds // 2)) for turn in range(rounds)] for t in times]

        monkeypatch.setattr(latency, "timed", pretended)
        for _ in range(2):  # the first time says at which widths
            found = measure(graph, cost_models(graph)["macs"], 1, torch.device("cpu"))
            seen = [reading.widths for reading in found.readings]
        return found

    return measured


@pytest.mark.parametrize("net", NETS, ids=str)
def test_a_quadratic_is_found_again(net: Net, as_if: Callable[..., LatencyTable]) -> None:
    """If latency is what multiply-adds are, the fit says what multiply-adds are, at any widths."""
    graph = net.graph()
    macs = cost_models(graph)["macs"]
    found = as_if(net, lambda widths: 100 + macs.of(widths))
    assert found.error < 1e-6
    random = np.random.default_rng(0)
    for _ in range(5):
        other = {name: int(random.integers(1, 5 * n)) for name, n in graph.widths().items()}
        assert found.model.of(other) == pytest.approx(100 + macs.of(other), rel=1e-4)
    assert read(asdict(found)) == found
    assert found.readings[0].widths == graph.widths()
    for name, n in graph.widths().items():
        assert [r.widths[name] for r in found.readings].count(4 * n) == 1


def test_no_group_is_free(as_if: Callable[..., LatencyTable]) -> None:
    """What cannot be told from noise costs as much as the noise."""
    net = named("two_consumers")
    found = as_if(net, lambda widths: 500.0, spread=0.01)
    noise = 1.4826 * 2 * 5.0 / 3
    assert found.readings[0].noise == pytest.approx(noise)
    seed = found.model.vector(net.graph().widths())
    assert (found.model.marginal(seed) * seed).tolist() == pytest.approx([noise] * len(seed))


@pytest.mark.parametrize("net", NETS, ids=str)
def test_what_is_timed_is_the_network_at_those_widths(net: Net) -> None:
    graph = net.graph()
    inputs, _ = net.sample()
    for name, n in graph.widths().items():
        model = widened(graph, {name: 4})
        assert graph.on(model).widths() == {**graph.widths(), name: 4 * n}
        assert torch.allclose(model.eval()(inputs), graph.model.eval()(inputs))


def test_turns_are_interleaved_and_passes_counted() -> None:
    calls: list[tuple[str, int]] = []
    times = timed([lambda k: calls.append(("a", k)), lambda k: calls.append(("b", k))], rounds=4)
    assert [len(turns) for turns in times] == [4, 4]
    assert [name for name, _ in calls[4:]] == ["a", "b", "b", "a"] * 2
    model = named("norm").graph().model.float()
    before = model.training
    passes(model, (2, 6, 6), 3, torch.device("cpu"))(2)
    assert model.training == before
