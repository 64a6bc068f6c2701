"""Operations with a weight, and products of tensors: they read channels and make new ones. With what they cost."""

from __future__ import annotations

from typing import Any

from torch import fx

from bench.network.operations.base import Call, Layer
from bench.network.operations.pointwise import declined, joined, made
from bench.network.program import operation
from bench.network.spaces import Axis, Layout, Reason, Space, entries, length, plain, refuse, resolved, unify


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
        return declined(call)  # a convolution without a batch
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
        return declined(call)
    for axis in (one[-1], two[-2]):
        refuse(axis, call.reason("is summed over by a product of tensors"))
    return (*joined(call, [one[:-2], two[:-2]]), one[-2], two[-1])


def _factors(call: Call) -> tuple[str, str]:
    """Names of the two tensors that are multiplied."""
    return ("mat1", "mat2") if "mat1" in call.arguments else ("self", "mat2" if "mat2" in call.arguments else "other")


def einsum(call: Call) -> Layout:
    """A product of tensors by letters: those that are left out of the output are summed over."""
    kept, met = _letters(call)
    axes = {letter: joined(call, [(axis,) for axis in along])[0] for letter, along in met.items()}
    for letter, axis in axes.items():
        if letter not in kept:
            refuse(axis, call.reason("is summed over by a product of tensors"))
    return tuple(axes[letter] for letter in kept)


def _letters(call: Call) -> tuple[str, dict[str, list[Axis]]]:
    """Letters of the output, and what lies along each letter in the tensors that have it.

    An equation may leave the output out: it has the letters that come once, in the order of the alphabet.

    Raises:
        ValueError: An ellipsis, or a letter that comes twice in a tensor.
    """
    read, arrow, kept = str(call["equation"]).replace(" ", "").partition("->")
    met: dict[str, list[Axis]] = {}
    for letters, node in zip(read.split(","), call["tensors"], strict=True):
        if len(set(letters)) < len(letters):
            raise ValueError(f"{call['equation']}: a diagonal")
        for letter, axis in zip(letters, call.layouts[node], strict=True):
            met.setdefault(letter, []).append(axis)
    return kept if arrow else "".join(sorted(letter for letter, along in met.items() if len(along) == 1)), met


def addmm(call: Call) -> Layout:
    if (call["alpha"], call["beta"]) != (1, 1):
        return declined(call)
    layout = matmul(call)
    if call.layer is not None and call["self"] in call.names:
        call.layer = Layer(
            call.layer.name, call.layer.weight, call.names[call["self"]], call.layer.rows, call.layer.columns
        )
        unify(layout[-1], call.layout("self")[-1], call.reason("meets what cannot grow"))
        return layout
    return joined(call, [layout, call.layout("self")])


def _is_parameter(call: Call, node: fx.Node) -> bool:
    return untransposed(node) in call.names


def untransposed(node: fx.Node) -> fx.Node:
    """What a node is, or is a transpose of."""
    while operation(node.target) in ("t", "transpose", "permute") and isinstance(node.args[0], fx.Node):
        node = node.args[0]
    return node


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


def by_letters(call: Call, layout: Layout) -> list[Layout]:
    """Each entry of every letter, those of the output and those that are summed over."""
    return [tuple(max(along, key=length) for along in _letters(call)[1].values())]


def by_attention(call: Call, layout: Layout) -> list[Layout]:
    """Scores of every pair, then values by every pair."""
    query, key = call.layout("query"), call.layout("key")
    return [(*layout[:-1], key[-2], query[-1]), (*layout[:-1], key[-2], layout[-1])]
