"""Latency as a cost: measured on the device at a small table of widths for each group, and fitted by a quadratic.

The table has the seed network; the network with one group doubled, and with one group four times as wide; and with two
groups doubled that one layer joins. The networks are timed in turns, so that what else the machine does falls on all
of them alike. The fit is of the form that every cost has (`bench.cost`), with no coefficient below zero, and no
group cheaper than the noise of its own readings: what cannot be told from nothing is not free.
"""

from __future__ import annotations

import copy
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor, nn

from bench.cost import Price
from bench.graph import Graph, evaluation
from bench.plan import GrowthPlan, Split
from bench.store import write_atomic
from bench.surgery import apply

ROUNDS = 9
TURN = 0.005
"""Seconds of passes in one turn at least."""


@dataclass(frozen=True)
class Reading:
    """Latency at some widths.

    Attributes:
        widths: Neurons of each group.
        microseconds: Of one pass; median over the turns.
        noise: Standard error of the median in microseconds, from the turns' median absolute deviation.
        fitted: What the fit says.
    """

    widths: dict[str, int]
    microseconds: float
    noise: float
    fitted: float = 0.0


@dataclass(frozen=True)
class Latency:
    """Latency as a function of the widths, with what it was fitted to.

    Attributes:
        batch: Inputs of one pass.
        constant: Of the fit, in microseconds.
        linear: Of the fit, by group.
        cross: Of the fit: (group, group, coefficient).
        readings: The table, the seed network first.
        error: Root mean square of (fitted - measured) / measured over the table.
    """

    batch: int
    constant: float
    linear: dict[str, float]
    cross: list[tuple[str, str, float]]
    readings: list[Reading]
    error: float

    @property
    def price(self) -> Price:
        """As a `Price`, in microseconds."""
        groups = tuple(self.linear)
        cross = np.zeros((len(groups), len(groups)))
        for one, two, value in self.cross:
            cross[groups.index(one), groups.index(two)] += value
        return Price(groups, self.constant, np.array(list(self.linear.values())), cross)


def latency(
    graph: Graph, macs: Price, batch: int, device: torch.device, folder: Path, key: Mapping[str, Any]
) -> Latency:
    """The latency of a seed network: read from its file if it was measured before, else measured.

    One file serves all methods, so that they climb one ladder.

    Args:
        graph: The seed network.
        macs: Its multiply-adds; says which groups share a layer.
        batch: Inputs of one pass.
        device: Where to measure.
        folder: Where the file is, or goes.
        key: What the latency depends on besides the graph, the batch and the threads: the backbone's options, the kind
            of machine.
    """
    shape = [list(graph.widths().items()), macs.of(graph.widths())]
    named = json.dumps([key, batch, shape, torch.get_num_threads()], sort_keys=True)
    path = folder / f"latency-{hashlib.sha256(named.encode()).hexdigest()[:16]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        try:
            return read(json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            found = measure(graph, macs, batch, device)
            write_atomic(path, json.dumps(asdict(found), indent=1) + "\n")
            return found


def read(found: Mapping[str, Any]) -> Latency:
    """A `Latency` from plain data, as ``asdict`` gives it."""
    cross = [(str(one), str(two), float(value)) for one, two, value in found["cross"]]
    return Latency(**{**found, "cross": cross, "readings": [Reading(**reading) for reading in found["readings"]]})


def measure(graph: Graph, macs: Price, batch: int, device: torch.device) -> Latency:
    """Measure the table and fit it."""
    groups, seed = macs.groups, graph.widths()
    joined = macs.cross + macs.cross.T
    pairs = [(i, j) for i in range(len(groups)) for j in range(i, len(groups)) if joined[i, j]]
    table: list[dict[str, int]] = [{}]
    table += [{name: factor} for name in groups for factor in (2, 4)]
    table += [{groups[i]: 2, groups[j]: 2} for i, j in pairs if i != j]
    networks = [widened(graph, factors) for factors in table]
    times = timed([passes(network, graph.input_shape, batch, device) for network in networks])
    widths = [{name: n * factors.get(name, 1) for name, n in seed.items()} for factors in table]
    middle = [median(turns) for turns in times]
    noise = [
        1.4826 * median(abs(t - m) for t in turns) / len(turns) ** 0.5 for turns, m in zip(times, middle, strict=True)
    ]
    scaled = np.array([[found[name] / seed[name] for name in groups] for found in widths])
    solution = _fit(scaled, pairs, np.array(middle))
    own = np.array([max(noise[1 + 2 * i], noise[2 + 2 * i]) for i in range(len(groups))])
    sizes = np.array([seed[name] for name in groups])
    linear = np.maximum(solution[1 : 1 + len(groups)], own) / sizes
    cross = [
        (groups[i], groups[j], float(value / sizes[i] / sizes[j]))
        for (i, j), value in zip(pairs, solution[1 + len(groups) :], strict=True)
    ]
    slopes = dict(zip(groups, linear.tolist(), strict=True))
    bare = Latency(batch, float(solution[0]), slopes, cross, [], 0.0).price
    readings = [Reading(found, m, float(s), bare.of(found)) for found, m, s in zip(widths, middle, noise, strict=True)]
    error = float(np.sqrt(np.mean([(r.fitted / r.microseconds - 1) ** 2 for r in readings])))
    return Latency(batch, float(solution[0]), slopes, cross, readings, error)


def _fit(scaled: NDArray[np.float64], pairs: list[tuple[int, int]], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients of 1, of each width over the seed's and of each pair's product, none below zero."""
    products = np.array([[row[i] * row[j] for i, j in pairs] for row in scaled]).reshape(len(scaled), len(pairs))
    rows = np.hstack([np.ones((len(scaled), 1)), scaled, products])
    answer: NDArray[np.float64] = nnls(rows / times[:, None], np.ones(len(times)))[0]
    return answer


def now(graph: Graph, batch: int, device: torch.device) -> float:
    """Microseconds of one pass of the network as it is, the median over turns."""
    return median(timed([passes(graph.model, graph.input_shape, batch, device)])[0])


def widened(graph: Graph, factors: Mapping[str, int]) -> nn.Module:
    """A copy of the network with some groups so many times as wide."""
    model = copy.deepcopy(graph.model)
    splits = [
        Split(group, neuron, (1 / factor,) * factor)
        for name, factor in factors.items()
        for group in (graph.groups[name],)
        for neuron in range(graph.widths()[name])
    ]
    apply(model, None, GrowthPlan(tuple(splits)), 0.0)
    return model


def passes(model: nn.Module, input_shape: tuple[int, ...], batch: int, device: torch.device) -> Callable[[int], None]:
    """A function that makes so many passes and waits for the device."""
    inputs = torch.zeros(batch, *input_shape, device=device, dtype=next(model.parameters()).dtype)
    if inputs.dim() == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)

    def run(count: int) -> None:
        with evaluation(model), torch.inference_mode():
            for _ in range(count):
                found: Tensor = model(inputs)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            elif device.type != "cpu":
                found.cpu()

    return run


def timed(runs: list[Callable[[int], None]], rounds: int = ROUNDS) -> list[list[float]]:
    """Microseconds of one pass in each of ``rounds`` turns, the runs taking turns."""
    counts = []
    for run in runs:
        run(2)
        started = time.perf_counter()
        run(2)
        counts.append(max(2, round(TURN / max((time.perf_counter() - started) / 2, 1e-9))))
    times: list[list[float]] = [[] for _ in runs]
    for number in range(rounds):
        order = range(len(runs)) if number % 2 == 0 else reversed(range(len(runs)))
        for i in order:
            started = time.perf_counter()
            runs[i](counts[i])
            times[i].append((time.perf_counter() - started) / counts[i] * 1e6)
    return times
