"""Weights of new neurons as layers are drawn: uniform up to ``1 / sqrt(fan-in)``, PyTorch's own for linear layers and
convolutions."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

from bench.network.graph import Graph
from bench.network.groups import Group, Slot, Widths, tensor_of


def incoming(
    graph: Graph, group: Group, count: int, generator: torch.Generator, widths: Widths | None = None
) -> Tensor:
    """Parameters of ``count`` neurons, weights and biases, shape ``(count, d)``, in float64 on the CPU.

    Args:
        graph: The network's.
        group: The neurons'.
        count: How many.
        generator: The random stream.
        widths: Of the network whose layers' fan-in counts; None for this one's.
    """
    bounds = []
    for producer in group.producers:
        weight, rows = tensor_of(graph.model, producer.weight.tensor), producer.weight
        entries = weight.numel() // weight.shape[rows.dim] + (producer.bias is not None)
        bounds += [1 / sqrt(_fan_in(graph, rows, rows.dim, widths))] * rows.block(group.name) * entries
    return _uniform(torch.tensor(bounds, dtype=torch.float64), count, generator)


def outgoing(
    graph: Graph, group: Group, count: int, generator: torch.Generator, widths: Widths | None = None
) -> Tensor:
    """Outgoing weights of ``count`` neurons, shape ``(count, D)``, in float64 on the CPU; arguments as above."""
    bounds = []
    for slot in group.consumers:
        weight = tensor_of(graph.model, slot.tensor)
        entries = weight.numel() // weight.shape[slot.dim] * slot.block(group.name)
        bounds += [1 / sqrt(_fan_in(graph, slot, 1 - slot.dim, widths))] * entries
    return _uniform(torch.tensor(bounds, dtype=torch.float64), count, generator)


def _fan_in(graph: Graph, slot: Slot, rows: int, widths: Widths | None) -> int:
    """Entries of a weight that make one of its outputs, which lie along ``rows``, in a network of these widths."""
    weight = tensor_of(graph.model, slot.tensor)
    entries = weight.numel() // weight.shape[rows]
    consumers = (read for group in graph.groups.values() for read in group.consumers)
    reads = next((one for one in consumers if one.tensor == slot.tensor and one.dim != rows), None)
    if reads is None or widths is None:
        return entries
    return entries // weight.shape[reads.dim] * sum(run.length(widths) for run in reads.axis)


def _uniform(bounds: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return (2 * torch.rand(count, len(bounds), generator=generator, dtype=torch.float64) - 1) * bounds
