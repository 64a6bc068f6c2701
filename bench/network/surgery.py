"""Carry out a growth plan on a model and its optimiser. The only code that changes a model.

A split into exact copies is a linear map on the parameters: producers' **rows** are copied, consumers'
**columns** are copied and multiplied by the split's weights (bench/MATHS.md, sections 6 and 7). The first offspring
keeps the parent's index, the others are appended in order. Rows of all groups go first, displacements
with them, then the columns, so that a layer that is split and also reads a split group gets the factors on
its displaced rows too.

The optimiser's state goes through the same map: a momentum keeps the function's velocity. A gradient of
a copied row is ``w`` times the parent's and that of a copied column is the parent's own, so second moments
of Adam scale by ``w^2`` on rows and stay on columns; its first moments scale by ``|w|`` on rows and ``w`` on
columns, which keeps the step ``m / sqrt(v)`` of every copy at the parent's on rows and ``w`` times it on columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.core.errors import PlanError, require_choice
from bench.network.graph import Group, Member, width
from bench.network.operations import is_depthwise
from bench.network.plan import GrowthPlan, Split, by_group

OptimizerState = Literal["carry", "zero", "reset"]
OPTIMIZER_STATES: tuple[str, ...] = get_args(OptimizerState)


@dataclass(frozen=True, eq=False)
class Expansion:
    """How a group's channels map to the grown group's.

    Attributes:
        parents: For each new channel the index of its parent, shape ``(new width,)``.
        factors: For each new channel its share ``w`` of the parent's outgoing weights.
        shifts: For each new channel its displacement ``epsilon * delta``, shape ``(new width, d)``, or None.
        born: Which new channels are appended ones.
    """

    parents: Tensor
    factors: Tensor
    shifts: Tensor | None
    born: Tensor


@dataclass(frozen=True)
class SurgeryResult:
    """What one surgery did: splits made, neurons added and the `Expansion` by group name."""

    splits: int
    added: dict[str, int]
    expansions: dict[str, Expansion]


def apply(
    model: nn.Module,
    optimizer: Optimizer | None,
    plan: GrowthPlan,
    epsilon: float,
    optimizer_state: str = "carry",
) -> SurgeryResult:
    """Split neurons in place.

    Args:
        model: The model; its modules stay, their parameters are replaced.
        optimizer: Its parameters are replaced with the model's, its state is carried; None for none.
        plan: A validated plan (`bench.network.plan.validate`).
        epsilon: Step along the plan's directions.
        optimizer_state: ``carry`` maps it through the split, ``zero`` does so with zeros for the
            newborn channels, ``reset`` forgets all of it.

    Raises:
        PlanError: The optimiser keeps state of an unknown kind; ``reset`` works for any.
    """
    editor = _Editor(model, optimizer, optimizer_state)
    grouped = by_group(plan.splits)
    expansions: dict[str, Expansion] = {}
    for name, splits in grouped.items():
        group = splits[0].group
        expansions[name] = expansion = expand(width(model, group), splits, epsilon, _weight(model, group))
        editor.split_rows(group, expansion)
    for name, splits in grouped.items():
        for consumer in splits[0].group.consumers:
            editor.split_columns(consumer, expansions[name])
    return SurgeryResult(len(plan.splits), plan.added(), expansions)


def expand(neurons: int, splits: list[Split], epsilon: float, like: Tensor) -> Expansion:
    """The `Expansion` of a group of ``neurons`` by its splits, on the device and in the dtype of ``like``."""
    parents = list(range(neurons)) + [s.neuron for s in splits for _ in range(s.added)]
    factors = torch.ones(len(parents), dtype=torch.float64)
    sizes = {s.directions.shape[1] for s in splits if s.directions is not None}
    shifts = torch.zeros(len(parents), *sizes, dtype=torch.float64) if sizes else None
    end = neurons
    for split in splits:
        where = [split.neuron, *range(end, end + split.added)]
        end += split.added
        factors[where] = torch.tensor(split.weights, dtype=torch.float64)
        if shifts is not None and split.directions is not None:
            shifts[where] = epsilon * split.directions.cpu().double()
    born = torch.arange(len(parents)) >= neurons
    return Expansion(
        torch.tensor(parents, device=like.device),
        factors.to(like),
        None if shifts is None else shifts.to(like),
        born.to(like.device),
    )


def _weight(model: nn.Module, group: Group) -> Tensor:
    weight = model.get_submodule(group.producers[0].module).weight
    assert isinstance(weight, Tensor)
    return weight


# Scales of an optimiser's state on copied rows and columns, as functions of w, by the state's name.
_MOMENTS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "momentum_buffer": (torch.ones_like, torch.clone),
    "exp_avg": (torch.abs, torch.clone),
    "exp_avg_sq": (torch.square, torch.ones_like),
    "max_exp_avg_sq": (torch.square, torch.ones_like),
}


class _Copy:
    """The map of one layer's rows (``dim`` 0) or columns (``dim`` 1) through an expansion."""

    def __init__(self, expansion: Expansion, member: Member, dim: int) -> None:
        block = torch.arange(member.block, device=expansion.parents.device)
        self.dim = dim
        self.parents = (expansion.parents[:, None] * member.block + block).flatten()
        self.factors = expansion.factors.repeat_interleave(member.block)
        self.born = expansion.born.repeat_interleave(member.block)

    def __call__(self, tensor: Tensor, scale: Tensor | None = None) -> Tensor:
        """Copy the parents' entries, times ``scale`` per new entry."""
        copied = tensor.index_select(self.dim, self.parents)
        if scale is None:
            return copied
        shape = [1] * tensor.dim()
        shape[self.dim] = -1
        return copied * scale.to(copied).reshape(shape)

    def parameter(self, tensor: Tensor) -> Tensor:
        """Rows are copied, columns take their factors."""
        return self(tensor, self.factors if self.dim == 1 else None)

    def state(self, key: str, tensor: Tensor, newborn_zero: bool) -> Tensor:
        """The optimiser's state ``key`` of the copied entries."""
        scale = _MOMENTS[key][self.dim](self.factors)
        return self(tensor, scale.masked_fill(self.born, 0) if newborn_zero else scale)


class _Editor:
    """Replaces parameters in the model and the optimiser alike."""

    def __init__(self, model: nn.Module, optimizer: Optimizer | None, policy: str) -> None:
        require_choice("growth.optimizer_state", policy, OPTIMIZER_STATES)
        self.model, self.optimizer, self.policy = model, optimizer, policy
        if optimizer is not None and policy == "reset":
            optimizer.state.clear()
        for parameter, state in (optimizer.state if optimizer is not None else {}).items():
            for key, value in state.items():
                _check_state(key, value, parameter)

    def split_rows(self, group: Group, expansion: Expansion) -> None:
        """Copy the producers' rows, displaced where the plan says so, and the chain's entries."""
        offset = 0
        for producer in group.producers:
            layer = self._copy_rows(Member(producer.module), expansion)
            if expansion.shifts is None:
                continue
            for name in ("weight", "bias") if producer.bias else ("weight",):
                parameter = getattr(layer, name)
                size = parameter[0].numel()
                parameter.data += expansion.shifts[:, offset : offset + size].reshape(parameter.shape)
                offset += size
        for member in group.chain:
            self._copy_rows(member, expansion)

    def split_columns(self, consumer: Member, expansion: Expansion) -> None:
        """Copy a consumer's input columns, times the offspring's factors."""
        layer = self.model.get_submodule(consumer.module)
        self._replace(layer, "weight", _Copy(expansion, consumer, dim=1))
        _set_sizes(layer)

    def _copy_rows(self, member: Member, expansion: Expansion) -> nn.Module:
        layer = self.model.get_submodule(member.module)
        copy = _Copy(expansion, member, dim=0)
        for name, _ in list(layer.named_parameters(recurse=False)):
            self._replace(layer, name, copy)
        for name, buffer in list(layer.named_buffers(recurse=False)):
            if buffer.dim() > 0:
                setattr(layer, name, copy(buffer))
        _set_sizes(layer)
        return layer

    def _replace(self, layer: nn.Module, name: str, copy: _Copy) -> None:
        old: nn.Parameter = getattr(layer, name)
        new = nn.Parameter(copy.parameter(old.detach()), requires_grad=old.requires_grad)
        setattr(layer, name, new)
        if self.optimizer is None:
            return
        for group in self.optimizer.param_groups:
            group["params"] = [new if p is old else p for p in group["params"]]
        if old in self.optimizer.state:
            state = self.optimizer.state.pop(old)
            self.optimizer.state[new] = {key: self._carry(key, value, copy) for key, value in state.items()}

    def _carry(self, key: str, value: object, copy: _Copy) -> object:
        if not isinstance(value, Tensor) or value.dim() == 0:
            return value
        return copy.state(key, value, self.policy == "zero")


def _check_state(key: str, value: object, parameter: Tensor) -> None:
    if isinstance(value, Tensor) and value.dim() > 0 and (key not in _MOMENTS or value.shape != parameter.shape):
        known = ", ".join(_MOMENTS)
        raise PlanError(f"optimizer state {key}: expected one of {known}; growth.optimizer_state=reset takes any")


def _set_sizes(layer: nn.Module) -> None:
    """Set a layer's size attributes from its parameters and buffers."""
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, nn.Conv2d):
        depthwise = is_depthwise(layer)
        layer.out_channels = layer.weight.shape[0]
        layer.in_channels = layer.out_channels if depthwise else layer.weight.shape[1]
        layer.groups = layer.out_channels if depthwise else 1
    elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        assert layer.running_mean is not None
        layer.num_features = layer.running_mean.shape[0]
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = layer.weight.shape[0]


def load(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Give a seed model the shapes and values of a grown one's ``state_dict``.

    Args:
        model: A freshly built seed model of the same backbone.
        state: ``state_dict`` of the grown model.

    Raises:
        PlanError: The state is of another backbone.
    """
    if model.state_dict().keys() != state.keys():
        raise PlanError("holds another network: the backbone's code has changed; remove the file")
    for path, layer in model.named_modules():
        prefix = f"{path}." if path else ""
        for name, parameter in list(layer.named_parameters(recurse=False)):
            value = state[prefix + name].to(parameter.device)
            setattr(layer, name, nn.Parameter(value.clone(), requires_grad=parameter.requires_grad))
        for name, buffer in list(layer.named_buffers(recurse=False)):
            if prefix + name in state:
                setattr(layer, name, state[prefix + name].to(buffer.device).clone())
        _set_sizes(layer)
