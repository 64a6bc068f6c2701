"""Maxima whose two largest entries are nearly equal: where max pooling has its kinks.

The maximum of a window is ``a + relu(b - a)`` of its two largest entries, so it has a kink where their *gap* ``a - b``
is zero, with the second derivative ``delta(gap)`` along the gap. A step ``eps`` moves a gap by ``eps t``, and what it
does on average to a window is ``delta`` smeared over that distance. The bump (`bench.curvature.surrogate`) that stands
in for it is as wide as steps move the gaps of a layer:

    width = 1/2 sqrt(mean over windows of || eps d gap / d theta ||^2)

The mean is that of moves along one random unit direction per neuron, times the length d of theta. Of a step in units of
each neuron's norm, the direction has that length.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bench.network.operations import Picks


class Contest(NamedTuple):
    """The two largest entries of each window (smallest, where these are picked), shape ``(..., windows)`` each.

    Attributes:
        first: Places of the picked ones among the entries along the dimensions picked from.
        second: Places of the next; those of the picked ones where there is no other.
        gap: How far apart they are; infinite where there is no other.
    """

    first: Tensor
    second: Tensor
    gap: Tensor


def flat(x: Tensor, picks: Picks) -> Tensor:
    """The entries that are picked from, along the last dimension."""
    last = range(-len(picks.dims), 0)
    return x.movedim(picks.dims, tuple(last)).flatten(-len(picks.dims))


def unflat(x: Tensor, picks: Picks, like: Tensor) -> Tensor:
    """The inverse of `flat`."""
    sizes, last = [like.shape[d] for d in picks.dims], range(-len(picks.dims), 0)
    return x.reshape(*x.shape[:-1], *sizes).movedim(tuple(last), picks.dims)


def contest(x: Tensor, picks: Picks) -> Contest:
    """Who wins in each window of a tensor, and by how much."""
    entries, places = picks.sign * flat(x, picks), picks.places.to(x.device)
    candidates = entries[..., places.clamp(min=0)].masked_fill(places < 0, -torch.inf)
    largest, which = candidates.topk(2, dim=-1)
    first, second = places.expand(candidates.shape).gather(-1, which).unbind(-1)
    gap = largest[..., 0] - largest[..., 1]
    return Contest(first, torch.where(second < 0, first, second), gap)


def moved(x: Tensor, picks: Picks, found: Contest) -> Tensor:
    """The gaps of another tensor between the same places."""
    entries = picks.sign * flat(x, picks)
    return entries.gather(-1, found.first) - entries.gather(-1, found.second)
