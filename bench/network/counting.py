"""How parameters, multiply-adds and words are counted: products of axes, as terms in the widths of the groups."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from torch import fx

from bench.network.graph import Graph
from bench.network.groups import Axis, length
from bench.network.operations import UNKNOWN, entry
from bench.network.program import BATCH, of_each_input, operation
from bench.network.quadratic import CostModel, Vector


class Terms:
    """A sum of products of axes: ``constant + linear . n + n^T cross n`` in the groups' widths n."""

    def __init__(self, groups: tuple[str, ...]) -> None:
        self.groups = groups
        self.constant = 0.0
        self.linear = np.zeros(len(groups))
        self.cross = np.zeros((len(groups), len(groups)))

    def include(self, factor: float, other: Terms) -> None:
        """Add so many times the other's terms."""
        self.constant += factor * other.constant
        self.linear += factor * other.linear
        self.cross += factor * other.cross

    def add(self, factor: float, axes: Sequence[Axis]) -> None:
        """Add the product of the axes' lengths, of which two at most may grow."""
        growing = [axis for axis in axes if any(run.channels for run in axis)]
        factor *= prod(length(axis, {}) for axis in axes if axis not in growing)
        assert len(growing) <= 2, "the graph keeps more from growing"
        fixed = [sum(run.block for run in axis if run.channels is None) for axis in growing]
        slopes = [self._slope(axis) for axis in growing]
        self.constant += factor * prod(fixed)
        for i, slope in enumerate(slopes):
            self.linear += factor * prod(f for j, f in enumerate(fixed) if j != i) * slope
        if len(slopes) == 2:
            self.cross += factor * np.outer(*slopes)

    def _slope(self, axis: Axis) -> Vector:
        slope = np.zeros(len(self.groups))
        for run in axis:
            if run.group is not None:
                slope[self.groups.index(run.group)] += run.outer * run.block
        return slope

    def model(self) -> CostModel:
        return CostModel(self.groups, self.constant, self.linear, self.cross)


def count_params(graph: Graph) -> Terms:
    """Parameters."""
    params = Terms(tuple(graph.groups))
    for name, parameter in graph.model.named_parameters():
        if name in graph.parameters:
            params.add(1, graph.parameters[name])
        else:
            params.constant += parameter.numel()
    return params


def count_macs(graph: Graph) -> Terms:
    """Multiply-adds of matrix products, convolutions and attention, for one input; but for ``graph.uncounted``."""
    macs = Terms(tuple(graph.groups))
    for node, products in graph.macs.items():
        for axes in products:
            macs.add(_for_one(node), axes)
    return macs


def count_words(graph: Graph) -> Terms:
    """Numbers that what has a weight puts out, for one input."""
    words = Terms(tuple(graph.groups))
    for node in graph.macs:
        unknown = entry(node.target) is UNKNOWN and weight_of(graph, node)
        if node in graph.layers or "conv" in operation(node.target) or unknown:
            words.add(_for_one(node), graph.layouts[node][0])
    return words


def _for_one(node: fx.Node) -> float:
    """The share of what a node of the graph computes that counts for one input: what reads no input is done whole."""
    return 1 / BATCH if of_each_input(node) else 1.0


def released_cost(graph: Graph) -> Vector:
    """Multiply-adds that the released code of fast S2D (arXiv 1910.03103) counts for one more neuron of each group.

    ``k^2 C_in res^2`` of its producer, ``k^2 res^2`` of each depthwise convolution that the producer reads through, and
    ``k_next^2 res_next^2`` of each convolution that reads it (``C_out`` of a linear layer), with the resolutions of the
    layers' outputs. It leaves out that a convolution that reads one more channel does so for all of its outputs.

    Returns:
        Shape ``(groups,)``, in the order of the graph's groups.
    """
    uses = {layer.weight: node for node, layer in graph.layers.items()}
    depthwise = {weight_of(graph, node): node for node in graph.macs if node not in graph.layers}
    found = []
    for group in graph.groups.values():
        total = 0
        for producer in (producer.weight.tensor for producer in group.producers):
            feeding = [g for g in graph.groups.values() if producer in {c.tensor for c in g.consumers}]
            behind = [depthwise[s.tensor] for g in feeding for s in g.chain if s.tensor in depthwise]
            node = uses[producer]
            total += _positions(graph, node) * (_row(graph, node) + sum(_kernel(graph, one) for one in behind))
        for consumer in (consumer.tensor for consumer in group.consumers):
            node = uses[consumer]
            linear = not operation(node.target).startswith("conv")
            outputs = length(graph.layouts[node][0][-1], graph.widths())
            total += _positions(graph, node) * (outputs if linear else _kernel(graph, node))
        found.append(float(total))
    return np.array(found)


def weight_of(graph: Graph, node: fx.Node) -> str:
    """Name of the weight of a convolution; empty for what has none."""
    names, sources = graph.program.names, node.all_input_nodes
    return next((names[s] for s in sources if s in names and len(graph.parameters[names[s]]) > 1), "")


def _lengths(graph: Graph, axes: Sequence[Axis]) -> int:
    return prod(length(axis, graph.widths()) for axis in axes)


def _kernel(graph: Graph, node: fx.Node) -> int:
    return _lengths(graph, graph.parameters[weight_of(graph, node)][2:])


def _row(graph: Graph, node: fx.Node) -> int:
    return _lengths(graph, graph.parameters[weight_of(graph, node)][1:])


def _positions(graph: Graph, node: fx.Node) -> int:
    layout = graph.layouts[node][0]
    return _lengths(graph, layout[2:] if operation(node.target).startswith("conv") else layout[1:-1])
