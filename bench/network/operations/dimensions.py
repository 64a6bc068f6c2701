"""Operations along and across dimensions: reductions, norms, pooling, and entries that change places."""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx

from bench.network.operations.base import Call, Rule
from bench.network.operations.pointwise import joined, made
from bench.network.program import number, operation
from bench.network.spaces import Layout, length, parted, plain, refuse, reshaped, resolved, unify


def reduction(call: Call) -> Any:
    """Over some dimensions, none of which may hold channels."""
    layout = call.layout(call.first)
    if any(operation(user.target) == "getitem" and user.args[1] == 1 and user.users for user in call.node.users):
        for axis in layout:
            refuse(axis, call.reason(f"{call.name}: the places of its {call.name}ima are read, which jump"))
    gone = call.dims() if "dim" in call.arguments else list(range(len(layout)))
    for d in gone:
        refuse(layout[d], call.reason(f"{call.name} over channels"))
    kept = tuple(plain(1) if d in gone else axis for d, axis in enumerate(layout))
    layout = kept if call["keepdim"] else tuple(axis for d, axis in enumerate(layout) if d not in gone)
    return _as_many(call, layout)


def _as_many(call: Call, layout: Layout) -> Any:
    value = call.node.meta["val"]
    return layout if isinstance(value, Tensor) else [layout for _ in value]


def norm(call: Call) -> Any:
    """As a reduction, where it has a second derivative."""
    if (call["ord"] if "ord" in call.arguments else call["p"]) not in (None, 2):
        for axis in call.layout(call.first):
            refuse(axis, call.reason(f"{call.name} has kinks, but for the one of order 2"))
    return reduction(call)


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


def instance_norm(call: Call) -> Layout:
    """Each channel by its own positions."""
    layout = call.layout("input")
    for axis in layout[2:]:
        refuse(axis, call.reason("instance_norm over channels"))
    for name in ("weight", "bias", "running_mean", "running_var"):
        if call.has(name):
            unify(layout[1], call.layout(name)[0], call.reason("meets what cannot grow in instance_norm"))
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


def written(call: Call) -> Layout:
    """With other entries along a part of one dimension, which holds channels only where the part is all of it."""
    layout, source = call.layout(call.first), list(call.layout("src"))
    (d,) = call.dims()
    if call.name == "select_scatter":
        source.insert(d, plain(1))
    if length(source[d]) != length(layout[d]):
        for axis in (layout[d], source[d]):
            refuse(axis, call.reason("is written in part"))
        source[d] = layout[d]
    return joined(call, [layout, tuple(source)])


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
