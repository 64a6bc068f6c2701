"""How parameters, multiply-adds and words are counted: terms in the widths of a network's groups, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from torch import Tensor, fx, nn

from bench.network.cost import CostModel, Vector
from bench.network.graph import Graph, width
from bench.network.operations import is_depthwise


@dataclass(frozen=True)
class Channels:
    """A channel count: fixed, or the width of a group times the entries per channel."""

    group: str | None
    count: int  # all of them when fixed, entries per channel otherwise


class Terms:
    """A sum of terms ``factor * a`` and ``factor * a * b`` in channel counts."""

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

    def add(self, factor: float, *channels: Channels) -> None:
        factor *= prod(c.count for c in channels)
        where = [self.groups.index(c.group) for c in channels if c.group is not None]
        if not where:
            self.constant += factor
        elif len(where) == 1:
            self.linear[where[0]] += factor
        else:
            self.cross[where[0], where[1]] += factor

    def model(self) -> CostModel:
        return CostModel(self.groups, self.constant, self.linear, self.cross)


def count_params(graph: Graph) -> Terms:
    """Trainable parameters."""
    params = Terms(tuple(graph.groups))
    seen: set[str] = set()
    for node in graph.nodes.nodes:
        path = str(node.target)
        if node.op != "call_module" or path in seen:
            continue
        seen.add(path)
        layer = graph.model.get_submodule(path)
        if isinstance(layer, nn.Linear | nn.Conv2d):
            params.add(_kernel(layer), *_factors(graph, node, layer))
            if layer.bias is not None:
                params.add(1, _outputs(graph, node, layer))
        else:
            _count_channelwise(graph, node, layer, params)
    params.constant += sum(p.numel() for p in graph.model.parameters()) - params.model().of(graph.widths())
    return params


def count_macs(graph: Graph) -> Terms:
    """Multiply-adds of ``Linear`` and ``Conv2d`` layers, for one input."""
    macs = Terms(tuple(graph.groups))
    for node, layer in _layers(graph):
        macs.add(_kernel(layer) * _positions(node, layer), *_factors(graph, node, layer))
    return macs


def count_words(graph: Graph) -> Terms:
    """Numbers that ``Linear`` and ``Conv2d`` layers put out, for one input."""
    words = Terms(tuple(graph.groups))
    for node, layer in _layers(graph):
        words.add(_positions(node, layer), _outputs(graph, node, layer))
    return words


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


def _layers(graph: Graph) -> list[tuple[fx.Node, nn.Linear | nn.Conv2d]]:
    """Calls of layers, with the layers."""
    calls = [(n, graph.model.get_submodule(str(n.target))) for n in graph.nodes.nodes if n.op == "call_module"]
    return [(node, layer) for node, layer in calls if isinstance(layer, nn.Linear | nn.Conv2d)]


def _kernel(layer: nn.Linear | nn.Conv2d) -> int:
    return prod(layer.kernel_size) if isinstance(layer, nn.Conv2d) else 1


def _outputs(graph: Graph, node: fx.Node, layer: nn.Linear | nn.Conv2d) -> Channels:
    return _channels(graph, node, layer.weight.shape[0])


def _factors(graph: Graph, node: fx.Node, layer: nn.Linear | nn.Conv2d) -> tuple[Channels, ...]:
    """The channel counts whose product the layer's cost is proportional to."""
    if is_depthwise(layer):
        return (_outputs(graph, node, layer),)
    return _channels(graph, node.all_input_nodes[0], layer.weight.shape[1]), _outputs(graph, node, layer)


def _positions(node: fx.Node, layer: nn.Module) -> int:
    """Places at which a layer's output has all of its channels."""
    shape = tuple(node.meta["tensor_meta"].shape)
    return prod(shape[2:] if isinstance(layer, nn.Conv2d) else shape[1:-1])


def _count_channelwise(graph: Graph, node: fx.Node, layer: nn.Module, params: Terms) -> None:
    group = graph.group_of(node)
    if group is None or str(node.target) not in {member.module for member in group.chain}:
        return
    for parameter in layer.parameters(recurse=False):
        if parameter.shape[0] % width(graph.model, group) == 0:
            params.add(1, _channels(graph, node, parameter.shape[0]))


def _channels(graph: Graph, node: fx.Node, count: int) -> Channels:
    group = graph.group_of(node)
    return Channels(None, count) if group is None else Channels(group.name, count // width(graph.model, group))
