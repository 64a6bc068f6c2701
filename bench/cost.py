"""What a network costs, and what one more neuron of a group adds.

Three costs, all of one inference on one input:

* ``params``: trainable parameters.
* ``macs``: multiply-adds of ``Linear`` and ``Conv2d`` layers.
* ``energy``: picojoules, by `ENERGY_PJ`: every multiply-add, every weight fetched once from DRAM, and
  every layer output written to and read from on-chip memory once.

Each is a quadratic in the groups' widths, for a layer's cost is the product of the channels it reads
and the channels it makes. So the price of growth is known exactly without building the grown network::

    cost(n) = constant + linear . n + n^T cross n
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from bench.graph import Graph, width
from bench.operations import is_depthwise

Metric = Literal["params", "macs", "energy"]
METRICS: tuple[str, ...] = get_args(Metric)
LATENCY = "latency"
"""A fourth cost, which is measured (`bench.latency`)."""

ENERGY_PJ = {"multiply": 3.7, "add": 0.9, "sram": 5.0, "dram": 640.0}
"""Picojoules per 32-bit operation in a 45 nm process: float multiply, float add, one word from an 8 KB
SRAM, one word from DRAM. M. Horowitz, "Computing's energy problem (and what we can do about it)",
ISSCC 2014, figure 1.1.9."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Price:
    """One cost as a quadratic in the widths of ``groups``."""

    groups: tuple[str, ...]
    constant: float
    linear: Vector
    cross: Vector

    def vector(self, widths: Mapping[str, int]) -> Vector:
        """Widths by name as a vector in the order of ``groups``."""
        return np.array([widths[name] for name in self.groups], dtype=np.float64)

    def of(self, widths: Mapping[str, int]) -> float:
        """The cost at these widths."""
        return self.at(self.vector(widths))

    def at(self, n: Vector) -> float:
        """The cost at widths ``n``, shape ``(groups,)``."""
        return float(self.constant + self.linear @ n + n @ self.cross @ n)

    def marginal(self, n: Vector, added: int = 1) -> Vector:
        """What ``added`` more neurons of each group, alone, add to the cost: shape ``(groups,)``."""
        slope = self.linear + (self.cross + self.cross.T) @ n
        return np.asarray(added * slope + added**2 * np.diag(self.cross))


@dataclass(frozen=True)
class _Channels:
    """A channel count: fixed, or the width of a group times the entries per channel."""

    group: str | None
    count: int  # all of them when fixed, entries per channel otherwise


class _Sum:
    """Collects terms ``factor * a`` and ``factor * a * b`` in channel counts."""

    def __init__(self, groups: tuple[str, ...]) -> None:
        self.groups = groups
        self.constant = 0.0
        self.linear = np.zeros(len(groups))
        self.cross = np.zeros((len(groups), len(groups)))

    def add(self, factor: float, *channels: _Channels) -> None:
        factor *= prod(c.count for c in channels)
        where = [self.groups.index(c.group) for c in channels if c.group is not None]
        if not where:
            self.constant += factor
        elif len(where) == 1:
            self.linear[where[0]] += factor
        else:
            self.cross[where[0], where[1]] += factor

    def price(self) -> Price:
        return Price(self.groups, self.constant, self.linear, self.cross)


def prices(graph: Graph) -> dict[str, Price]:
    """The `Price` of the graph's model in each of `METRICS`."""
    groups = tuple(graph.groups)
    params, macs, words = _Sum(groups), _Sum(groups), _Sum(groups)
    seen: set[str] = set()
    for node in graph.nodes.nodes:
        if node.op != "call_module":
            continue
        path = str(node.target)
        layer = graph.model.get_submodule(path)
        first = path not in seen
        seen.add(path)
        if isinstance(layer, nn.Linear | nn.Conv2d):
            _count_layer(graph, node, layer, params if first else _Sum(groups), macs, words)
        elif first:
            _count_channelwise(graph, node, layer, params)
    counted = params.price().of(graph.widths())
    params.constant += sum(p.numel() for p in graph.model.parameters()) - counted
    energy = _Sum(groups)
    for amount, picojoules in (
        (macs, ENERGY_PJ["multiply"] + ENERGY_PJ["add"]),
        (params, ENERGY_PJ["dram"]),
        (words, 2 * ENERGY_PJ["sram"]),
    ):
        energy.constant += picojoules * amount.constant
        energy.linear += picojoules * amount.linear
        energy.cross += picojoules * amount.cross
    return {"params": params.price(), "macs": macs.price(), "energy": energy.price()}


def released_cost(graph: Graph) -> Vector:
    """Multiply-adds that the released code of fast S2D (arXiv 1910.03103) counts for one more neuron of each group.

    ``k^2 C_in res^2`` of its producer, ``k^2 res^2`` of each depthwise convolution that the producer reads through, and
    ``k_next^2 res_next^2`` of each convolution that reads it (``C_out`` of a linear layer), with the resolutions of the
    layers' outputs. It leaves out that a convolution that reads one more channel does so for all of its outputs.

    Returns:
        Shape ``(groups,)``, in the order of the graph's groups.
    """
    calls = {str(n.target): n for n in graph.nodes.nodes if n.op == "call_module"}

    def kernel(path: str) -> int:
        layer = graph.model.get_submodule(path)
        return prod(layer.kernel_size) if isinstance(layer, nn.Conv2d) else 1

    def positions(path: str) -> int:
        return _positions(calls[path], graph.model.get_submodule(path))

    found = []
    for group in graph.groups.values():
        total = 0
        for producer in (p.module for p in group.producers):
            feeding = (g for g in graph.groups.values() if producer in {c.module for c in g.consumers})
            behind = [m.module for g in feeding for m in g.chain if is_depthwise(graph.model.get_submodule(m.module))]
            weight = graph.model.get_submodule(producer).weight
            assert isinstance(weight, Tensor)
            total += positions(producer) * (prod(weight.shape[1:]) + sum(kernel(path) for path in behind))
        for path in (c.module for c in group.consumers):
            layer = graph.model.get_submodule(path)
            total += positions(path) * (layer.out_features if isinstance(layer, nn.Linear) else kernel(path))
        found.append(float(total))
    return np.array(found)


def _count_layer(
    graph: Graph, node: fx.Node, layer: nn.Linear | nn.Conv2d, params: _Sum, macs: _Sum, words: _Sum
) -> None:
    out = _channels(graph, node, layer.weight.shape[0])
    positions, kernel = _positions(node, layer), prod(layer.kernel_size) if isinstance(layer, nn.Conv2d) else 1
    if is_depthwise(layer):
        factors: tuple[_Channels, ...] = (out,)
    else:
        factors = (_channels(graph, node.all_input_nodes[0], layer.weight.shape[1]), out)
    params.add(kernel, *factors)
    macs.add(kernel * positions, *factors)
    words.add(positions, out)
    if layer.bias is not None:
        params.add(1, out)


def _positions(node: fx.Node, layer: nn.Module) -> int:
    """Places at which a layer's output has all of its channels."""
    shape = tuple(node.meta["tensor_meta"].shape)
    return prod(shape[2:] if isinstance(layer, nn.Conv2d) else shape[1:-1])


def _count_channelwise(graph: Graph, node: fx.Node, layer: nn.Module, params: _Sum) -> None:
    group = graph.group_of(node)
    if group is None or str(node.target) not in {member.module for member in group.chain}:
        return
    for parameter in layer.parameters(recurse=False):
        if parameter.shape[0] % width(graph.model, group) == 0:
            params.add(1, _channels(graph, node, parameter.shape[0]))


def _channels(graph: Graph, node: fx.Node, count: int) -> _Channels:
    group = graph.group_of(node)
    return _Channels(None, count) if group is None else _Channels(group.name, count // width(graph.model, group))
