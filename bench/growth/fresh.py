"""Weights of new neurons as layers are drawn: uniform up to ``1 / sqrt(fan-in)``, PyTorch's own for linear layers and
convolutions."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn

from bench.network.groups import Group, tensor_of


def incoming(model: nn.Module, group: Group, count: int, generator: torch.Generator) -> Tensor:
    """Parameters of ``count`` neurons, weights and biases, shape ``(count, d)``, in float64 on the CPU."""
    bounds = []
    for producer in group.producers:
        weight = tensor_of(model, producer.weight.tensor)
        fan_in = weight.numel() // weight.shape[producer.weight.dim]
        rows = producer.weight.block(group.name)
        bounds += [1 / sqrt(fan_in)] * rows * (fan_in + (producer.bias is not None))
    return _uniform(torch.tensor(bounds, dtype=torch.float64), count, generator)


def outgoing(model: nn.Module, group: Group, count: int, generator: torch.Generator) -> Tensor:
    """Outgoing weights of ``count`` neurons, shape ``(count, D)``, in float64 on the CPU."""
    bounds = []
    for slot in group.consumers:
        weight = tensor_of(model, slot.tensor)
        fan_in = weight.numel() // weight.shape[1 - slot.dim]
        entries = weight.numel() // weight.shape[slot.dim] * slot.block(group.name)
        bounds += [1 / sqrt(fan_in)] * entries
    return _uniform(torch.tensor(bounds, dtype=torch.float64), count, generator)


def _uniform(bounds: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return (2 * torch.rand(count, len(bounds), generator=generator, dtype=torch.float64) - 1) * bounds
