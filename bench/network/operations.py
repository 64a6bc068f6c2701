"""The one table of ATen operations: what each does to channels, how it bends, what it costs.

A new operation is one entry. Its *rule* is given a `Call` and says what becomes of its inputs' channels, as the layout
of its output; what is not in the table refuses the channels that go in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest
from typing import Any

from torch import Tensor, fx

from bench.network.program import arguments, number, operation, sizes, where
from bench.network.spaces import (
    Axis,
    Layout,
    Reason,
    Space,
    entries,
    length,
    parted,
    plain,
    refuse,
    reshaped,
    resolved,
    unify,
)


class Form(Enum):
    """How an operation acts on what passes through it, entry by entry or not."""

    AFFINE = "each entry alone, linear in it where the other inputs are held: addition, scaling"
    CURVED = "each entry alone, with a second derivative: SiLU, tanh"
    KINKED = "each entry alone, piecewise linear: ReLU"
    PRODUCT = "entries of two tensors multiplied"
    MOVE = "entries go to other places: reshape, permute, cat"
    MIX = "entries of one channel are mixed linearly: average pooling, a depthwise convolution"
    SELECT = "some entries of each channel are picked: max pooling"
    GENERAL = "anything that can be differentiated twice: softmax, attention"


Kinks = tuple[Any, Sequence[tuple[Any, Any]], Any]
"""A piecewise linear function: slope on the left, (place, change of slope) of each kink, and what is added."""


@dataclass(frozen=True)
class Layer:
    """A use of a weight that reads channels and makes new ones.

    Attributes:
        name: Path of the weight without ``.weight``.
        weight: Name of the weight; None where the code computes it.
        bias: Name of the bias; None for none.
        rows: Dimension of the weight whose entries make the outputs.
        columns: Dimension whose entries multiply the inputs.
    """

    name: str
    weight: str | None
    bias: str | None
    rows: int = 0
    columns: int = 1


class Call:
    """An operation in the graph, with its arguments by name.

    Args:
        node: The call.
        layouts: Of the nodes before it.
        names: Of parameters and buffers, by placeholder.
        training: Whether the graph is of training mode.

    Attributes:
        layer: What the rule found it to be a layer of; None otherwise.
    """

    def __init__(self, node: fx.Node, layouts: dict[fx.Node, Any], names: dict[fx.Node, str], training: bool) -> None:
        self.node, self.layouts, self.names, self.training = node, layouts, names, training
        self.name = operation(node.target)
        self.layer: Layer | None = None
        self.arguments = arguments(node)

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the output."""
        return sizes(self.node)

    @property
    def tensors(self) -> list[fx.Node]:
        """Inputs that are tensors."""
        return [n for n in self.node.all_input_nodes if isinstance(self.layouts.get(n), tuple)]

    def layout(self, name: str) -> Layout:
        """Of an input by its argument's name."""
        found: Layout = self.layouts[self[name]]
        return found

    def has(self, name: str) -> bool:
        """Whether an optional input is there."""
        return isinstance(self[name], fx.Node)

    def reason(self, text: str) -> Reason:
        """Why something is refused here."""
        return Reason(text, where(self.node))

    def dims(self, name: str = "dim", rank: int | None = None) -> list[int]:
        """Dimensions named by an argument, counted from 0; all for None."""
        rank = len(self.layout(self.first)) if rank is None else rank
        given = self[name]
        listed = range(rank) if given is None or given == [] else given if isinstance(given, Sequence) else [given]
        return [int(d) % rank for d in listed]

    @property
    def first(self) -> str:
        """Name of the first argument."""
        return next(iter(self.arguments))


Rule = Callable[[Call], Any]


@dataclass(frozen=True)
class Operation:
    """An entry of the table.

    Attributes:
        rule: From a call to the layout of what it makes, or layouts of what it makes several of.
        form: How it acts in a chain.
        kinks: For a kinked one: from its other arguments to `Kinks`.
        macs: What it multiplies and adds: products of axes, from a call and its output's layout.
        baked: Whether its arguments have sizes that channels may change.
        random: Whether it draws numbers: always, or as long as its argument of this name is true.
    """

    rule: Rule
    form: Form = Form.GENERAL
    kinks: Callable[..., Kinks] | None = None
    macs: Callable[[Call, Layout], list[Layout]] | None = None
    baked: bool = False
    random: bool | str = False

    @property
    def bends(self) -> bool:
        """Whether it has a second derivative, or a kink, where it has one input."""
        return self.form in (Form.CURVED, Form.KINKED, Form.GENERAL)


# -- rules: entry by entry ---------------------------------------------------------------------------------------------


def joined(call: Call, layouts: Sequence[Layout]) -> Layout:
    """The layout of tensors that meet entry by entry, of which some may be spread over dimensions of size 1."""
    found: list[Axis] = []
    for axes in zip_longest(*(reversed(layout) for layout in layouts)):
        there = [axis for axis in axes if axis is not None]
        widest = max(there, key=length)
        for axis in there:
            if length(axis) == length(widest):
                unify(widest, axis, call.reason(f"meets what cannot grow in {call.name}"))
            else:
                refuse(axis, call.reason(f"is spread over others in {call.name}"))
        found.append(widest)
    return tuple(reversed(found))


def elementwise(call: Call) -> Layout:
    return joined(call, [call.layouts[n] for n in call.tensors])


def unknown(call: Call) -> Any:
    """Refuse all that goes in."""
    for node in call.tensors:
        for axis in call.layouts[node]:
            refuse(axis, call.reason(f"unknown operation {call.name}: needs an entry in bench/network/operations.py"))
    return made(call)


def _unknown(call: Call) -> Layout:
    layout: Layout = unknown(call)
    return layout


def made(call: Call) -> Any:
    """A new tensor, or several."""
    value = call.node.meta["val"]
    if isinstance(value, Tensor):
        return tuple(plain(number(n)) for n in value.shape)
    return [tuple(plain(number(n)) for n in one.shape) for one in value]


def batch_norm(call: Call) -> Layout:
    layout = call.layout("input")
    if not call.has("running_mean") or (call["training"] and not call.training):
        refuse(layout[1], call.reason("normalised by the batch in evaluation mode"))
    for name in ("weight", "bias", "running_mean", "running_var"):
        if call.has(name):
            unify(layout[1], call.layout(name)[0], call.reason("meets what cannot grow in batch_norm"))
    return layout


def prelu(call: Call) -> Layout:
    layout, (slopes,) = call.layout("self"), call.layout("weight")
    if length(slopes) > 1:  # one slope is all channels'
        unify(layout[1], slopes, call.reason("meets what cannot grow in prelu"))
    return layout


# -- rules: layers -----------------------------------------------------------------------------------------------------


def _weight(call: Call, argument: str, rows: int) -> tuple[Layer, Axis, Axis]:
    """The layer with its rows and columns, of a weight that is a parameter, or one transposed."""
    node, columns = call[argument], 1 - rows
    layout = call.layouts[node]
    while node not in call.names and operation(node.target) in ("t", "transpose", "permute") and len(layout) == 2:
        node, rows, columns = node.args[0], columns, rows
    stack = list((call.node.meta.get("nn_module_stack") or {"": ("", "")}).values())
    name = call.names.get(node)
    bias = call.names.get(call["bias"]) if call.has("bias") else None
    if name is None:
        call.layer = Layer(str(stack[-1][0]) or call.node.name, None, bias, rows, columns)
        reason = call.reason(f"the weight of {call.layer.name} is {computed(node)}")
    else:
        call.layer = Layer(name.removesuffix(".weight"), name, bias, rows, columns)
        reason = call.reason(f"{call.layer.name} is used more than once: each use would need weights of its own")
    if name is None or len(node.users) > 1:
        for axis in layout:
            refuse(axis, reason)
    turned = call.layouts[node] if name is not None else layout
    return call.layer, turned[rows], turned[columns]


def _reads(call: Call, axis: Axis, columns: Axis) -> None:
    assert call.layer is not None
    unify(axis, columns, call.reason(f"{call.layer.name} reads it together with what cannot grow"))


def computed(node: fx.Node) -> str:
    """What is said of a weight that is no parameter."""
    return f"computed, by {operation(node.target)}: it would have to be a parameter"


def _biased(call: Call, rows: Axis) -> Axis:
    if call.has("bias"):
        unify(rows, call.layout("bias")[-1], call.reason("meets what cannot grow"))
    return rows


def linear(call: Call) -> Layout:
    _, rows, columns = _weight(call, "weight", 0)
    layout = call.layout("input")
    _reads(call, layout[-1], columns)
    return (*layout[:-1], _biased(call, rows))


def convolution(call: Call) -> Layout:
    layout, groups, shape = call.layout("input"), int(call["groups"]), call.shape
    if len(layout) < len(shape) or len(shape) < 3:
        return _unknown(call)  # a convolution without a batch
    for axis in layout[2:]:
        refuse(axis, call.reason("is convolved over"))
    spatial = tuple(plain(n) for n in shape[2:])
    each, out = length(layout[1]) // groups, shape[1] // groups
    units = [_unit(segment, each) for segment in resolved(layout[1])]
    if groups > 1 and all(unit is not None for unit in units):  # each channel's own, or each group's
        rows: Axis = tuple((*(unit or ()), out) for unit in units)
        unify(call.layout("weight")[0], rows, call.reason("meets what cannot grow"))
        return (layout[0], _biased(call, rows), *spatial)
    _, rows, columns = _weight(call, "weight", 0)
    if groups > 1:  # one neuron of every group at a time
        read, own = Space(each), Space(out)
        unify(rows, ((groups, own),), call.reason("meets what cannot grow"))
        unify(layout[1], ((groups, read),), call.reason("a grouped convolution reads it in pieces that do not fit"))
        _reads(call, ((read,),), columns)
    else:
        _reads(call, layout[1], columns)
    return (layout[0], _biased(call, rows), *spatial)


def _unit(segment: tuple[Any, ...], each: int) -> tuple[Any, ...] | None:
    """What of a segment counts groups of ``each`` entries; None where groups and channels do not fit."""
    if each == 1:
        return segment
    outer, *inner = segment
    if isinstance(outer, Space) and outer.reason is None and entries(tuple(inner)) == each:
        refuse((tuple(inner),), Reason("is mixed within its group"))
        return (outer,)
    return None


def transposed_convolution(call: Call) -> Layout:
    for axis in call.layout("input")[1:]:
        refuse(axis, call.reason("is read by a transposed convolution"))
    layer, rows, _ = _weight(call, "weight", 1)
    refuse(rows, call.reason(f"{layer.name} is a transposed convolution"))
    return made(call)  # type: ignore[no-any-return]


def matmul(call: Call) -> Layout:
    first, second = _factors(call)
    one, two = call.layout(first), call.layout(second)
    if len(two) == 2 and _is_parameter(call, call[second]):
        _, rows, columns = _weight(call, second, 1)
        _reads(call, one[-1], columns)
        return (*one[:-1], rows)
    if min(len(one), len(two)) < 2:
        return _unknown(call)
    for axis in (one[-1], two[-2]):
        refuse(axis, call.reason("is summed over by a product of tensors"))
    return (*joined(call, [one[:-2], two[:-2]]), one[-2], two[-1])


def _factors(call: Call) -> tuple[str, str]:
    """Names of the two tensors that are multiplied."""
    return ("mat1", "mat2") if "mat1" in call.arguments else ("self", "mat2" if "mat2" in call.arguments else "other")


def addmm(call: Call) -> Layout:
    layout = matmul(call)
    if call.layer is not None and call["self"] in call.names:
        call.layer = Layer(
            call.layer.name, call.layer.weight, call.names[call["self"]], call.layer.rows, call.layer.columns
        )
        unify(layout[-1], call.layout("self")[-1], call.reason("meets what cannot grow"))
        return layout
    return joined(call, [layout, call.layout("self")])


def _is_parameter(call: Call, node: fx.Node) -> bool:
    while node not in call.names and operation(node.target) in ("t", "transpose", "permute"):
        node = node.args[0]  # type: ignore[assignment]
    return node in call.names


def embedding(call: Call) -> Layout:
    rows, columns = call.layout("weight")
    refuse(rows, call.reason("is looked up by index"))
    return (*call.layout("indices"), columns)


def attention(call: Call) -> Layout:
    """``softmax(q k^T) v`` over ``(..., heads, length, size)``: heads stay apart, sizes and lengths are mixed."""
    query, key, value = (call.layout(name) for name in ("query", "key", "value"))
    for axis in (query[-1], key[-1]):
        refuse(axis, call.reason("is summed over by attention"))
    refuse(key[-2], call.reason("is attended over"))
    refuse(value[-2], call.reason("is attended over"))
    heads = joined(call, [query[:-2], key[:-2], value[:-2]])
    if call.has("attn_mask"):
        joined(call, [(*heads, query[-2], key[-2]), call.layout("attn_mask")])
    return (*heads, query[-2], value[-1])


# -- rules: along and across dimensions --------------------------------------------------------------------------------


def reduction(call: Call) -> Any:
    """Over some dimensions, none of which may hold channels."""
    layout = call.layout(call.first)
    gone = call.dims() if "dim" in call.arguments else list(range(len(layout)))
    for d in gone:
        refuse(layout[d], call.reason(f"{call.name} over channels"))
    kept = tuple(plain(1) if d in gone else axis for d, axis in enumerate(layout))
    layout = kept if call["keepdim"] else tuple(axis for d, axis in enumerate(layout) if d not in gone)
    return _as_many(call, layout)


def _as_many(call: Call, layout: Layout) -> Any:
    value = call.node.meta["val"]
    return layout if isinstance(value, Tensor) else [layout for _ in value]


def along(text: str, argument: str = "dim") -> Rule:
    """Each entry depends on all along some dimensions, none of which may hold channels."""

    def rule(call: Call) -> Layout:
        layout = call.layout(call.first)
        for d in call.dims(argument):
            refuse(layout[d], call.reason(text))
        return layout

    return rule


def pooling(call: Call) -> Any:
    """Over the dimensions behind the channels."""
    layout, value = call.layout(call.first), call.node.meta["val"]
    shape = [number(n) for n in (value if isinstance(value, Tensor) else value[0]).shape]
    for axis in layout[2:]:
        refuse(axis, call.reason(f"{call.name} over channels"))
    return _as_many(call, (*layout[:2], *(plain(n) for n in shape[2:])))


INSTEAD = "a norm of each channel alone, as batch norm is, would not"


def layer_norm(call: Call) -> Layout:
    layout = call.layout("input")
    last = len(call["normalized_shape"])
    for i in range(1, last + 1):
        refuse(
            layout[-i],
            call.reason(f"a layer norm mixes its channels: {INSTEAD}"),
        )
    for name in ("weight", "bias"):
        if call.has(name):
            joined(call, [layout, call.layout(name)])
    return layout


def group_norm(call: Call) -> Layout:
    layout = call.layout("input")
    for axis in layout[1:]:
        refuse(
            axis,
            call.reason(f"{call.name} mixes its channels: {INSTEAD}"),
        )
    return layout


def reshape(call: Call) -> Layout:
    return reshaped(call.layout(call.first), call.shape, call.reason(f"{call.name} takes its channels apart"))


def permute(call: Call) -> Layout:
    layout = call.layout(call.first)
    return tuple(layout[d] for d in call.dims("dims"))


def transpose(call: Call) -> Layout:
    layout = list(call.layout(call.first))
    if len(layout) < 2:
        return tuple(layout)
    one, two = (int(call[n]) % len(layout) for n in ("dim0", "dim1")) if "dim0" in call.arguments else (0, 1)
    layout[one], layout[two] = layout[two], layout[one]
    return tuple(layout)


def expand(call: Call) -> Layout:
    layout = call.layout(call.first)
    return joined(call, [tuple(plain(n) for n in call.shape), layout]) if not layout else _expanded(call, layout)


def _expanded(call: Call, layout: Layout) -> Layout:
    new = len(call.shape) - len(layout)
    found = [plain(n) for n in call.shape[:new]]
    for axis, n in zip(layout, call.shape[new:], strict=True):
        if length(axis) == n:
            found.append(axis)
        else:
            refuse(axis, call.reason("is spread over others"))
            found.append(plain(n))
    return tuple(found)


def repeat(call: Call) -> Layout:
    layout = call.layout(call.first)
    new = len(call.shape) - len(layout)
    times = [n // length(axis) for n, axis in zip(call.shape[new:], layout, strict=True)]
    inner = call.name == "repeat_interleave"
    axes = [
        tuple((*s, k) if inner else (k, *s) for s in resolved(a)) if len(resolved(a)) == 1 or inner else resolved(a) * k
        for k, a in zip(times, layout, strict=True)
    ]
    return (*(plain(n) for n in call.shape[:new]), *axes)


def cat(call: Call) -> Layout:
    layouts = [call.layouts[n] for n in call["tensors"]]
    layouts = [one for one in layouts if not (len(one) == 1 and length(one[0]) == 0)] or layouts  # it skips empty ones
    (d,) = call.dims("dim", len(layouts[0]))
    rest = joined(call, [(*one[:d], *one[d + 1 :]) for one in layouts])
    return (*rest[:d], tuple(s for one in layouts for s in one[d]), *rest[d:])


def stack(call: Call) -> Layout:
    layout = joined(call, [call.layouts[n] for n in call["tensors"]])
    (d,) = call.dims("dim", len(layout) + 1)
    return (*layout[:d], plain(len(call["tensors"])), *layout[d:])


def split(call: Call) -> list[Layout]:
    """Into pieces; those of ``chunk`` stay equal, as the code asks for a number of pieces."""
    layout = call.layout(call.first)
    (d,) = call.dims()
    shapes = [tuple(number(n) for n in one.shape) for one in call.node.meta["val"]]
    reason = call.reason(f"{call.name} cuts inside a channel")
    pieces = parted(layout[d], [shape[d] for shape in shapes], reason)
    for piece in pieces[1:] if call.name == "chunk" else []:
        if length(piece) == length(pieces[0]):
            unify(pieces[0], piece, reason)
        else:
            refuse(layout[d], call.reason("chunk makes unequal pieces"))
    return [(*layout[:d], piece, *layout[d + 1 :]) for piece in pieces]


def unbind(call: Call) -> Any:
    layout = call.layout(call.first)
    (d,) = call.dims()
    refuse(layout[d], call.reason(f"{call.name} takes single channels"))
    return _as_many(call, (*layout[:d], *layout[d + 1 :]))


def sliced(call: Call) -> Layout:
    layout, shape = call.layout(call.first), call.shape
    (d,) = call.dims()
    whole = length(layout[d])
    if shape[d] == whole:
        return layout
    start = number(call["start"] or 0)
    start = max(start + whole, 0) if start < 0 else start
    if call.name == "slice" and number(call["step"] or 1) != 1:
        refuse(layout[d], call.reason("a slice with gaps"))
        return (*layout[:d], plain(shape[d]), *layout[d + 1 :])
    wanted = [start, shape[d], whole - start - shape[d]]
    pieces = parted(layout[d], wanted, call.reason("a slice cuts inside a channel"))
    return (*layout[:d], pieces[1], *layout[d + 1 :])


def getitem(call: Call) -> Any:
    source, piece = call.node.args
    made_of = call.layouts[source] if isinstance(source, fx.Node) else None
    return made_of[piece] if isinstance(made_of, list) and isinstance(piece, int) else made(call)


def index(call: Call) -> Layout:
    """Along one dimension, by a tensor of places."""
    layout = call.layout(call.first)
    given = [call["index"]] if call.name == "index_select" else list(call["indices"])
    at = call.dims() if call.name == "index_select" else [d for d, one in enumerate(given) if one is not None]
    for d in at:
        refuse(layout[d], call.reason("is picked by index"))
    if len(at) > 1:
        for axis in layout:
            refuse(axis, call.reason("is picked by several indices"))
        return made(call)  # type: ignore[no-any-return]
    places = call.layouts[given[0] if call.name == "index_select" else given[at[0]]]
    return (*layout[: at[0]], *places, *layout[at[0] + 1 :])


def padding(call: Call) -> Layout:
    """Zeros beside the channels are channels that cannot grow; anything else beside them is not understood."""
    layout, pads = list(call.layout(call.first)), [number(n) for n in call["pad"] or call["padding"]]
    zeros = call.name in ("constant_pad_nd", "pad") and call["mode"] in (None, "constant")
    for i in range(len(pads) // 2):
        before, after, d = pads[2 * i], pads[2 * i + 1], len(layout) - 1 - i
        if before == after == 0:
            continue
        if not zeros or min(before, after) < 0:
            refuse(layout[d], call.reason(f"{call.name} across channels"))
            layout[d] = plain(call.shape[d])
        else:
            layout[d] = tuple(s for s in ((before,), *layout[d], (after,)) if s != (0,))
    return tuple(layout)


def gated(call: Call) -> Layout:
    """``glu``: the first half times the logistic function of the second."""
    layout = call.layout(call.first)
    (d,) = call.dims()
    half = length(layout[d]) // 2
    one, two = parted(layout[d], [half, half], call.reason("glu cuts inside a channel"))
    unify(one, two, call.reason("glu multiplies it by what cannot grow"))
    return (*layout[:d], one, *layout[d + 1 :])


# -- costs -------------------------------------------------------------------------------------------------------------


def by_weight(call: Call, layout: Layout) -> list[Layout]:
    """Each output takes the weights of a row."""
    weight, rows = call.layout("weight"), call.layer.rows if call.layer is not None else 0
    return [(*layout, *(axis for d, axis in enumerate(weight) if d != rows))]


def by_input(call: Call, layout: Layout) -> list[Layout]:
    """Each input takes the weights of a row."""
    return [(*call.layout("input"), *call.layout("weight")[1:])]


def by_product(call: Call, layout: Layout) -> list[Layout]:
    """Each output takes as many as are summed over."""
    return [(*layout, call.layout(_factors(call)[0])[-1])]


def by_attention(call: Call, layout: Layout) -> list[Layout]:
    """Scores of every pair, then values by every pair."""
    query, key = call.layout("query"), call.layout("key")
    return [(*layout[:-1], key[-2], query[-1]), (*layout[:-1], key[-2], layout[-1])]


# -- the table ---------------------------------------------------------------------------------------------------------


def _relu() -> Kinks:
    return 0.0, [(0.0, 1.0)], 0.0


def _hardtanh(low: float = -1.0, high: float = 1.0) -> Kinks:
    return 0.0, [(low, 1.0), (high, -1.0)], low


def _leaky(slope: Any = 0.01) -> Kinks:
    return slope, [(0.0, 1.0 - slope)], 0.0


def _hardsigmoid() -> Kinks:
    return 0.0, [(-3.0, 1 / 6), (3.0, -1 / 6)], 0.0


def _many(names: str, entry: Operation) -> dict[str, Operation]:
    return dict.fromkeys(names.split(), entry)


OPERATIONS: dict[str, Operation] = {
    **_many(
        "add sub rsub neg alias clone contiguous detach detach_ to _to_copy type_as lift_fresh_copy lift_fresh "
        "div_scalar float double half",
        Operation(elementwise, Form.AFFINE),
    ),
    **_many(
        "dropout feature_dropout alpha_dropout feature_alpha_dropout native_dropout",
        Operation(elementwise, Form.AFFINE, random="train"),
    ),
    "mul": Operation(elementwise, Form.PRODUCT),
    **_many(
        "silu gelu softplus tanh sigmoid elu selu celu mish log_sigmoid hardswish exp expm1 log log1p square sqrt "
        "rsqrt reciprocal sin cos erf pow div softsign atan abs true_divide",
        Operation(elementwise, Form.CURVED),
    ),
    **_many("addcmul addcdiv lerp maximum minimum clamp clamp_min clamp_max where masked_fill", Operation(elementwise)),
    "relu": Operation(elementwise, Form.KINKED, _relu),
    "relu6": Operation(elementwise, Form.KINKED, lambda: _hardtanh(0.0, 6.0)),
    "hardtanh": Operation(elementwise, Form.KINKED, _hardtanh),
    "leaky_relu": Operation(elementwise, Form.KINKED, _leaky),
    "hardsigmoid": Operation(elementwise, Form.KINKED, _hardsigmoid),
    "prelu": Operation(prelu, Form.KINKED, _leaky),
    "batch_norm": Operation(batch_norm, Form.AFFINE),
    "linear": Operation(linear, Form.MIX, macs=by_weight),
    **_many("conv1d conv2d conv3d", Operation(convolution, Form.MIX, macs=by_weight)),
    **_many("conv_transpose1d conv_transpose2d conv_transpose3d", Operation(transposed_convolution, macs=by_input)),
    **_many("matmul mm bmm", Operation(matmul, macs=by_product)),
    "addmm": Operation(addmm, macs=by_product),
    "embedding": Operation(embedding, Form.MOVE),
    "scaled_dot_product_attention": Operation(attention, macs=by_attention),
    **_many("mean sum", Operation(reduction, Form.MIX)),
    **_many("amax amin max min prod std var logsumexp norm linalg_vector_norm", Operation(reduction)),
    **_many("softmax log_softmax _softmax _log_softmax", Operation(along("softmax over channels"))),
    "cumsum": Operation(along("cumsum over channels"), Form.MIX),
    **_many("roll flip", Operation(along("its channels change places", "dims"), Form.MOVE)),
    **_many(
        "max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d max_pool2d_with_indices",
        Operation(pooling, Form.SELECT),
    ),
    **_many(
        "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
        "upsample_nearest2d upsample_bilinear2d upsample_bicubic2d _upsample_bilinear2d_aa "
        "_upsample_bicubic2d_aa upsample_nearest1d upsample_linear1d",
        Operation(pooling, Form.MIX),
    ),
    **_many("layer_norm rms_norm", Operation(layer_norm)),
    **_many("group_norm instance_norm native_group_norm", Operation(group_norm)),
    **_many("flatten squeeze unsqueeze", Operation(reshape, Form.MOVE)),
    **_many("view reshape _unsafe_view unflatten reshape_as view_as", Operation(reshape, Form.MOVE, baked=True)),
    "permute": Operation(permute, Form.MOVE),
    **_many("transpose t", Operation(transpose, Form.MOVE)),
    **_many("expand expand_as", Operation(expand, Form.MOVE, baked=True)),
    **_many("repeat repeat_interleave", Operation(repeat, Form.MOVE)),
    "cat": Operation(cat, Form.MOVE),
    "stack": Operation(stack, Form.MOVE),
    **_many("split split_with_sizes tensor_split", Operation(split, Form.MOVE, baked=True)),
    "chunk": Operation(split, Form.MOVE),
    **_many("unbind select", Operation(unbind, Form.MOVE)),
    **_many("slice narrow", Operation(sliced, Form.MOVE, baked=True)),
    "getitem": Operation(getitem, Form.MOVE),
    **_many("index index_select", Operation(index, Form.MOVE)),
    **_many("pad constant_pad_nd reflection_pad1d reflection_pad2d replication_pad2d", Operation(padding, Form.MOVE)),
    "glu": Operation(gated),
    **_many(
        "zeros ones full empty arange zeros_like ones_like full_like new_zeros new_ones new_full new_empty "
        "scalar_tensor linspace eye",
        Operation(made),
    ),
    **_many("rand randn rand_like randn_like bernoulli randint randperm", Operation(made, random=True)),
}
"""Operations by name, overloads alike."""

UNKNOWN = Operation(unknown)


def entry(target: object) -> Operation:
    """The table's entry for an operation; that of unknown ones for what it does not have."""
    return OPERATIONS.get(operation(target), UNKNOWN)
