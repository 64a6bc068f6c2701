"""The channels of tensors: each dimension is a sequence of segments of spaces.

A *space* is a set of channels under one index: what a layer's rows make, say. A dimension of a tensor is an `Axis`, a
concatenation of segments; a segment is a product of factors, the first one outermost, and a factor is a space or a
plain number that never changes. So the rows of a fused ``qkv`` layer are ``(3, heads, size)``, what a flatten leaves is
``(channels, pixels)``, and what ``cat`` leaves is the segments of its inputs one after the other.

Operations only ever say that two dimensions are the same, cut them, or reshape them. Spaces follow: two that meet
become one; one that is cut becomes two; one whose index is reshaped becomes a product of two; and one that meets a
plain number, or is used in a way that is not understood, is refused, with the first reason that came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class Reason:
    """Why channels cannot be split: what for, and the place in the user's source, ``file:line``."""

    text: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.where})" if self.where else self.text


class Space:
    """Channels under one index.

    Attributes:
        size: How many.
        reason: Why they cannot be split; None while they can.
        within: Whether they are the size of larger units, of which there are several one after the other.
        parts: What they turned out to be, in terms of other spaces; None while they are their own.
    """

    def __init__(self, size: int, within: bool = False) -> None:
        self.size = size
        self.within = within
        self.reason: Reason | None = None
        self.parts: Axis | None = None

    def become(self, parts: Axis) -> None:
        """Be made of other spaces from now on."""
        self.parts = parts
        if self.reason is not None:
            refuse(parts, self.reason)


Factor = Space | int
Segment = tuple[Factor, ...]
Axis = tuple[Segment, ...]
Layout = tuple[Axis, ...]
"""The axes of a tensor, one per dimension."""


def plain(size: int) -> Axis:
    """A dimension that never grows."""
    return ((size,),)


def fresh(size: int) -> Axis:
    """A dimension of channels of its own."""
    return ((Space(size),),)


def size(factor: Factor) -> int:
    """Of one factor."""
    return factor.size if isinstance(factor, Space) else factor


def entries(segment: Segment) -> int:
    """Of one segment."""
    return prod(size(factor) for factor in segment)


def length(axis: Axis) -> int:
    """Of a dimension."""
    return sum(entries(segment) for segment in axis)


def resolved(axis: Axis) -> Axis:
    """The axis in terms of spaces that are their own."""
    return tuple(made for segment in axis for made in _resolved(segment))


def _resolved(segment: Segment) -> Axis:
    whole: Axis = ((),)
    for factor in segment:
        inner = resolved(factor.parts) if isinstance(factor, Space) and factor.parts is not None else ((factor,),)
        if len(inner) == 1:
            whole = tuple(outer + inner[0] for outer in whole)
        else:  # a sequence inside a product is written out: what holds it cannot grow
            refuse(whole, Reason("holds channels of several kinds"))
            whole = tuple(made for outer in whole for made in inner * entries(outer))
    return tuple(_simple(made) for made in whole)


def _simple(segment: Segment) -> Segment:
    """Plain factors side by side taken together, ones left out."""
    found: list[Factor] = []
    for factor in segment:
        before = found[-1] if found else None
        if isinstance(factor, int) and isinstance(before, int):
            found[-1] = before * factor
        elif factor != 1:
            found.append(factor)
    return tuple(found) or (1,)


def spaces(axis: Axis) -> Iterator[Space]:
    """The spaces of an axis, those that are their own."""
    for segment in resolved(axis):
        yield from (factor for factor in segment if isinstance(factor, Space))


def refuse(axis: Axis, reason: Reason) -> None:
    """None of the channels of an axis can be split."""
    for space in [*spaces(axis)]:
        space.reason = space.reason or reason


def unify(one: Axis, two: Axis, reason: Reason) -> None:
    """Two dimensions of the same size are the same; ``reason`` is why they cannot grow where they do not fit."""
    left, right = list(one), list(two)
    while left and right:
        left, right = list(resolved(tuple(left))), list(resolved(tuple(right)))
        a, b = entries(left[0]), entries(right[0])
        if a > b:
            left[:1] = cut(left[0], b, reason)
        elif b > a:
            right[:1] = cut(right[0], a, reason)
        else:
            _unify_segments(left.pop(0), right.pop(0), reason)


def _unify_segments(one: Segment, two: Segment, reason: Reason) -> None:
    left, right = list(one), list(two)
    while left and right:
        rest = resolved((tuple(left),)), resolved((tuple(right),))
        if max(map(len, rest)) > 1:
            return unify(*rest, reason)
        left, right = list(rest[0][0]), list(rest[1][0])
        if size(left[0]) < size(right[0]):
            left, right = right, left
        large, small = left.pop(0), right.pop(0)
        if size(large) % size(small):
            left.append(large)
            right.append(small)
            break
        if size(large) == size(small):
            _same(large, small, reason)
        elif size(small) == 1 and large in right:  # a part of itself
            refuse(((small,),), reason)
            left.insert(0, large)
        elif isinstance(large, int):
            _same(size(small), small, reason)
            left.insert(0, large // size(small))
        else:
            outer, inner = divided(large, size(small))
            _same(outer, small, reason)
            left.insert(0, inner)
    refuse((tuple(left), tuple(right)), reason)
    return None


def _same(one: Factor, two: Factor, reason: Reason) -> None:
    if isinstance(one, Space) and isinstance(two, Space):
        if one is not two:
            one.reason = one.reason or two.reason
            two.become(((one,),))
    else:
        refuse(((one, two),), reason)


def divided(factor: Factor, outer: int) -> tuple[Factor, Factor]:
    """A factor as a product whose outer factor is ``outer``, which divides it."""
    if isinstance(factor, int):
        return outer, factor // outer
    pair = Space(outer, factor.within), Space(factor.size // outer, within=outer > 1)
    factor.become((pair,))
    return pair


def cut(segment: Segment, where: int, reason: Reason) -> Axis:
    """A segment as several, one of which ends after ``where`` entries."""
    outer, *rest = segment
    inner = tuple(rest)
    if isinstance(outer, Space) and outer.within:  # units of several parts grow as a whole, the parts stay as they are
        outer.become(plain(outer.size))
        outer = outer.size
    whole, left = divmod(where, entries(inner))
    if left == 0:
        if isinstance(outer, int):
            return (whole, *inner), (outer - whole, *inner)
        pair = Space(whole), Space(outer.size - whole)
        outer.become(((pair[0],), (pair[1],)))
        return (pair[0], *inner), (pair[1], *inner)
    refuse(((outer,),), reason)
    before, after = (whole, *inner), (size(outer) - whole - 1, *inner)
    return tuple(made for made in (before, *cut(inner, left, reason), after) if entries(made))


def parted(axis: Axis, sizes: Sequence[int], reason: Reason) -> list[Axis]:
    """An axis cut into pieces of these sizes."""
    pieces = []
    for wanted in sizes:
        left, piece = list(resolved(axis)), []
        while wanted > 0:
            if entries(left[0]) > wanted:
                left[:1] = cut(left[0], wanted, reason)
            wanted -= entries(left[0])
            piece.append(left.pop(0))
        pieces.append(tuple(piece) or plain(0))
        axis = tuple(left)
    return pieces


def reshaped(layout: Layout, sizes: Sequence[int], reason: Reason) -> Layout:
    """The layout of a tensor whose entries, in the same order, get other dimensions."""
    found: list[Axis] = []
    before, after = list(layout), list(sizes)
    while before or after:
        taken, wanted = [before.pop(0)] if before else [], [after.pop(0)] if after else []
        while (a := prod(length(axis) for axis in taken)) != (b := prod(wanted)):
            if a < b:
                taken.append(before.pop(0))
            else:
                wanted.append(after.pop(0))
        found += _regrouped(taken, wanted, reason)
    return tuple(found)


def _regrouped(taken: Sequence[Axis], wanted: Sequence[int], reason: Reason) -> Layout:
    """Dimensions that together become others."""
    if len(wanted) == 1:
        return (_flattened(taken),)
    if not wanted:
        return ()
    left = _flattened(taken)
    found: list[Axis] = []
    for outer in wanted[:-1]:
        left = resolved(left)
        if len(left) > 1:  # pieces side by side become one under another: they are the same piece
            pieces = parted(left, [length(left) // outer] * outer, reason) if length(left) else [left]
            for piece in pieces[1:]:
                unify(pieces[0], piece, reason)
            found.append(plain(outer))
            left = pieces[0]
        else:
            taken_here, left = _outermost(left[0], outer, reason)
            found.append(taken_here)
    return (*found, left)


def _flattened(taken: Sequence[Axis]) -> Axis:
    whole: Axis = ((),)
    for axis in taken:
        inner = resolved(axis)
        if len(inner) == 1:
            whole = tuple(outer + inner[0] for outer in whole)
        else:
            refuse(whole, Reason("holds channels of several kinds"))
            whole = tuple(made for outer in whole for made in inner * entries(outer))
    return tuple(_simple(made) for made in whole)


def _outermost(segment: Segment, outer: int, reason: Reason) -> tuple[Axis, Axis]:
    """A segment as an outer dimension of this size and an inner one."""
    left, made = list(segment), []
    while outer > 1 and left:
        own = size(left[0])
        if own <= outer and outer % own == 0:
            made.append(left.pop(0))
            outer //= own
        elif own % outer == 0:
            left[:1] = divided(left[0], outer)
        else:
            refuse((segment,), reason)
            whole = entries(segment) // (prod(map(size, made)) * outer)
            return plain(prod(map(size, made)) * outer), plain(whole)
    if outer == 1 and not made and left and isinstance(left[0], Space) and left[0].size > 1:
        left[:1] = divided(left[0], 1)
        made.append(left.pop(0))
    return (_simple(tuple(made)),), (_simple(tuple(left)),)
