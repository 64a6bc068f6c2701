"""Latency as a cost: measured on the device at a small table of widths for each group, and fitted by a quadratic.

The table has the seed network; the network with one group doubled, and with one group four times as wide; and with two
groups doubled that one layer joins. Where a ladder leads further, all groups together are doubled until a pass takes as
long as the last rung allows, and each group and each two that are joined are measured as wide as that.

The networks are timed in turns, so that what else the machine does falls on all of them alike, until the lower quartile
of each one's turns, which other work on the machine hardly moves, is known to 2 %, or for 400 turns. Turns are short:
most pass between two interruptions. The fit is of the form that every cost has (`bench.network.cost`), with no
coefficient below zero, and no group cheaper than the noise of its own readings: what cannot be told from nothing is not
free.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter as clock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.core.files import locked, read_file, write_atomic
from bench.core.output import note
from bench.core.record import LatencyTable, Reading, Unreadable, decode, plain
from bench.network.graph import Graph
from bench.network.modes import evaluation
from bench.network.plan import GrowthPlan, Split
from bench.network.quadratic import CostModel
from bench.network.surgery import apply

ROUNDS = (20, 400)
"""Turns of each network at least and at most."""

PRECISION = 0.02
"""Standard error of a latency, as a share of it, at which no more turns are needed."""

TURN = 0.001
"""Seconds of passes in one turn at least."""


def fitted(table: LatencyTable) -> CostModel:
    """The fit as a `CostModel`, in microseconds."""
    groups = tuple(table.linear)
    cross = np.zeros((len(groups), len(groups)))
    for one, two, value in table.cross:
        cross[groups.index(one), groups.index(two)] += value
    known = max((reading.microseconds for reading in table.readings), default=0.0)
    return CostModel(groups, table.constant, np.array(list(table.linear.values())), cross, known)


def latency(
    graph: Graph,
    macs: CostModel,
    batch: int,
    device: torch.device,
    folder: Path,
    key: Mapping[str, object],
    last: Callable[[float], float] = float,
) -> LatencyTable:
    """The latency of a seed network: read from its file if it was measured before, else measured.

    One file serves all methods, so that they climb one ladder.

    Args:
        graph: The seed network.
        macs: Its multiply-adds; says which groups share a layer.
        batch: Inputs of one pass.
        device: Where to measure.
        folder: Where the file is, or goes.
        key: What the table depends on besides the graph, the batch and the threads: the backbone's options, the kind
            of machine, how far the ladder leads.
        last: What the last rung allows, by what the seed network takes.
    """
    shape = [list(graph.widths().items()), macs.of(graph.widths())]
    named = json.dumps([key, batch, shape, torch.get_num_threads()], sort_keys=True)
    path = folder / f"latency-{hashlib.sha256(named.encode()).hexdigest()[:16]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock")):
        found = read(path)
        if found is None:
            found = measure(graph, macs, batch, device, last)
            write(path, found)
        return found


def read(path: Path) -> LatencyTable | None:
    """A table from its file; None where there is no readable one."""
    try:
        return decode(read_file(path), LatencyTable)
    except (OSError, Unreadable):
        return None


def write(path: Path, table: LatencyTable) -> None:
    """A table into its file."""
    write_atomic(path, json.dumps(plain(table), indent=1) + "\n")


def measure(
    graph: Graph, macs: CostModel, batch: int, device: torch.device, last: Callable[[float], float] = float
) -> LatencyTable:
    """Measure the table, as far out as the ladder's last rung, and fit it."""
    groups, seed = macs.groups, graph.widths()
    joined = macs.cross + macs.cross.T
    pairs = [(i, j) for i in range(len(groups)) for j in range(i, len(groups)) if joined[i, j]]
    table: list[dict[str, int]] = [{}]
    table += [{name: factor} for name in groups for factor in (2, 4)]
    table += [{groups[i]: 2, groups[j]: 2} for i, j in pairs if i != j]
    if together := _doublings(graph, batch, device, last):
        table += [dict.fromkeys(groups, factor) for factor in together]
        table += [dict.fromkeys((groups[i], groups[j]), together[-1]) for i, j in pairs]
        table += [{name: together[-1]} for name in groups]
        table = [one for i, one in enumerate(table) if one not in table[:i]]
    note(f"measuring latency: {len(table)} widths of the network in turns")
    networks = [widened(graph, factors) for factors in table]
    times = timed([passes(network, graph, batch, device) for network in networks])
    widths = [{name: n * factors.get(name, 1) for name, n in seed.items()} for factors in table]
    middle, noise = [undisturbed(turns) for turns in times], [standard_error(turns) for turns in times]
    scaled = np.array([[found[name] / seed[name] for name in groups] for found in widths])
    solution = _fit(scaled, pairs, np.array(middle))
    if together:  # the wider, the less a neuron's share of the noise
        own = np.array([noise[table.index({name: together[-1]})] / together[-1] for name in groups])
    else:
        own = np.array([max(noise[1 + 2 * i], noise[2 + 2 * i]) for i in range(len(groups))])
    sizes = np.array([seed[name] for name in groups])
    linear = np.maximum(solution[1 : 1 + len(groups)], own) / sizes
    cross = [
        (groups[i], groups[j], float(value / sizes[i] / sizes[j]))
        for (i, j), value in zip(pairs, solution[1 + len(groups) :], strict=True)
    ]
    slopes = dict(zip(groups, linear.tolist(), strict=True))
    bare = fitted(LatencyTable(batch, float(solution[0]), slopes, cross, [], 0.0))
    readings = [Reading(found, m, float(s), bare.of(found)) for found, m, s in zip(widths, middle, noise, strict=True)]
    error = float(np.sqrt(np.mean([(r.fitted / r.microseconds - 1) ** 2 for r in readings])))
    return LatencyTable(batch, float(solution[0]), slopes, cross, readings, error)


def _fit(scaled: NDArray[np.float64], pairs: list[tuple[int, int]], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients of 1, of each width over the seed's and of each pair's product, none below zero."""
    from scipy.optimize import nnls  # half a second that most runs need not wait for

    products = np.array([[row[i] * row[j] for i, j in pairs] for row in scaled]).reshape(len(scaled), len(pairs))
    rows = np.hstack([np.ones((len(scaled), 1)), scaled, products])
    answer: NDArray[np.float64] = nnls(rows / times[:, None], np.ones(len(times)))[0]
    return answer


def now(graph: Graph, batch: int, device: torch.device, factors: Mapping[str, int] | None = None) -> float:
    """Microseconds of one pass of the network as it is, or with some groups so many times as wide."""
    model = widened(graph, factors) if factors else graph.model
    return undisturbed(timed([passes(model, graph, batch, device)])[0])


def _doublings(graph: Graph, batch: int, device: torch.device, last: Callable[[float], float]) -> list[int]:
    """Factors 2, 4, ... of all widths, until a pass takes as long as the last rung allows."""
    takes, factors = now(graph, batch, device), list[int]()
    end = last(takes)
    while takes < end:
        factors.append(2 ** (len(factors) + 1))
        takes = now(graph, batch, device, dict.fromkeys(graph.groups, factors[-1]))
    return factors


def undisturbed(turns: Sequence[float]) -> float:
    """What a pass takes where nothing else is in its way: the lower quartile of its turns."""
    return float(np.quantile(turns, 0.25))


def standard_error(turns: Sequence[float]) -> float:
    """Of `undisturbed`: ``sqrt(q (1 - q) / n)`` over the density of the turns there, taken from quantiles around it."""
    around = np.quantile(turns, [0.1, 0.4])
    return float((0.25 * 0.75 / len(turns)) ** 0.5 * (around[1] - around[0]) / 0.3)


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


def passes(model: nn.Module, graph: Graph, batch: int, device: torch.device) -> Callable[[int], None]:
    """A function that makes so many passes of a network of this graph and waits for the device."""
    dtype = graph.dtype or next(model.parameters()).dtype
    inputs = torch.zeros(batch, *graph.input_shape, device=device, dtype=dtype)
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


def timed(runs: Sequence[Callable[[int], None]]) -> list[list[float]]:
    """Microseconds of one pass in each of many turns, the runs taking turns."""
    counts = []
    for run in runs:
        run(2)
        started = clock()
        run(2)
        counts.append(max(2, round(TURN / max((clock() - started) / 2, 1e-9))))
    times: list[list[float]] = [[] for _ in runs]
    least, most = ROUNDS
    for number in range(most):
        order = range(len(runs)) if number % 2 == 0 else reversed(range(len(runs)))
        for i in order:
            started = clock()
            runs[i](counts[i])
            times[i].append((clock() - started) / counts[i] * 1e6)
        if number + 1 >= least and all(standard_error(turns) <= PRECISION * undisturbed(turns) for turns in times):
            break
    return times
