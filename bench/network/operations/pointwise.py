"""Operations on each entry alone: what becomes of the channels of tensors that meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

from torch import Tensor

from bench.network.operations.base import Call, Rule
from bench.network.operations.smoothness import Given
from bench.network.program import number
from bench.network.spaces import Axis, Layout, length, plain, refuse, unify


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


def unless(jump: Callable[[Given], float]) -> Rule:
    """Each entry alone, unless the function jumps: then a small step changes the loss in first order."""

    def rule(call: Call) -> Layout:
        if jump(call.arguments):
            for node in call.tensors:
                for axis in call.layouts[node]:
                    refuse(axis, call.reason(f"{call.name} jumps in value, so no small step has a small effect"))
        return elementwise(call)

    return rule


def unknown(call: Call) -> Any:
    """Refuse all that goes in."""
    call.known = False
    for node in call.tensors:
        for axis in call.layouts[node]:
            refuse(axis, call.reason(f"unknown operation {call.name}: needs an entry in bench/network/operations"))
    return made(call)


def declined(call: Call) -> Layout:
    """The same, where one tensor is made."""
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
    if call["weight"] not in call.names:
        for axis in (*layout, slopes):
            refuse(axis, call.reason("the slopes of prelu are computed: they would have to be a parameter"))
    if length(slopes) > 1:  # one slope is all channels'
        unify(layout[1], slopes, call.reason("meets what cannot grow in prelu"))
    return layout
