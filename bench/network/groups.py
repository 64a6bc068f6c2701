"""Groups: channels that can be split, and where in a network's tensors each of them lies.

All by name, so that a group of one network is one of its copies, before growth and after. Widths are never stored: they
are read off the tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Widths = Mapping[str, int]
"""Neurons of groups, by name."""


@dataclass(frozen=True)
class Channels:
    """A set of channels, and a dimension of a tensor that tells how many they are.

    Attributes:
        name: Of their group.
        tensor: Name of a parameter or buffer.
        dim: Its dimension.
        block: Entries per channel along it.
        fixed: Entries along it that are no channel's.
        others: Other channels along it, with their entries.
    """

    name: str
    tensor: str
    dim: int
    block: int = 1
    fixed: int = 0
    others: tuple[tuple[Channels, int], ...] = ()

    def width(self, model: nn.Module) -> int:
        """How many there are now."""
        beside = self.fixed + sum(one.width(model) * block for one, block in self.others)
        return (tensor_of(model, self.tensor).shape[self.dim] - beside) // self.block


@dataclass(frozen=True)
class Run:
    """A stretch of a dimension: ``outer`` times, for each channel in turn, ``block`` entries.

    Attributes:
        channels: None for entries that never grow, ``block`` of them.
        block: Entries per channel.
        outer: How often.
    """

    channels: Channels | None
    block: int = 1
    outer: int = 1

    @property
    def group(self) -> str | None:
        """Name of the channels' group."""
        return None if self.channels is None else self.channels.name

    def length(self, widths: Widths) -> int:
        """Entries at these widths."""
        return self.outer * self.block * (1 if self.channels is None else widths[self.channels.name])


Axis = tuple[Run, ...]


def length(axis: Axis, widths: Widths) -> int:
    """Entries of a dimension at these widths."""
    return sum(run.length(widths) for run in axis)


@dataclass(frozen=True)
class Slot:
    """A dimension of a parameter or buffer in which neurons own entries."""

    tensor: str
    dim: int
    axis: Axis

    @property
    def layer(self) -> str:
        """Path of the layer: the tensor's name without ``.weight``."""
        return self.tensor.removesuffix(".weight")

    def block(self, group: str) -> int:
        """Entries that one neuron of a group owns."""
        return sum(run.outer * run.block for run in self.axis if run.group == group)

    def widths(self, model: nn.Module) -> dict[str, int]:
        """Of all groups that have entries here."""
        return {run.channels.name: run.channels.width(model) for run in self.axis if run.channels is not None}

    def owned(self, group: str, widths: Widths) -> Tensor:
        """Places of the entries that each neuron of a group owns, shape ``(neurons, block)``."""
        at, found = 0, []
        for run in self.axis:
            if run.group == group:
                places = torch.arange(at, at + run.length(widths)).reshape(run.outer, widths[group], run.block)
                found.append(places.movedim(1, 0).flatten(1))
            at += run.length(widths)
        return torch.cat(found, dim=1)


@dataclass(frozen=True)
class Producer:
    """A layer whose output channels are neurons.

    Attributes:
        layer: Its path.
        weight: Its rows.
        bias: Its bias, where that belongs to the neuron's parameters ``theta``: the layer has one and no normalisation
            follows.
    """

    layer: str
    weight: Slot
    bias: Slot | None

    @property
    def slots(self) -> list[Slot]:
        """Where theta lies."""
        return [self.weight] if self.bias is None else [self.weight, self.bias]


@dataclass(frozen=True)
class Group:
    """Channels that can be split: who makes them, what acts on each alone, who reads them.

    Attributes:
        channels: How many they are, and the group's name: the path of its first producer.
        kind: What a neuron is, for people: ``Linear``, ``Conv2d 3x3``, ``head``.
        producers: Layers whose output rows are the neurons.
        chain: Other entries that each neuron owns: of normalisation, depthwise convolutions, biases, scales.
        consumers: Weights whose columns multiply the neurons' outputs.
        holders: Paths of modules that may keep the group's size under a name of their own.
    """

    channels: Channels
    kind: str
    producers: tuple[Producer, ...]
    chain: tuple[Slot, ...]
    consumers: tuple[Slot, ...]
    holders: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the group."""
        return self.channels.name

    @property
    def rows(self) -> list[Slot]:
        """All that is copied at a split."""
        return [slot for producer in self.producers for slot in producer.slots] + list(self.chain)


@dataclass(frozen=True)
class Unsplittable:
    """A layer whose channels cannot be split, with the reason and its place in the user's source, ``file:line``."""

    name: str
    reason: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}" + (f" ({self.where})" if self.where else "")


def tensor_of(model: nn.Module, name: str) -> Tensor:
    """A parameter or buffer by name."""
    path, _, own = name.rpartition(".")
    found = getattr(model.get_submodule(path), own)
    assert isinstance(found, Tensor)
    return found


def width(model: nn.Module, group: Group) -> int:
    """Neurons of a group now."""
    return group.channels.width(model)


def widths(model: nn.Module, groups: Iterable[Group]) -> dict[str, int]:
    """Neurons of each group now, by name."""
    return {group.name: width(model, group) for group in groups}


def theta(model: nn.Module, group: Group) -> Tensor:
    """Parameters of a group's neurons, one row each, detached: shape ``(neurons, d)``.

    Each producer's incoming weights flattened, then its bias where that belongs to the neuron.
    """
    return _entries(model, group, (slot for producer in group.producers for slot in producer.slots))


def outgoing(model: nn.Module, group: Group) -> Tensor:
    """Weights that a group's neurons are read by, one row each, detached: shape ``(neurons, D)``.

    Each consumer's columns flattened: the neuron's entries along the dimension first, then the other dimensions.
    """
    return _entries(model, group, group.consumers)


def _entries(model: nn.Module, group: Group, slots: Iterable[Slot]) -> Tensor:
    parts = []
    for slot in slots:
        rows = tensor_of(model, slot.tensor).detach().movedim(slot.dim, 0)
        if len(slot.axis) > 1 or slot.axis[0].outer * slot.axis[0].block > 1:
            rows = rows[slot.owned(group.name, slot.widths(model)).to(rows.device)]
        parts.append(rows.reshape(len(rows), -1))
    return torch.cat(parts, dim=1)
