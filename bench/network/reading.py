"""From a program to its groups: the spaces of all tensors, joined by every use, and what is left of them to split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, fx, nn

from bench.network.groups import Axis, Channels, Group, Producer, Run, Slot, Unsplittable, tensor_of
from bench.network.operations import UNKNOWN, Call, Layer, Operation, Products, entry, products
from bench.network.operations.layers import computed, untransposed
from bench.network.operations.pointwise import made, unknown
from bench.network.program import Program, number, operation, where
from bench.network.spaces import Axis as Spaces
from bench.network.spaces import Layout, Reason, Space, entries, fresh, plain, refuse, resolved, spaces

INSIDE = Reason("is the size of larger units")
"""Of a space that could be split, but for another one around it."""
Found = tuple[Axis, ...]
"""The axes of a tensor in terms of groups."""
Place = tuple[str, int, Spaces]
"""A dimension of a parameter or buffer: its name, the dimension, and what lies along it."""


class Reader:
    """Reads programs of one network, which share the spaces of its parameters.

    Args:
        model: The network.

    Attributes:
        calls: The calls of each program, by node.
        unknown: Those in evaluation mode that the table does not know, and what they multiply.
        layouts: Layouts of the tensors of all programs, by node.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.parameters: dict[str, Layout] = {}
        self.layouts: dict[fx.Node, Any] = {}
        self.calls: dict[fx.Node, Call] = {}
        self.unknown: dict[fx.Node, Products] = {}

    def read(self, program: Program, training: bool) -> None:
        """Let every operation of a program say what it does to channels."""
        tensors = program.tensors(self.model)
        owners = Counter(id(p) for module in self.model.modules() for p in module.parameters(recurse=False))
        lost = {name for name, _ in self.model.named_buffers()} - self.model.state_dict().keys()
        for name in lost & {*program.names.values()} - {*program.constants}:
            for axis in self.parameters.setdefault(name, tuple(map(fresh, tensors[name].shape))):
                refuse(axis, Reason(f"{name} is left out of the state dict, so that no grown one could be restored"))
        for node in program.nodes.nodes:
            if node.op == "placeholder":
                self._read_placeholder(node, program, tensors, owners)
            elif node.op == "call_function" and _makes_tensors(node):
                self.calls[node] = call = Call(node, self.layouts, program.names, training)
                self.layouts[node] = self._checked(call, entry(node.target))
            elif node.op == "output":
                for source in node.all_input_nodes:
                    for axis in self.layouts.get(source) or ():
                        refuse(axis, Reason("network output, whose size is given"))
        if not training:
            self.unknown = {node: products(node) for node, call in self.calls.items() if not call.known}

    @property
    def uncounted(self) -> list[str]:
        """Operations that multiply what is not counted, each with its first place: ``fft_fft (net.py:12)``."""
        found: dict[str, str] = {}
        for node in (node for node, one in self.unknown.items() if not one.complete):
            name = operation(node.target)
            found.setdefault(name, str(Reason(name, where(node))))
        return list(found.values())

    def _read_placeholder(
        self, node: fx.Node, program: Program, tensors: dict[str, Tensor], owners: Counter[int]
    ) -> None:
        name = program.names.get(node)
        if name is None:
            self.layouts[node] = tuple(plain(number(n)) for n in node.meta["val"].shape)
            return
        tensor = tensors[name]
        if name not in self.parameters:
            grows = tensor.is_floating_point() and name not in program.constants
            self.parameters[name] = tuple(fresh(n) if grows else plain(n) for n in tensor.shape)
        self.layouts[node] = self.parameters[name]
        if owners[id(tensor)] > 1:
            for axis in self.parameters[name]:
                refuse(axis, Reason(f"{name} is tied to other weights: each would need its own"))

    def _checked(self, call: Call, operation: Operation) -> Any:
        """The layout by the table; where a rule does not fit a call, the call is taken for unknown."""
        try:
            found = operation.rule(call)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return unknown(call)
        return found if _lengths(found) == _lengths(made(call)) else unknown(call)


def _lengths(made_of: Any) -> list[list[int]]:
    layouts = made_of if isinstance(made_of, list) else [made_of]
    return [[sum(entries(segment) for segment in axis) for axis in layout] for layout in layouts]


def _makes_tensors(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor) or (
        isinstance(value, tuple | list) and len(value) > 0 and all(isinstance(one, Tensor) for one in value)
    )


class Closing:
    """What is left to split when all programs are read.

    Args:
        reader: Has read them.
        program: The one of evaluation mode, whose layers make groups.
    """

    def __init__(self, reader: Reader, program: Program) -> None:
        self.reader, self.program = reader, program
        own = [node for node in program.nodes.nodes if node in reader.calls]
        self.layers = [(node, layer) for node in own if (layer := reader.calls[node].layer) is not None]
        self._used_in_training_alone()
        self._only_one_a_segment()
        self.rows = self._by_space("rows")
        self.columns = self._by_space("columns")
        self._frozen_stay()
        for space in self.rows:
            if space not in self.columns:
                space.reason = space.reason or Reason("nothing reads it")
        self._positions_stay()
        self.places = self._placed()
        gauges = self._gauged()
        self.names = self._named()
        self.channels: dict[Space, Channels] = {}
        for space, gauge in gauges.items():
            self.channels[space] = self._channels(space, self.names[space], *gauge)
        self.groups = {name: self._group(space) for space, name in self.names.items()}
        self.unsplittable = list(self._refused())

    def axis(self, axis: Spaces) -> Axis:
        """An axis in terms of groups."""
        found: list[Run] = []
        for segment in resolved(axis):
            at = next((i for i, f in enumerate(segment) if isinstance(f, Space) and f in self.channels), None)
            if at is None:
                fixed = entries(segment)
                if found and found[-1].channels is None:
                    fixed += found.pop().block
                found.append(Run(None, fixed))
            else:
                space = segment[at]
                assert isinstance(space, Space)
                found.append(Run(self.channels[space], entries(segment[at + 1 :]), entries(segment[:at])))
        return tuple(found)

    def layout(self, layout: Layout) -> Found:
        """A layout in terms of groups."""
        return tuple(self.axis(axis) for axis in layout)

    def layouts(self, node: fx.Node) -> list[Found]:
        """The layouts of what a node makes, one tensor or several."""
        made = self.reader.layouts[node]
        return [self.layout(layout) for layout in (made if isinstance(made, list) else [made])]

    def macs(self, node: fx.Node) -> list[Found]:
        """What a node multiplies and adds, as products of axes."""
        if node in self.reader.unknown:
            macs = self.reader.unknown[node].macs
            return [((Run(None, macs),),)] if macs else []
        cost = entry(node.target).macs
        if cost is None or node not in self.reader.calls:
            return []
        return [self.layout(product) for product in cost(self.reader.calls[node], self.reader.layouts[node])]

    def refuse(self, name: str, reason: Reason) -> None:
        """Leave a group out when the same is read again."""
        for space, own in self.names.items():
            if own == name:
                space.reason = reason
        for axis in self._axes():  # of what has just been refused, say
            for space in spaces(axis):
                if space.reason is INSIDE:
                    space.reason = None

    # -- what cannot stay ----------------------------------------------------------------------------------------------

    def _used_in_training_alone(self) -> None:
        known = {layer.weight for _, layer in self.layers}
        for call in self.reader.calls.values():
            if call.layer is not None and call.layer.weight is not None and call.layer.weight not in known:
                for axis in self.reader.parameters[call.layer.weight]:
                    refuse(axis, call.reason("is used in training mode alone"))

    def _axes(self) -> Iterator[Spaces]:
        for layouts in self.reader.layouts.values():
            for layout in layouts if isinstance(layouts, list) else [layouts]:
                yield from layout

    def _only_one_a_segment(self) -> None:
        """In a product of several spaces the outermost grows, the others are its size."""
        for axis in self._axes():
            for segment in resolved(axis):
                alive = [f for f in segment if isinstance(f, Space) and f.reason is None]
                for space in alive[1:]:
                    space.reason = INSIDE

    def _by_space(self, which: str) -> dict[Space, list[Layer]]:
        found: dict[Space, list[Layer]] = {}
        for _, layer in self.layers:
            if layer.weight is not None:
                for space in spaces(self.reader.parameters[layer.weight][getattr(layer, which)]):
                    if layer not in found.setdefault(space, []):
                        found[space].append(layer)
        return found

    def _alive(self, axis: Spaces) -> list[Space]:
        return [space for space in spaces(axis) if space.reason is None and space in self.rows]

    def _frozen_stay(self) -> None:
        """What training leaves as it is, growth does too: no step along a neuron's parameters, and so no gain from it.

        Layers that read the neurons may be frozen: copies of columns leave what they compute as it was.
        """
        for space, layers in self.rows.items():
            for layer in layers:
                theta = [layer.weight] if self._normalised(layer) else [layer.weight, layer.bias]
                for name in theta:
                    if name is not None and not tensor_of(self.reader.model, name).requires_grad:
                        space.reason = space.reason or Reason("is frozen: requires_grad is False")

    def _positions_stay(self) -> None:
        """A cost is a product of two widths at most: channels that a growing layer only passes by stay as they are."""
        for node, layer in self.layers:
            layout = self.reader.layouts[node]
            if layer.weight is None:
                continue
            weight = self.reader.parameters[layer.weight]
            own = {*self._alive(weight[layer.rows]), *self._alive(weight[layer.columns])}
            passing = {space for axis in layout for space in self._alive(axis)} - own
            for space in passing if len(own) + len(passing) > 2 else ():
                space.reason = Reason(f"stands beside the channels of {layer.name}", where(node))

    def _placed(self) -> dict[Space, list[Place]]:
        """Dimensions of parameters and buffers that hold each space."""
        found: dict[Space, list[Place]] = {}
        for name, layout in self.reader.parameters.items():
            for dim, axis in enumerate(layout):
                for one in dict.fromkeys(spaces(axis)):
                    found.setdefault(one, []).append((name, dim, axis))
        return found

    def _gauged(self) -> dict[Space, Place]:
        """For each space that can be split a dimension that tells its width, beside those that are told already."""
        found: dict[Space, Place] = {}
        left = [space for space in self.rows if space.reason is None]
        while left:
            told = {}
            for space in left:
                alone = (p for p in self.places[space] if {*self._alive(p[2])} - found.keys() == {space})
                best = min(alone, key=lambda place: len({*self._alive(place[2])}), default=None)
                if best is not None:
                    told[space] = best
            if not told:  # the one that most stand beside
                worst = max(left, key=lambda space: len(self.places[space]))
                worst.reason = Reason("cannot be told apart from others beside it")
            found |= told
            left = [space for space in left if space not in found and space.reason is None]
        return found

    # -- what stays ----------------------------------------------------------------------------------------------------

    def _named(self) -> dict[Space, str]:
        """Names of the spaces that can be split, in the order of the forward pass."""
        names: dict[Space, str] = {}
        for _, layer in self.layers:
            if layer.weight is None:
                continue
            for space in dict.fromkeys(self._alive(self.reader.parameters[layer.weight][layer.rows])):
                if space not in names:
                    taken = sum(name.split(":")[0] == layer.name for name in names.values())
                    names[space] = f"{layer.name}:{taken}" if taken else layer.name
        return names

    def _channels(self, space: Space, name: str, tensor: str, dim: int, axis: Spaces) -> Channels:
        def per(one: Space) -> int:
            return sum(entries(s) // one.size for s in resolved(axis) if one in s)

        others = [one for one in dict.fromkeys(self._alive(axis)) if one is not space]
        fixed = sum(entries(s) for s in resolved(axis) if not {space, *others} & {*s})
        return Channels(name, tensor, dim, per(space), fixed, tuple((self.channels[one], per(one)) for one in others))

    def _group(self, space: Space) -> Group:
        layers = self.rows[space]
        bare = [layer for layer in layers if not self._normalised(layer)]
        weights = {(layer.weight, layer.rows) for layer in layers}
        biases = {(layer.bias, 0) for layer in bare}
        columns = {(layer.weight, layer.columns): i for i, (_, layer) in enumerate(self.layers)}
        slots = {(name, dim): Slot(name, dim, self.axis(axis)) for name, dim, axis in self.places[space]}
        producers = [
            Producer(
                layer.name, slots[layer.weight, layer.rows], slots.get((layer.bias or "", 0)) if layer in bare else None
            )
            for layer in layers
            if layer.weight is not None
        ]
        rest = {key: slot for key, slot in slots.items() if key not in weights | biases}
        order = {name: i for i, name in enumerate(self._in_order())}
        chain = [slot for key, slot in rest.items() if key not in columns]
        consumers = [slot for key, slot in rest.items() if key in columns]
        return Group(
            self.channels[space],
            self._kind(layers[0], space),
            tuple(producers),
            tuple(sorted(chain, key=lambda slot: order[slot.tensor])),
            tuple(sorted(consumers, key=lambda slot: columns[slot.tensor, slot.dim])),
            self._holders(space, slots),
        )

    def _in_order(self) -> list[str]:
        """Names of parameters and buffers as the forward pass comes to them."""
        names = self.program.names
        found = [names[s] for node in self.program.nodes.nodes for s in node.all_input_nodes if s in names]
        return list(dict.fromkeys([*found, *self.reader.parameters]))

    def _normalised(self, layer: Layer) -> bool:
        """Whether batch normalisation reads the layer's output."""
        made_by = [node for node, one in self.layers if one is layer]
        return any(operation(user.target) == "batch_norm" for node in made_by for user in node.users)

    def _kind(self, layer: Layer, space: Space) -> str:
        node = next(node for node, one in self.layers if one is layer)
        assert layer.weight is not None
        weight = self.reader.parameters[layer.weight]
        segments = [s for s in resolved(weight[layer.rows]) if space in s]
        if any(self._attends(n, space) for n in self.program.nodes.nodes if n in self.reader.calls):
            return "head"
        name = operation(node.target)
        if not name.startswith("conv"):
            return "Linear"
        kernel = "x".join(str(sum(entries(s) for s in axis)) for axis in weight[2:])
        joint = max(entries(s[: s.index(space)]) for s in segments)
        return f"Conv{name[-2:]} {kernel}" + (f", {joint} groups" if joint > 1 else "")

    def _attends(self, node: fx.Node, space: Space) -> bool:
        """Whether a node is attention, or its softmax, over heads that are the space."""
        layout = self.reader.layouts[node]
        named = operation(node.target) in ("scaled_dot_product_attention", "softmax", "_softmax")
        return named and isinstance(layout, tuple) and any(space in set(spaces(axis)) for axis in layout[1:-2])

    def _holders(self, space: Space, slots: dict[tuple[str, int], Slot]) -> tuple[str, ...]:
        owners = {name.rpartition(".")[0] for name, _ in slots}
        for node in self.reader.calls:
            if entry(node.target).baked and any(space in set(spaces(axis)) for axis in self._of(node)):
                stack = list((node.meta.get("nn_module_stack") or {}).values())
                owners.update(str(path) for path, _ in stack[-1:])
        return tuple(sorted(owners))

    def _of(self, node: fx.Node) -> Sequence[Spaces]:
        layouts = self.reader.layouts[node]
        return [axis for one in (layouts if isinstance(layouts, list) else [layouts]) for axis in one]

    def _refused(self) -> Iterator[Unsplittable]:
        seen: set[str] = set()
        for node, layer in self.layers:
            if layer.name in seen:
                continue
            seen.add(layer.name)
            if layer.weight is None:
                weight = self.reader.calls[node]["weight"]
                yield Unsplittable(layer.name, f"its weight is {computed(weight)}", where(node))
                continue
            own = list(spaces(self.reader.parameters[layer.weight][layer.rows]))
            if not any(space in self.names for space in own):
                reasons = [space.reason for space in own if space.reason is not None]
                tried = [reason for reason in reasons if "its code" in reason.text]  # came as far as that
                reason = next(iter([*tried, *reasons]), Reason("meets what cannot grow"))
                yield Unsplittable(layer.name, reason.text, reason.where)
        yield from self._of_no_layer()

    def _of_no_layer(self) -> Iterator[Unsplittable]:
        """Weights that are multiplied, but not as a layer's are."""
        own, known = {name for name, _ in self.reader.model.named_parameters()}, {one.weight for _, one in self.layers}
        found: dict[str, fx.Node] = {}
        for node in self.program.nodes.nodes:
            how = entry(node.target) if node in self.reader.calls else None
            operated = how is UNKNOWN or (how and how.macs and not operation(node.target).startswith("conv"))
            for source in node.all_input_nodes if operated else ():
                name = self.program.names.get(untransposed(source), "")
                if name in own and name not in known and len(self.reader.parameters[name]) > 1:
                    found.setdefault(name, node)
        for name, node in found.items():
            reasons = (space.reason for axis in self.reader.parameters[name] for space in spaces(axis))
            reason = next((one for one in reasons if one is not None), Reason("is read as no layer reads its weight"))
            yield Unsplittable(name.removesuffix(".weight"), reason.text, reason.where or where(node))
