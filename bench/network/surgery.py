"""Carry out a growth plan on a model and its optimiser. The only code that changes a model.

A split into exact copies is a linear map on the parameters: neurons' **rows** are copied, consumers'
**columns** are copied and multiplied by the split's weights (bench/MATHS.md, sections 6 and 7). The first offspring
keeps the parent's index, the others are appended in order. Rows of all groups go first, displacements
with them, then the columns, so that a layer that is split and also reads a split group gets the factors on
its displaced rows too.

The optimiser's state goes through the same map: a momentum keeps the function's velocity. A gradient of
a copied row is ``w`` times the parent's and that of a copied column is the parent's own, so second moments
of Adam scale by ``w^2`` on rows and stay on columns; its first moments scale by ``|w|`` on rows and ``w`` on
columns, which keeps the step ``m / sqrt(v)`` of every copy at the parent's on rows and ``w`` times it on columns.

A birth is a split of a null neuron (`bench.network.newborn`): it gets rows and columns of zeros, its parameters come
with the displacements, its outgoing weights as additions to the columns. These are stated for the network as it is
before, so they go through the copies of the rows that they lie in. Its optimiser's state is zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.core.errors import PlanError, require_choice
from bench.network.groups import Group, Slot, Widths, length, tensor_of, widths
from bench.network.newborn import at_rest
from bench.network.plan import TOLERANCE, Birth, GrowthPlan, Split, by_group

OptimizerState = Literal["carry", "zero", "reset"]
OPTIMIZER_STATES: tuple[str, ...] = get_args(OptimizerState)


NULL = -1
"""The parent of a birth."""


def successor(old: nn.Parameter, value: Tensor) -> nn.Parameter:
    """A parameter in the place of another, with the attributes and hooks that somebody gave that one."""
    new = nn.Parameter(value, requires_grad=old.requires_grad)
    new.__dict__.update(old.__dict__)
    for hook in (old._backward_hooks or {}).values():
        new.register_hook(hook)  # type: ignore[no-untyped-call]
    for hook in (getattr(old, "_post_accumulate_grad_hooks", None) or {}).values():
        new.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
    return new


@dataclass(frozen=True, eq=False)
class Expansion:
    """How a group's channels map to the grown group's.

    Attributes:
        parents: For each new channel the index of its parent, `NULL` for births, which are last; shape
            ``(new width,)``.
        factors: For each new channel its share ``w`` of the parent's outgoing weights; 1 for births.
        shifts: For each new channel its displacement ``epsilon * delta``, shape ``(new width, d)``, or None.
        born: Which new channels are appended ones.
        outgoing: Outgoing weights of the births, shape ``(births, D)``, or None.
    """

    parents: Tensor
    factors: Tensor
    shifts: Tensor | None
    born: Tensor
    outgoing: Tensor | None = None

    @property
    def newborn(self) -> Tensor:
        """Indices of the births."""
        return (self.parents == NULL).nonzero().flatten()


@dataclass(frozen=True)
class SurgeryResult:
    """What one surgery did: splits and births made, neurons added and the `Expansion` by group name."""

    splits: int
    births: int
    added: dict[str, int]
    expansions: dict[str, Expansion]


def apply(
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer] | None,
    plan: GrowthPlan,
    epsilon: float,
    optimizer_state: str = "carry",
) -> SurgeryResult:
    """Split neurons, and add new ones, in place.

    Args:
        model: The model; its modules stay, their parameters are replaced.
        optimizer: Its parameters are replaced with the model's, its state is carried; one, several or None.
        plan: A validated plan (`bench.network.plan.validate`).
        epsilon: Step along the plan's directions.
        optimizer_state: ``carry`` maps it through the split, ``zero`` does so with zeros for the
            newborn channels, ``reset`` forgets all of it.

    Raises:
        PlanError: The optimiser keeps state of an unknown kind; ``reset`` works for any.
    """
    optimizers = [optimizer] if isinstance(optimizer, Optimizer) else optimizer or []
    editor = _Editor(model, optimizers, optimizer_state)
    splits, births, groups = by_group(plan.splits), by_group(plan.births), plan.groups
    before = {name: n for group in groups.values() for slot in _slots(group) for name, n in slot.widths(model).items()}
    expansions = {
        name: expand(
            before[name],
            splits.get(name, []),
            epsilon,
            tensor_of(model, group.rows[0].tensor),
            births.get(name, []),
        )
        for name, group in groups.items()
    }
    editor.grafts = [graft for name, group in groups.items() for graft in _grafts(model, group, expansions[name])]
    at = dict(before)
    for name, expansion in expansions.items():
        editor.split_rows(groups[name], expansion, at)
        at[name] = len(expansion.parents)
    at = dict(before)
    for name, expansion in expansions.items():
        for consumer in groups[name].consumers:
            editor.replace(consumer, _Copy(consumer, name, expansion, at, columns=True))
        at[name] = len(expansion.parents)
    editor.graft(at)
    set_sizes(model, groups.values(), before, at)
    return SurgeryResult(len(plan.splits), len(plan.births), plan.added(), expansions)


def _slots(group: Group) -> list[Slot]:
    return [*group.rows, *group.consumers]


def expand(
    neurons: int, splits: Sequence[Split], epsilon: float, like: Tensor, births: Sequence[Birth] = ()
) -> Expansion:
    """The `Expansion` of a group of ``neurons`` by splits and births, on the device and in the dtype of ``like``."""
    parents = [*range(neurons), *(s.neuron for s in splits for _ in range(s.added)), *(NULL for _ in births)]
    factors = torch.ones(len(parents), dtype=torch.float64)
    sizes = {s.directions.shape[1] for s in splits if s.directions is not None} | {len(b.incoming) for b in births}
    shifts = torch.zeros(len(parents), *sizes, dtype=torch.float64) if sizes else None
    end = neurons
    for split in splits:
        where = [split.neuron, *range(end, end + split.added)]
        end += split.added
        shares = torch.tensor(split.weights, dtype=torch.float64)
        rounding = abs(float(shares.sum()) - 1) <= TOLERANCE  # which the function need not feel
        factors[where] = shares / shares.sum() if rounding else shares
        if shifts is not None and split.directions is not None:
            shifts[where] = epsilon * split.directions.cpu().double()
    columns = []
    for place, birth in enumerate(births, start=end):
        assert shifts is not None
        shifts[place], column = birth.at(epsilon)
        columns.append(column)
    born = torch.arange(len(parents)) >= neurons
    return Expansion(
        torch.tensor(parents, device=like.device),
        factors.to(like),
        None if shifts is None else shifts.to(like),
        born.to(like.device),
        torch.stack(columns).to(like) if columns else None,
    )


@dataclass(eq=False)
class _Graft:
    """Outgoing weights of a group's births in one consumer.

    Attributes:
        slot: The consumer.
        group: The group's name.
        newborn: Indices of the births.
        entries: What is added: the consumer's tensor with the births' entries alone along the slot's dimension.
    """

    slot: Slot
    group: str
    newborn: Tensor
    entries: Tensor


def _grafts(model: nn.Module, group: Group, expansion: Expansion) -> Iterator[_Graft]:
    """One for each consumer, of a group that has births."""
    offset, outgoing = 0, expansion.outgoing
    if outgoing is None:
        return
    for slot in group.consumers:
        tensor, block = tensor_of(model, slot.tensor), slot.block(group.name)
        others = [size for dim, size in enumerate(tensor.shape) if dim != slot.dim]
        size = block * prod(others)
        entries = outgoing[:, offset : offset + size].reshape(-1, *others).movedim(0, slot.dim)
        yield _Graft(slot, group.name, expansion.newborn, entries)
        offset += size


# Scales of an optimiser's state on copied rows and columns, as functions of w, by the state's name.
_MOMENTS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "momentum_buffer": (torch.ones_like, torch.clone),
    "exp_avg": (torch.abs, torch.clone),
    "exp_avg_sq": (torch.square, torch.ones_like),
    "max_exp_avg_sq": (torch.square, torch.ones_like),
    "exp_inf": (torch.abs, torch.ones_like),
    "square_avg": (torch.square, torch.ones_like),
    "sum": (torch.square, torch.ones_like),
}


class _Copy:
    """The map of one dimension through an expansion of one of the groups that lie along it.

    Args:
        slot: The dimension.
        group: Name of the group.
        expansion: Its expansion.
        widths: Of all groups along the dimension as they are now.
        columns: Whether entries take the offspring's shares.
    """

    def __init__(self, slot: Slot, group: str, expansion: Expansion, widths: Widths, columns: bool) -> None:
        self.slot, self.dim, self.columns = slot, slot.dim, columns
        new, at, parents = len(expansion.parents), 0, expansion.parents.clamp(min=0)
        sources: list[Tensor] = []
        neurons: list[Tensor] = []
        for run in slot.axis:
            entries = torch.arange(at, at + run.length(widths), device=expansion.parents.device)
            at += run.length(widths)
            owners = torch.full_like(entries, -1)
            if run.group == group:
                entries = entries.reshape(run.outer, -1, run.block)[:, parents].flatten()
                owners = (
                    torch.arange(new, device=entries.device)[None, :, None].expand(run.outer, -1, run.block).flatten()
                )
            sources.append(entries)
            neurons.append(owners)
        self.parents, owner = torch.cat(sources), torch.cat(neurons)
        own = owner >= 0
        self.factors = torch.ones_like(owner, dtype=expansion.factors.dtype)
        self.factors[own] = expansion.factors[owner[own]]
        self.born = torch.zeros_like(own)
        self.born[own] = expansion.born[owner[own]]
        self.null = owner.new_empty(0)
        if expansion.outgoing is not None:
            self.null = (own & (expansion.parents[owner.clamp(min=0)] == NULL)).nonzero().flatten()

    def __call__(self, tensor: Tensor, scale: Tensor | None = None, rest: Tensor | None = None) -> Tensor:
        """Copy the parents' entries, times ``scale`` per new entry; a null neuron's are ``rest``, None for zero."""
        copied = tensor.index_select(self.dim, self.parents)
        if scale is not None:
            shape = [1] * tensor.dim()
            shape[self.dim] = -1
            copied *= scale.to(copied).reshape(shape)
        if len(self.null):
            copied.movedim(self.dim, 0)[self.null] = 0 if rest is None else rest
        return copied

    def parameter(self, tensor: Tensor, rest: Tensor | None = None) -> Tensor:
        """Rows are copied, columns take their factors."""
        return self(tensor, self.factors if self.columns else None, rest)

    def state(self, key: str, tensor: Tensor, newborn_zero: bool) -> Tensor:
        """The optimiser's state ``key`` of the copied entries."""
        scale = _MOMENTS[key][self.columns](self.factors)
        return self(tensor, scale.masked_fill(self.born, 0) if newborn_zero else scale)


class _Editor:
    """Replaces parameters in the model and its optimisers alike."""

    def __init__(self, model: nn.Module, optimizers: Sequence[Optimizer], policy: str) -> None:
        require_choice("growth.optimizer_state", policy, OPTIMIZER_STATES)
        self.model, self.optimizers, self.policy = model, optimizers, policy
        self.grafts: list[_Graft] = []
        for optimizer in optimizers:
            if policy == "reset":
                optimizer.state.clear()
            check_state(optimizer, policy)

    def split_rows(self, group: Group, expansion: Expansion, widths: Widths) -> None:
        """Copy all that the neurons own, displaced where the plan says so."""
        grown = {**widths, group.name: len(expansion.parents)}
        for slot in group.rows:
            self.replace(slot, _Copy(slot, group.name, expansion, widths, columns=False), chain=slot in group.chain)
        offset = 0
        for slot in (slot for producer in group.producers for slot in producer.slots):
            if expansion.shifts is None:
                return
            rows = tensor_of(self.model, slot.tensor).data.movedim(slot.dim, 0)
            places = slot.owned(group.name, grown).to(rows.device)
            size = places.shape[1] * rows[0].numel()
            shift = expansion.shifts[:, offset : offset + size].reshape(-1, *rows.shape[1:])
            rows.index_add_(0, places.flatten(), shift)
            offset += size

    def graft(self, widths: Widths) -> None:
        """Add the births' outgoing weights to the columns as they are now."""
        for graft in self.grafts:
            tensor = tensor_of(self.model, graft.slot.tensor).data
            places = graft.slot.owned(graft.group, widths).to(tensor.device)[graft.newborn]
            tensor.index_add_(graft.slot.dim, places.flatten(), graft.entries)

    def replace(self, slot: Slot, copy: _Copy, chain: bool = False) -> None:
        """Put a parameter or buffer through a copy; of the chain, a null neuron owns what `at_rest` says."""
        path, _, name = slot.tensor.rpartition(".")
        layer = self.model.get_submodule(path)
        old = tensor_of(self.model, slot.tensor)
        rest = at_rest(self.model, slot, old.detach().movedim(slot.dim, 0)) if chain and len(copy.null) else None
        for graft in self.grafts:
            if graft.slot.tensor == slot.tensor and graft.slot.dim != slot.dim:
                graft.entries = copy(graft.entries)
        if not isinstance(old, nn.Parameter):
            setattr(layer, name, copy(old, rest=rest))
            return
        new = successor(old, copy.parameter(old.detach(), rest))
        setattr(layer, name, new)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["params"][:] = [new if p is old else p for p in group["params"]]
            if old in optimizer.state:
                state = optimizer.state.pop(old)
                optimizer.state[new] = {key: self._carry(key, value, copy) for key, value in state.items()}

    def _carry(self, key: str, value: object, copy: _Copy) -> object:
        if not isinstance(value, Tensor) or value.dim() == 0:
            return value
        return copy.state(key, value, self.policy == "zero")


def check_state(optimizer: Optimizer, policy: str) -> None:
    """Raise `PlanError` unless all that an optimiser keeps of its parameters can go through a split."""
    for parameter, state in optimizer.state.items() if policy != "reset" else ():
        for key, value in state.items():
            single = not isinstance(value, Tensor | list | tuple | dict) or (
                isinstance(value, Tensor) and not value.dim()
            )
            if not single and not (isinstance(value, Tensor) and key in _MOMENTS and value.shape == parameter.shape):
                known = ", ".join(_MOMENTS)
                raise PlanError(
                    f"optimizer state {key}: expected one of {known}; growth.optimizer_state=reset takes any"
                )


# -- sizes that classes keep -------------------------------------------------------------------------------------------

_COUNTS = re.compile(r"(^|_)(n_?)?(num_)?(attention_)?heads?$|^groups$")
"""Attributes that may count a group's neurons."""
_SIZES = re.compile(r"(dim|channels|chs|features|width|planes|hidden|size|inner)(_out|_in)?$")
_NOT_SIZES = re.compile(
    r"head_(dim|size)$|^dim_head$|(kernel|window|patch|image|img|pool|step|batch|grid|block|crop|context|vocab)_size$"
)
"""Attributes that may count the entries of all neurons of a group, and such that do not."""
_MANY = re.compile(r"split|sections|chunks")
"""Lists of sizes by which a tensor is cut."""
_SHAPE = re.compile(r"(^|_)shape$")
"""Shapes, of a bias of each head, say."""


_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)
_LAYERS = (nn.Linear, *_CONVOLUTIONS, *_NORMS, nn.PReLU, nn.Embedding)
_OF_LAYERS = (
    *("out_features", "in_features", "groups", "out_channels", "in_channels"),
    *("num_features", "num_parameters", "embedding_dim"),
)
"""Attributes of PyTorch's own layers, which follow from the shapes of their parameters."""


def set_sizes(model: nn.Module, groups: Iterable[Group], before: Widths, after: Widths) -> None:
    """Set the sizes that modules keep as attributes, of PyTorch's own classes and of others that name them as usual.

    What a module keeps of its parameters' values, for evaluation say, it drops as when it is moved to a device. Whether
    a class keeps a size under another name shows when the model is run (`bench.network.graph`).

    Args:
        model: Its parameters and buffers are grown already.
        groups: Groups that grew.
        before: Widths before, of these and of all that lie along the same dimensions.
        after: Widths now.
    """
    held: dict[str, tuple[_Renamed, _Renamed]] = {}
    for group in groups:
        totals = _Renamed()
        for slot in _slots(group):
            _set_layer(model.get_submodule(slot.tensor.rpartition(".")[0]), slot in group.chain)
            for axis in (slot.axis, *((run,) for run in slot.axis if run.channels is not None)):
                totals.add(length(axis, before), length(axis, after))
        for path in group.holders:
            counts, sizes = held.setdefault(path, (_Renamed(), _Renamed()))
            counts.add(before[group.name], after[group.name])
            sizes.join(totals)
    for path, (counts, sizes) in held.items():
        holder = model.get_submodule(path)
        if not type(holder).__module__.startswith("torch.nn."):
            _set_attributes(holder, counts.clear(), sizes.clear())
            holder.to(next(model.parameters()).device)


class _Renamed:
    """Sizes before and after, of all groups that a module holds something of: where a size becomes two it is neither's.

    All at once: a size that one group has now may be another's before.
    """

    def __init__(self) -> None:
        self.found: dict[int, set[int]] = {}

    def add(self, old: int, new: int) -> None:
        """One more."""
        self.found.setdefault(old, set()).add(new)

    def join(self, other: _Renamed) -> None:
        """All of another."""
        for old, new in other.found.items():
            self.found.setdefault(old, set()).update(new)

    def clear(self) -> dict[int, int]:
        """Those that are clear."""
        return {old: next(iter(new)) for old, new in self.found.items() if len(new) == 1}


def _set_attributes(holder: nn.Module, counts: Mapping[int, int], sizes: Mapping[int, int]) -> None:
    own = _OF_LAYERS if isinstance(holder, _LAYERS) else ()
    for name, value in list(vars(holder).items()):
        known = counts if _COUNTS.search(name) else sizes if _SIZES.search(name) and not _NOT_SIZES.search(name) else {}
        if type(value) is int and value in known and name not in own:
            setattr(holder, name, known[value])
        elif type(value) in (list, tuple) and all(type(one) is int for one in value):
            listed = sizes if _MANY.search(name) else counts if _SHAPE.search(name) else {}
            setattr(holder, name, type(value)(listed.get(one, one) for one in value))


def _set_layer(layer: nn.Module, units: bool) -> None:
    """Set a layer's size attributes from its parameters; ``units`` says that its groups are neurons of a group."""
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, _CONVOLUTIONS):
        rows = layer.weight.shape[0]
        layer.groups = layer.groups * rows // layer.out_channels if units else layer.groups
        layer.out_channels, layer.in_channels = rows, layer.weight.shape[1] * layer.groups
    elif isinstance(layer, _NORMS):
        kept = layer.running_mean if layer.running_mean is not None else layer.weight
        layer.num_features = kept.shape[0]
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = layer.weight.shape[0]
    elif isinstance(layer, nn.Embedding):
        layer.embedding_dim = layer.weight.shape[1]


def load(model: nn.Module, state: Mapping[str, Tensor], groups: Iterable[Group]) -> None:
    """Give a seed model the shapes and values of a grown one's ``state_dict``.

    What two modules share is replaced by what they share again.

    Args:
        model: A freshly built seed model of the same backbone.
        state: ``state_dict`` of the grown model.
        groups: The seed model's.

    Raises:
        PlanError: The state is of another backbone.
    """
    if model.state_dict().keys() != state.keys():
        raise PlanError("holds another network: the backbone's code has changed; remove the file")
    groups = list(groups)
    before = widths(model, groups)
    places: list[tuple[nn.Module, str, Tensor]] = []
    successors: dict[Tensor, Tensor] = {}
    for path, layer in model.named_modules():
        parameters = layer.named_parameters(recurse=False, remove_duplicate=False)
        for name, old in (*parameters, *layer.named_buffers(recurse=False, remove_duplicate=False)):
            places.append((layer, name, old))
            value = state.get(f"{path}.{name}" if path else name)
            if value is not None and old not in successors:
                value = value.to(old.device).clone()
                successors[old] = successor(old, value) if isinstance(old, nn.Parameter) else value
    for layer, name, old in places:
        if old in successors:
            setattr(layer, name, successors[old])
    set_sizes(model, groups, before, widths(model, groups))
