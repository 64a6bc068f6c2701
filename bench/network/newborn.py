"""A null neuron: what it owns besides its parameters and outgoing weights, which are zero.

It passes on what it is given: batch norm and depthwise convolutions are the identity, biases zero, and other scales the
mean of those there are. So what a newborn neuron puts out is its activation of its own parameters' output alone.

Batch norm behind it divides by the deviation of its inputs, which are as small as its first step. `settle` gives each
such norm the statistics of a sample, and the scale and shift that undo them: the identity in both modes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from bench.network.groups import Group, Slot, tensor_of
from bench.network.modes import evaluation

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
SLOPE = 0.25
"""Of a PReLU, as PyTorch makes one."""


def at_rest(model: nn.Module, slot: Slot, entries: Tensor) -> Tensor:
    """What a null neuron owns of a tensor of its chain.

    Args:
        model: The model.
        slot: The dimension along which neurons own entries.
        entries: The tensor with that dimension first, of any neurons.

    Returns:
        One entry, shaped as ``entries[0]``.
    """
    path, _, name = slot.tensor.rpartition(".")
    layer, found = model.get_submodule(path), torch.zeros_like(entries[:1])
    if isinstance(layer, BatchNorm):
        value = {"weight": (1 + layer.eps) ** 0.5, "running_var": 1.0 if layer.affine else 1 - layer.eps}.get(name, 0)
        found += value
    elif isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) and name == "weight":
        kernel = found.flatten(2)
        kernel[..., kernel.shape[2] // 2] = 1
    elif isinstance(layer, nn.PReLU):
        found += SLOPE
    elif name != "bias" and entries.is_floating_point():
        found += entries.mean(0)
    return found[0]


@torch.no_grad()
def settle(
    model: nn.Module, groups: Iterable[Group], newborn: Mapping[str, Tensor], batches: Callable[[], Iterable[Tensor]]
) -> None:
    """Give batch norms behind newborn neurons the statistics of a sample; the function in evaluation mode stays.

    Args:
        model: The model, changed in place.
        groups: Its groups.
        newborn: Indices of the newborn neurons by group.
        batches: The sample's inputs.
    """
    channels = _behind(model, groups, newborn)
    if not channels:
        return
    sums = {path: _Sums() for path in channels}
    hooks = [
        model.get_submodule(path).register_forward_pre_hook(partial(_listen, sums[path], own))
        for path, own in channels.items()
    ]
    try:
        with evaluation(model):
            for inputs in batches():
                model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    for path, own in channels.items():
        if sums[path].count:
            _set_identity(model, path, own, *sums[path].moments())


@torch.no_grad()
def renew(model: nn.Module, groups: Iterable[Group], newborn: Mapping[str, Tensor]) -> None:
    """Give batch norms behind newborn neurons a fresh one's scale and shift: once conditioned, these are as fresh ones.

    Arguments as in `settle`.
    """
    for path, own in _behind(model, groups, newborn).items():
        _put(model, path, own, {"weight": torch.ones(()), "bias": torch.zeros(())})


def _behind(model: nn.Module, groups: Iterable[Group], newborn: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Channels of newborn neurons in batch norms that scale and have statistics, by the norm's path."""
    channels: dict[str, Tensor] = {}
    for group in groups:
        for slot in group.chain if group.name in newborn else ():
            path, _, name = slot.tensor.rpartition(".")
            layer = model.get_submodule(path)
            if name == "running_mean" and isinstance(layer, BatchNorm) and layer.affine:
                own = slot.owned(group.name, slot.widths(model))[newborn[group.name].cpu()].flatten()
                channels[path] = torch.cat([channels[path], own]) if path in channels else own
    return channels


class _Sums:
    """Sums over examples and positions, in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.first: Tensor | float = 0.0
        self.second: Tensor | float = 0.0

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of each channel."""
        mean = torch.as_tensor(self.first) / self.count
        return mean, (torch.as_tensor(self.second) / self.count - mean**2).clamp(min=0)


def _listen(sums: _Sums, channels: Tensor, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    own = inputs[0][:, channels.to(inputs[0].device)].movedim(1, 0).flatten(1)
    own = own if own.device.type == "mps" else own.double()
    sums.count += own.shape[1]
    sums.first, sums.second = sums.first + own.sum(1), sums.second + own.square().sum(1)


def _set_identity(model: nn.Module, path: str, channels: Tensor, mean: Tensor, variance: Tensor) -> None:
    layer = model.get_submodule(path)
    assert isinstance(layer, BatchNorm)
    scale = (variance + layer.eps).sqrt()
    _put(model, path, channels, {"running_mean": mean, "running_var": variance, "bias": mean, "weight": scale})


def _put(model: nn.Module, path: str, channels: Tensor, values: Mapping[str, Tensor]) -> None:
    """Set some channels of a layer's tensors."""
    for name, value in values.items():
        held = tensor_of(model, f"{path}.{name}" if path else name)
        held.data[channels.to(held.device)] = value.to(held)
