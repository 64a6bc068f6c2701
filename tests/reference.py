"""Slow oracles by plain autograd and forward hooks. Nothing of the core's mathematics is used here.

The one idea: for each layer that reads split neurons, in the order of the forward pass, a net is run once per
offspring, with every neuron of the group displaced by that offspring's direction; what the layer reads in each run is
weighed by the offspring's shares, channel by channel, and from then on put in place of what it read. That is
the split net, without any surgery.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.network.groups import Group, Slot, theta
from bench.network.plan import Birth, GrowthPlan, Split
from bench.network.surgery import apply

Offspring = list[tuple[Tensor, Tensor]]  # for each copy: shares (n,) and displacements (n, d)


def split_outputs(
    model: nn.Module, groups: Mapping[str, Group], offspring: Mapping[str, Offspring], inputs: Tensor
) -> Tensor:
    """Outputs of the net split in every group of ``offspring`` at once; differentiable in all of it.

    Args:
        model: The net, in evaluation mode.
        groups: Groups by name, in the order of the forward pass.
        offspring: Shares and displacements of each group's copies.
        inputs: A batch.
    """
    readers = {
        consumer.layer: name for name, group in groups.items() if name in offspring for consumer in group.consumers
    }
    replaced: dict[str, Tensor] = {}
    for consumer in _in_order(model, readers, inputs):
        parts = []
        for shares, displacement in offspring[readers[consumer]]:
            read = {consumer: inputs}
            with _hooked(model, read, replaced):
                functional_call(model, _displaced(model, groups[readers[consumer]], displacement), (inputs,))
            parts.append(read[consumer] * _per_channel(model, consumer, shares, read[consumer]))
        replaced[consumer] = torch.stack(parts).sum(0)
    with _hooked(model, {}, replaced):
        return model(inputs)


def grown_outputs(
    model: nn.Module,
    groups: Mapping[str, Group],
    offspring: Mapping[str, Offspring],
    births: Sequence[Birth],
    epsilon: float,
    inputs: Tensor,
) -> Tensor:
    """Outputs of the net with splits and new neurons at once, without any surgery.

    A new neuron is the group's first with other parameters: a run in which it has these says what each layer reads of
    it, and what the layer makes of that with the new outgoing weights is added to what it makes.

    Args:
        model: The net, in evaluation mode.
        groups: Groups by name.
        offspring: As of `split_outputs`.
        births: The new neurons.
        epsilon: Their step.
        inputs: A batch.
    """
    grown = {*offspring, *(birth.group.name for birth in births)}
    readers: dict[str, list[str]] = {}
    for name in grown:
        for slot in groups[name].consumers:
            readers.setdefault(slot.layer, []).append(name)
    replaced: dict[str, Tensor] = {}
    added: dict[str, Tensor] = {}
    for path in _in_order(model, readers, inputs):
        read = {path: inputs}
        with _hooked(model, read, replaced, added):
            model(inputs)
        own, extra = read[path], []
        for name in readers[path]:
            parts = []
            for shares, displacement in offspring.get(name, []):
                with _hooked(model, read, replaced, added):
                    functional_call(model, _displaced(model, groups[name], displacement), (inputs,))
                parts.append(read[path] * _per_channel(model, path, shares, read[path]))
            own = torch.stack(parts).sum(0) if parts else own
            for birth in (birth for birth in births if birth.group.name == name):
                with _hooked(model, read, replaced, _without_first(model, groups[name], added)):
                    functional_call(model, _in_place_of_the_first(model, birth, epsilon), (inputs,))
                extra.append(_made_of_the_first(model, birth, epsilon, path, read[path]))
        replaced[path] = own
        if extra:
            added[path] = torch.stack(extra).sum(0)
    with _hooked(model, {}, replaced, added):
        return model(inputs)


def _at(direction: Tensor, base: Tensor | None, epsilon: float) -> Tensor:
    return epsilon * direction if base is None else base + epsilon * direction


def _without_first(model: nn.Module, group: Group, added: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is added to layers, but to the first neuron's rows of those that make the group."""
    found = dict(added)
    for producer in group.producers:
        if producer.layer in found:
            slot, made = producer.weight, found[producer.layer].clone()
            dim = 1 if isinstance(model.get_submodule(producer.layer), nn.Conv2d) else -1
            made.movedim(dim, 0)[slot.owned(group.name, slot.widths(model))[0]] = 0
            found[producer.layer] = made
    return found


def _in_place_of_the_first(model: nn.Module, birth: Birth, epsilon: float) -> dict[str, Tensor]:
    """The net's tensors, with the parameters of a new neuron, and what it owns besides, in place of the first's."""
    group, values = birth.group, {**dict(model.named_parameters()), **dict(model.named_buffers())}
    values = {name: value.detach().clone() for name, value in values.items()}
    theta_, offset = _at(birth.incoming, birth.base_incoming, epsilon), 0
    for slot in (slot for producer in group.producers for slot in producer.slots):
        rows, own = values[slot.tensor].movedim(slot.dim, 0), slot.owned(group.name, slot.widths(model))[0]
        size = rows[own].numel()
        rows[own] = theta_[offset : offset + size].reshape(rows[own].shape)
        offset += size
    for slot in group.chain:
        path, _, name = slot.tensor.rpartition(".")
        layer, own = model.get_submodule(path), slot.owned(group.name, slot.widths(model))[0]
        rows = values[slot.tensor].movedim(slot.dim, 0)
        if name in ("bias", "running_mean"):
            rows[own] = 0
        elif name == "running_var":
            rows[own] = 1 if layer.affine else 1 - layer.eps
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            rows[own] = (1 + layer.eps) ** 0.5
        elif isinstance(layer, nn.PReLU):
            rows[own] = 0.25
        elif isinstance(layer, nn.Conv2d):
            kernel = torch.zeros_like(rows[own])
            kernel[..., kernel.shape[-2] // 2, kernel.shape[-1] // 2] = 1
            rows[own] = kernel
        else:
            rows[own] = rows.reshape(-1, len(own), *rows.shape[1:]).mean(0)  # of scales of its own
    return values


def _made_of_the_first(model: nn.Module, birth: Birth, epsilon: float, path: str, read: Tensor) -> Tensor:
    """What a layer makes of the first neuron's entries with a new neuron's outgoing weights."""
    outgoing, offset = _at(birth.outgoing, birth.base_outgoing, epsilon), 0
    layer: Any = model.get_submodule(path)
    weight = torch.zeros_like(layer.weight.detach())
    for slot in birth.group.consumers:
        tensor = dict(model.named_parameters())[slot.tensor]
        own = slot.owned(birth.group.name, slot.widths(model))[0]
        rows = tensor.movedim(slot.dim, 0)[own]
        if slot.layer == path:
            weight.movedim(slot.dim, 0)[own] = outgoing[offset : offset + rows.numel()].reshape(rows.shape)
        offset += rows.numel()
    values = {"weight": weight} | ({} if layer.bias is None else {"bias": torch.zeros_like(layer.bias)})
    return functional_call(layer, values, (read,)).detach()


def _in_order(model: nn.Module, paths: Collection[str], inputs: Tensor) -> list[str]:
    """Paths of layers in the order of the forward pass."""
    called: list[str] = []
    handles = [
        model.get_submodule(path).register_forward_pre_hook(lambda _, __, path=path: called.append(path))
        for path in paths
    ]
    with torch.no_grad():
        model(inputs)
    for handle in handles:
        handle.remove()
    return called


def _displaced(model: nn.Module, group: Group, displacement: Tensor) -> dict[str, Tensor]:
    """The producers' parameters moved by ``(n, d)``."""
    moved, offset = {}, 0
    for producer in group.producers:
        layer: Any = model.get_submodule(producer.layer)
        for name in ("weight", "bias") if producer.bias else ("weight",):
            parameter = getattr(layer, name)
            size = parameter[0].numel()
            moved[f"{producer.layer}.{name}"] = parameter + displacement[:, offset : offset + size].reshape(
                parameter.shape
            )
            offset += size
    return moved


def _per_channel(model: nn.Module, consumer: str, shares: Tensor, value: Tensor) -> Tensor:
    if isinstance(model.get_submodule(consumer), nn.Conv2d):
        return shares[:, None, None]
    return shares.repeat_interleave(value.shape[-1] // len(shares))


@contextmanager
def _hooked(
    model: nn.Module, record: dict[str, Tensor], replace: Mapping[str, Tensor], add: Mapping[str, Tensor] | None = None
) -> Iterator[None]:
    """Record what some layers read, replace what others read, and add to what others make."""
    handles = []
    in_place = [module for module in model.modules() if getattr(module, "inplace", False)]
    for module in in_place:
        module.inplace = False

    def recorder(path: str) -> Any:
        def keep(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            record[path] = args[0].clone()

        return keep

    for path in record:
        handles.append(model.get_submodule(path).register_forward_pre_hook(recorder(path)))
    for path, value in replace.items():
        layer = model.get_submodule(path)
        handles.append(layer.register_forward_pre_hook(lambda _, args, value=value: (value.clone(), *args[1:])))
    for path, value in (add or {}).items():
        layer = model.get_submodule(path)
        handles.append(layer.register_forward_hook(lambda _, __, made, value=value: made + value))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in in_place:
            module.inplace = True


def halves(displacement: Tensor) -> Offspring:
    """Each neuron as ``(u(theta + d) + u(theta - d)) / 2``."""
    shares = displacement.new_full((len(displacement),), 0.5)
    return [(shares, displacement), (shares, -displacement)]


def sizes(model: nn.Module, group: Group) -> tuple[int, int]:
    """Neurons and the length of theta."""
    layers: list[tuple[Any, Slot | None]] = [(model.get_submodule(p.layer), p.bias) for p in group.producers]
    return layers[0][0].weight.shape[0], sum(layer.weight[0].numel() + (bias is not None) for layer, bias in layers)


def splitting_hessian(model: nn.Module, groups: Mapping[str, Group], inputs: Tensor, targets: Tensor) -> Tensor:
    """Hessian of the split net's loss in the displacements of all neurons of all groups, as one matrix."""
    shapes = {name: sizes(model, group) for name, group in groups.items()}
    total = sum(n * d for n, d in shapes.values())

    def loss(flat: Tensor) -> Tensor:
        parts = torch.split(flat, [n * d for n, d in shapes.values()])
        moves = {name: part.reshape(shapes[name]) for name, part in zip(shapes, parts, strict=True)}
        offspring = {name: halves(move) for name, move in moves.items()}
        return F.cross_entropy(split_outputs(model, groups, offspring, inputs), targets)

    return torch.autograd.functional.hessian(loss, inputs.new_zeros(total), vectorize=True)


def doubled_hessian(model: nn.Module, group: Group, inputs: Tensor, targets: Tensor) -> Tensor:
    """Hessian, in the displacements of one group's neurons, of the loss of the net with each of them as two halves.

    For any construct: the doubled net is made by surgery, which its own forward pass vouches for, and differentiated as
    it stands.

    Returns:
        Shape ``(n, d, n, d)``.
    """
    twin, (n, d) = copy.deepcopy(model), theta(model, group).shape
    apply(twin, None, GrowthPlan(tuple(Split(group, i, (0.5, 0.5)) for i in range(n))), 0.0)
    values = {name: parameter.detach() for name, parameter in twin.named_parameters()}

    def loss(flat: Tensor) -> Tensor:
        moved, parts = dict(values), flat.reshape(n, d)
        for slot in (slot for producer in group.producers for slot in producer.slots):
            rows = moved[slot.tensor].movedim(slot.dim, 0)
            places = slot.owned(group.name, slot.widths(twin))
            own, parts = parts.split([size := places.shape[1] * rows[0].numel(), parts.shape[1] - size], dim=1)
            for half, sign in ((places[:n], 1), (places[n:], -1)):
                rows = rows.index_add(0, half.flatten(), sign * own.reshape(-1, *rows.shape[1:]))
            moved[slot.tensor] = rows.movedim(0, slot.dim)
        return F.cross_entropy(functional_call(twin, moved, (inputs,)), targets)

    with sdpa_kernel(SDPBackend.MATH):  # the only one that can be differentiated twice
        found = torch.autograd.functional.hessian(loss, inputs.new_zeros(n * d), vectorize=True)
    return found.reshape(n, d, n, d)


def blocks(matrix: Tensor, shapes: Sequence[tuple[int, int]]) -> tuple[list[Tensor], float]:
    """The diagonal blocks ``(n, d, d)`` per group, and the largest entry outside them."""
    rest, found, at = matrix.clone(), [], 0
    for n, d in shapes:
        block = matrix.new_zeros(n, d, d)
        for i in range(n):
            where = slice(at, at + d)
            block[i] = matrix[where, where]
            rest[where, where] = 0
            at += d
        found.append(block)
    return found, float(rest.abs().max())


def plan_offspring(model: nn.Module, splits: Sequence[Split], epsilon: float) -> dict[str, Offspring]:
    """A plan's splits as `Offspring` by group: whole neurons have one copy with share 1."""
    found: dict[str, Offspring] = {}
    for name in dict.fromkeys(split.group.name for split in splits):
        own = [split for split in splits if split.group.name == name]
        n, d = sizes(model, own[0].group)
        like = next(model.parameters()).detach()
        copies = max(len(split.weights) for split in own)
        shares, moves = like.new_zeros(copies, n), like.new_zeros(copies, n, d)
        shares[0] = 1
        for split in own:
            for j, w in enumerate(split.weights):
                shares[j, split.neuron] = w
                if split.directions is not None:
                    moves[j, split.neuron] = epsilon * split.directions[j].to(like)
        found[name] = list(zip(shares, moves, strict=True))
    return found


def loss_after(model: nn.Module, plan: GrowthPlan, epsilon: float, inputs: Tensor, targets: Tensor) -> float:
    """Cross-entropy of a copy that a plan was carried out on."""
    twin = copy.deepcopy(model)
    apply(twin, None, plan, epsilon)
    with torch.no_grad():
        return float(F.cross_entropy(twin(inputs), targets))


def velocity(model: nn.Module, update: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """Rate of change of the outputs when the parameters move along ``update``."""
    values = {name: parameter.detach() for name, parameter in model.named_parameters()}
    tangents = {name: update[name] for name in values}
    with sdpa_kernel(SDPBackend.MATH):  # the only one with forward derivatives
        return jvp(lambda p: functional_call(model, p, (inputs,)), (values,), (tangents,))[1]


def count_cost(model: nn.Module, inputs: Tensor) -> dict[str, float]:
    """The three costs of a model by running it on one example: what `bench.network.cost` predicts without that."""
    from torch.utils.flop_counter import FlopCounterMode

    words = 0

    def count(_: nn.Module, __: object, output: Tensor) -> None:
        nonlocal words
        words += output.numel()

    handles = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        model(inputs[:1])
    for handle in handles:
        handle.remove()
    params, macs = sum(p.numel() for p in model.parameters()), counter.get_total_flops() / 2
    return {"params": params, "macs": macs, "energy": (3.7 + 0.9) * macs + 640 * params + 2 * 5 * words}
