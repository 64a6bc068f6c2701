"""Which channels of a network can be split, read off its ``torch.fx`` graph.

Every tensor of the network carries its channels in a *space*. A ``Linear`` or ``Conv2d`` opens a new
space (it is a **producer**), channel-wise operations stay in the space, other ``Linear`` and ``Conv2d``
layers read from it (they are its **consumers**). A sum or product of two tensors puts both under one
space: the stream of a residual network, or a layer and its gate, has several producers, whose channels are
split jointly. A space whose every use is understood is a `Group`: its channels are the neurons that surgery
can split. A space with any other use is listed with the reason.

Nothing is asked of the model but that ``torch.fx`` can trace it; its code is never changed.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from io import StringIO
from math import prod
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from bench.core.errors import BenchError
from bench.network.operations import Kind, function_kind, is_depthwise, module_kind


@dataclass(frozen=True)
class Producer:
    """A layer whose output channels are neurons.

    Attributes:
        module: Path of the ``Linear`` or ``Conv2d``.
        bias: Whether the bias belongs to the neuron's parameters ``theta``: the layer has one and no
            normalisation follows.
    """

    module: str
    bias: bool


@dataclass(frozen=True)
class Member:
    """A layer along the channel-wise chain, or a consumer, and how many of its entries one channel owns.

    Attributes:
        module: Path of the layer.
        block: Entries (parameters or input columns) per channel; more than 1 behind a flatten.
    """

    module: str
    block: int = 1


@dataclass(frozen=True)
class Group:
    """Channels that can be split: who makes them, what acts on each alone, who reads them.

    Attributes:
        name: Path of the first producer.
        producers: Layers whose output rows are the neurons.
        chain: Channel-wise layers with parameters: normalisation, depthwise convolution, ``PReLU``.
        consumers: Layers whose input columns multiply the neurons' outputs.
    """

    name: str
    producers: tuple[Producer, ...]
    chain: tuple[Member, ...]
    consumers: tuple[Member, ...]


@dataclass(frozen=True)
class Unsplittable:
    """A producer whose channels cannot be split, with the reason."""

    name: str
    reason: str


@dataclass(eq=False)
class Space:
    """The channels of some tensors under one index, collected while the graph is read."""

    producers: list[str] = field(default_factory=list)
    chain: list[Member] = field(default_factory=list)
    consumers: list[Member] = field(default_factory=list)
    normalised: set[str] = field(default_factory=set)
    reason: str | None = None
    merged: Space | None = None

    def root(self) -> Space:
        return self if self.merged is None else self.merged.root()

    def refuse(self, reason: str) -> None:
        root = self.root()
        root.reason = root.reason or reason

    def merge(self, other: Space) -> None:
        """Put both under one index."""
        one, two = self.root(), other.root()
        if one is two:
            return
        one.producers += two.producers
        one.chain += two.chain
        one.consumers += two.consumers
        one.normalised |= two.normalised
        one.reason = one.reason or two.reason
        two.merged = one


@dataclass(frozen=True)
class Place:
    """Where a tensor keeps its channels: the space, the dimension, and the entries per channel."""

    space: Space
    dim: int
    block: int = 1


class Graph:
    """The splittable groups of a model.

    Args:
        model: Any module that ``torch.fx`` can trace, called with one tensor.
        input_shape: Shape of one input, without the batch.

    Attributes:
        groups: `Group` by name, in the order of the forward pass.
        unsplittable: What cannot be split, with reasons.
        nodes: The traced ``torch.fx`` graph; tensor nodes carry their shape.
        places: `Place` of every tensor node.
        kinds: What each node does to its channels (`bench.network.operations.Kind`).

    Raises:
        BenchError: The model cannot be traced or run.
    """

    def __init__(self, model: nn.Module, input_shape: tuple[int, ...]) -> None:
        self.model, self.input_shape = model, tuple(input_shape)
        self.nodes = _trace(model, self.input_shape)
        self.places: dict[fx.Node, Place] = {}
        self.kinds: dict[fx.Node, Kind] = {}
        self._calls = Counter(str(node.target) for node in self.nodes.nodes if node.op == "call_module")
        self._order = {path: i for i, path in enumerate(self._calls)}  # of the forward pass
        self._owners = _parameter_owners(model)
        for node in self.nodes.nodes:
            self._read(node)
        self.groups: dict[str, Group] = {}
        self.unsplittable: list[Unsplittable] = []
        self._names: dict[Space, str] = {}
        for space in dict.fromkeys(place.space.root() for place in self.places.values()):
            self._close(space)

    def widths(self) -> dict[str, int]:
        """Neurons of each group now, by name."""
        return {name: width(self.model, group) for name, group in self.groups.items()}

    def group_of(self, node: fx.Node) -> Group | None:
        """The group whose channels the tensor of ``node`` carries, if they can be split."""
        place = self.places.get(node)
        return None if place is None else self.groups.get(self._names.get(place.space.root(), ""))

    def on(self, model: nn.Module) -> Graph:
        """The same graph of a copy of the model (same paths), without reading it again."""
        twin = object.__new__(Graph)
        twin.__dict__.update(self.__dict__, model=model)
        return twin

    # -- reading ------------------------------------------------------------------------------------

    def _read(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            space = Space(reason="network input")
            self.places[node] = Place(space, 1)
        elif node.op == "output":
            for source in node.all_input_nodes:
                self._refuse(source, "network output")
        elif "tensor_meta" not in node.meta:
            return  # sizes and other plain numbers
        elif node.op == "call_module":
            self._read_module(node, self.model.get_submodule(str(node.target)))
        elif node.op in ("call_function", "call_method"):
            self._read_function(node)
        else:
            self.places[node] = Place(Space(reason=f"parameter {node.target}"), 1)

    def _read_module(self, node: fx.Node, module: nn.Module) -> None:
        kind = module_kind(module)
        path = str(node.target)
        produces = path if kind is Kind.LAYER and not is_depthwise(module) else None
        if self._calls[path] > 1 and any(True for _ in module.parameters()):
            self._unknown(node, f"{path} is called more than once", produces)
        elif any(self._owners[id(p)] > 1 for p in module.parameters(recurse=False)):
            self._unknown(node, f"{path} shares its parameters", produces)
        elif kind is Kind.LAYER:
            self._read_layer(node, module)
        else:
            self._channelwise(node, kind, f"{path} ({type(module).__name__})", member=path)

    def _tensors(self, node: fx.Node) -> list[fx.Node]:
        return [source for source in node.all_input_nodes if source in self.places]

    def _read_layer(self, node: fx.Node, module: nn.Module) -> None:
        path, source = str(node.target), self._tensors(node)[0]
        if is_depthwise(module):
            self._channelwise(node, Kind.DEPTHWISE, path, member=path)
            return
        if getattr(module, "groups", 1) != 1:
            self._unknown(node, f"grouped convolution {path}", produces=path)
            return
        dim = 1 if isinstance(module, nn.Conv2d) else len(_shape(node) or ()) - 1
        place = self.places[source]
        if place.dim == dim:
            place.space.root().consumers.append(Member(path, place.block))
        else:
            place.space.refuse(f"{path} does not read along the channels")
        self.kinds[node] = Kind.LAYER
        self.places[node] = Place(Space(producers=[path]), dim)

    def _read_function(self, node: fx.Node) -> None:
        label = str(getattr(node.target, "__name__", node.target))
        kind, tensors = function_kind(node), self._tensors(node)
        reads_sizes = len(tensors) < len(node.all_input_nodes) and kind is not Kind.FLATTEN
        if len(tensors) == 1 and not reads_sizes and kind is not Kind.CONCATENATION:
            self._channelwise(node, kind, label)
        elif kind in (Kind.SUM, Kind.PRODUCT) and len(tensors) == 2:
            self._join(node, tensors[0], tensors[1], kind)
        else:
            self._unknown(node, "concatenation" if kind is Kind.CONCATENATION else f"unknown operation {label}")

    def _join(self, node: fx.Node, one: fx.Node, two: fx.Node, kind: Kind) -> None:
        left, right = self.places[one], self.places[two]
        left.space.merge(right.space)
        if (left.dim, left.block) != (right.dim, right.block) or not _align(_shape(one), _shape(two), left.dim):
            left.space.refuse(f"broadcast at {node.name}")
        self.kinds[node] = kind
        self.places[node] = left

    def _channelwise(self, node: fx.Node, kind: Kind, label: str, member: str | None = None) -> None:
        """Stay in the space of the only input if ``kind`` acts on each channel alone."""
        source = self._tensors(node)[0]
        place, before, after = self.places[source], _shape(source) or (), _shape(node) or ()
        self.kinds[node] = kind
        if kind in (Kind.CURVED, Kind.KINKED, Kind.LINEAR) or (
            kind in (Kind.SELECTING, Kind.AVERAGING) and place.dim == 1 and before[:2] == after[:2]
        ):
            self.places[node] = place
        elif kind is Kind.FLATTEN and place.dim == 1 and after == (before[0], prod(before[1:])):
            self.places[node] = Place(place.space, 1, place.block * prod(before[2:]))
        elif kind in (Kind.NORM, Kind.DEPTHWISE, Kind.PER_CHANNEL) and place.dim == 1 and member is not None:
            root = place.space.root()
            if any(True for _ in self.model.get_submodule(member).parameters()) or kind is Kind.NORM:
                root.chain.append(Member(member, place.block))
            if kind is Kind.NORM and self.kinds.get(source) is Kind.LAYER:
                root.normalised.add(str(source.target))
            self.places[node] = place
        elif kind is Kind.NORM_OVER_CHANNELS:
            self._unknown(node, f"norm over channels {label}")
        else:
            weighted = member is not None and any(True for _ in self.model.get_submodule(member).parameters())
            self._unknown(node, f"unknown operation {label}", produces=member if weighted else None)

    def _unknown(self, node: fx.Node, reason: str, produces: str | None = None) -> None:
        """Refuse everything that goes into ``node``; what comes out is refused for the same reason."""
        for source in node.all_input_nodes:
            self._refuse(source, reason)
        self.kinds[node] = Kind.UNKNOWN
        self.places[node] = Place(Space(reason=reason, producers=[produces] if produces else []), 1)

    def _refuse(self, node: fx.Node, reason: str) -> None:
        if node in self.places:
            self.places[node].space.refuse(reason)

    # -- closing ------------------------------------------------------------------------------------

    def _close(self, space: Space) -> None:
        if not space.producers:
            return
        if not space.consumers:
            space.refuse("no consumer")
        if space.reason is not None:
            known = {refused.name for refused in self.unsplittable}
            self.unsplittable += [Unsplittable(name, space.reason) for name in space.producers if name not in known]
            return
        producers = tuple(
            Producer(path, self.model.get_submodule(path).bias is not None and path not in space.normalised)
            for path in sorted(space.producers, key=self._order.__getitem__)
        )
        chain, consumers = (
            tuple(sorted(members, key=lambda member: self._order[member.module]))
            for members in (space.chain, space.consumers)
        )
        name = producers[0].module
        self._names[space] = name
        self.groups[name] = Group(name, producers, chain, consumers)


def width(model: nn.Module, group: Group) -> int:
    """Neurons of a group now."""
    weight = model.get_submodule(group.producers[0].module).weight
    assert isinstance(weight, Tensor)
    return weight.shape[0]


def label(model: nn.Module, group: Group) -> str:
    """What a group's first layer is, for people: ``Linear``, ``Conv2d 3x3``."""
    layer = model.get_submodule(group.producers[0].module)
    kind = type(layer).__name__
    return f"{kind} {'x'.join(map(str, layer.kernel_size))}" if isinstance(layer, nn.Conv2d) else kind


def theta(model: nn.Module, group: Group) -> Tensor:
    """Parameters of a group's neurons, one row each, detached: shape ``(neurons, d)``.

    Each producer's incoming kernel flattened, then its bias where that belongs to the neuron.
    """
    parts = []
    for producer in group.producers:
        layer: Any = model.get_submodule(producer.module)
        parts.append(layer.weight.detach().flatten(1))
        if producer.bias:
            parts.append(layer.bias.detach()[:, None])
    return torch.cat(parts, dim=1)


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Run with the model in evaluation mode and no operation in place; both are restored afterwards."""
    modes = {module: module.training for module in model.modules()}
    in_place = [module for module in modes if getattr(module, "inplace", False)]
    model.eval()
    for module in in_place:
        module.inplace = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for module in in_place:
            module.inplace = True  # type: ignore[assignment]


def _trace(model: nn.Module, input_shape: tuple[int, ...]) -> fx.Graph:
    try:
        with evaluation(model), torch.no_grad():
            graph = fx.Tracer().trace(model)
            for node in graph.nodes:
                _out_of_place(node)
            parameter = next(model.parameters())
            example = torch.zeros(2, *input_shape, device=parameter.device, dtype=parameter.dtype)
            with redirect_stderr(StringIO()):  # it prints a traceback of its own
                ShapeProp(fx.GraphModule(model, graph)).propagate(example)
    except Exception as error:  # a model may fail in any way
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise BenchError(f"the model cannot be traced on inputs of shape {input_shape}: {reason[0]}") from error
    return graph


_PLAIN_TWINS: dict[Any, Callable[..., Any]] = {
    operator.iadd: operator.add,
    operator.imul: operator.mul,
    operator.isub: operator.sub,
    operator.itruediv: operator.truediv,
}


def _out_of_place(node: fx.Node) -> None:
    """Turn operations in place into their plain twins, so that captured tensors keep their values."""
    node.target = _PLAIN_TWINS.get(node.target, node.target)
    if node.op == "call_method" and isinstance(node.target, str) and node.target.endswith("_"):
        node.target = node.target.rstrip("_")
    if node.op == "call_function":
        name = getattr(node.target, "__name__", "")
        if name.endswith("_") and hasattr(torch, name.rstrip("_")):
            node.target = getattr(torch, name.rstrip("_"))
        if node.kwargs.get("inplace"):
            node.kwargs = {**node.kwargs, "inplace": False}


def _shape(node: fx.Node) -> tuple[int, ...] | None:
    shape = getattr(node.meta.get("tensor_meta"), "shape", None)
    return None if shape is None else tuple(shape)


def _align(one: tuple[int, ...] | None, two: tuple[int, ...] | None, dim: int) -> bool:
    """Whether tensors meet channel by channel; in other dimensions one may be spread, as a gate's is."""
    if one is None or two is None or len(one) != len(two):
        return False
    return all(a == b or (i != dim and 1 in (a, b)) for i, (a, b) in enumerate(zip(one, two, strict=True)))


def _parameter_owners(model: nn.Module) -> Counter[int]:
    return Counter(id(p) for module in model.modules() for p in module.parameters(recurse=False))
