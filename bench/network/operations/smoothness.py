"""The one place that says which functions are smooth: where their slope jumps, and where they jump themselves.

A function without `Kinks` in the table (`bench.network.operations.table`) has a continuous first derivative, one
with them is

    f(z) = smooth(z) + sum_k change_k relu(z - place_k)

whatever the smooth part: Hardswish, SELU and ELU bend between their kinks, ReLU and its kin do not. What jumps itself
has no second order, as a small step moves the loss in first: it is refused. What picks one of several entries, as max
pooling does, has kinks where the two largest are equal: `Picks` says which entries compete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log1p, prod
from typing import Any

import torch
from torch import Tensor, fx

from bench.network.program import arguments, number, operation

Kinks = Sequence[tuple[Any, Any]]
"""(place, change of slope) of each kink. A place is a number, a tensor, or the node of one; a change is a number, or a
tensor of one for each channel."""

Given = Mapping[str, Any]
"""Arguments of a call by name; parameters and buffers among them are tensors."""

ROUNDING = 1e-7
"""Relative to its value, a jump that float32 does not tell from rounding."""
GUARD = 1e-6
"""Up to here a lower bound of what is never negative guards a division, and is not met."""
NEVER_NEGATIVE = ("linalg_vector_norm", "norm", "abs", "square", "sqrt", "exp", "var", "std", "softmax", "sigmoid")
"""Operations that make what is never negative."""


def relu(given: Given) -> Kinks:
    return [(0.0, 1.0)]


def hardtanh(given: Given) -> Kinks:
    return [(given["min_val"], 1.0), (given["max_val"], -1.0)]


def relu6(given: Given) -> Kinks:
    return [(0.0, 1.0), (6.0, -1.0)]


def clamp(given: Given) -> Kinks:
    return [(given[name], change) for name, change in (("min", 1.0), ("max", -1.0)) if given.get(name) is not None]


def leaky_relu(given: Given) -> Kinks:
    return [(0.0, 1 - given["negative_slope"])]


def rrelu(given: Given) -> Kinks:
    return [(0.0, 1 - (given["lower"] + given["upper"]) / 2)]


def prelu(given: Given) -> Kinks:
    return [(0.0, 1 - given["weight"])]


def hardsigmoid(given: Given) -> Kinks:
    return [(-3.0, 1 / 6), (3.0, -1 / 6)]


def hardswish(given: Given) -> Kinks:
    return [(-3.0, -0.5), (3.0, -0.5)]


def elu(given: Given) -> Kinks:
    return [(0.0, given["scale"] * (1 - given["alpha"] * given["input_scale"]))]


def selu(given: Given) -> Kinks:
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    return [(0.0, scale * (1 - alpha))]


def softshrink(given: Given) -> Kinks:
    return [] if given["lambd"] == 0 else [(-given["lambd"], -1.0), (given["lambd"], 1.0)]


def threshold(given: Given) -> Kinks:
    return [(given["threshold"], 1.0)]


def absolute(given: Given) -> Kinks:
    return [(0.0, 2.0)]


def maximum(given: Given) -> Kinks:
    return [(given["other"], 1.0)]


def minimum(given: Given) -> Kinks:
    return [(given["other"], -1.0)]


def kinks_of(node: fx.Node, declared: Callable[[Given], Kinks] | None, tensors: Mapping[fx.Node, Tensor]) -> Kinks:
    """The kinks that a call has.

    Args:
        node: The call.
        declared: What the table says of its operation.
        tensors: Parameters and buffers by node.
    """
    if declared is None or (operation(node.target) == "abs" and _of_softsign(node)) or _guards_a_norm(node):
        return []
    given = {k: tensors.get(v, v) if isinstance(v, fx.Node) else v for k, v in arguments(node).items()}
    return [(place, change) for place, change in declared(given) if _is_there(change)]


def _is_there(change: Any) -> bool:
    return float(abs(change).max() if isinstance(change, Tensor) else abs(change)) > ROUNDING


def _guards_a_norm(node: fx.Node) -> bool:
    """Whether it keeps what is never negative from zero, as PyTorch's ``normalize`` does: nothing crosses its kink."""
    if operation(node.target) not in ("clamp", "clamp_min"):
        return False
    given = arguments(node)
    above, least = given["self"], given["min"]
    alone = given.get("max") is None and isinstance(least, int | float) and least <= GUARD
    return alone and isinstance(above, fx.Node) and operation(above.target) in NEVER_NEGATIVE


def _of_softsign(node: fx.Node) -> bool:
    """Whether it is the one in ``z / (|z| + 1)``, as PyTorch writes softsign: its kink is multiplied by zero there."""
    (z,), sums = node.all_input_nodes, list(node.users)
    adds = all(operation(n.target) == "add" and n.args[0] is node and n.args[1] == 1 for n in sums)
    divides = all(operation(n.target) == "div" and n.args[0] is z for sum in sums for n in sum.users)
    return bool(sums) and adds and divides


# -- jumps -------------------------------------------------------------------------------------------------------------


def hardshrink_jump(given: Given) -> float:
    return abs(float(given["lambd"]))


def threshold_jump(given: Given) -> float:
    return abs(float(given["threshold"] - given["value"]))


def softplus_jump(given: Given) -> float:
    """Beyond its threshold it is taken to be linear."""
    at, beta = float(given["threshold"]), float(given["beta"])
    gap = log1p(exp(-at)) / abs(beta) if at > -700 else abs(at / beta)
    return gap if gap > ROUNDING * abs(at / beta) else 0.0


def rounding_jump(given: Given) -> float:
    return float(given.get("rounding_mode") is not None)


# -- picking one of several --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Picks:
    """Which entries an operation picks the largest of.

    Attributes:
        dims: Dimensions of the input along which they lie.
        places: For each output along these, the places of its candidates among the input's entries along them, the
            last dimension fastest; -1 for none. Shape ``(outputs, candidates)``.
        sign: 1 for the largest, -1 for the smallest.
    """

    dims: tuple[int, ...]
    places: Tensor
    sign: int = 1


def pooled(given: Given, shape: Sequence[int]) -> Picks:
    """Max pooling in windows."""
    rank = len(given["kernel_size"])
    given = {**given, "stride": given["stride"] or given["kernel_size"]}
    kernel, stride, padding, dilation = (
        _each(given[name], rank) for name in ("kernel_size", "stride", "padding", "dilation")
    )
    each = zip(shape[-rank:], kernel, stride, padding, dilation, strict=True)
    windows = [_windows(*one, ceil_mode=bool(given["ceil_mode"])) for one in each]
    return _placed(shape, windows)


def pooled_to_size(given: Given, shape: Sequence[int]) -> Picks:
    """Adaptive max pooling: window i of m over n entries covers ``floor(i n / m)`` to ``ceil((i + 1) n / m) - 1``."""
    sizes = [number(m) for m in given["output_size"]]
    windows = [
        [range(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        for n, m in zip(shape[-len(sizes) :], sizes, strict=True)
    ]
    return _placed(shape, windows)


def largest(given: Given, shape: Sequence[int], sign: int = 1) -> Picks:
    """The largest along some dimensions, all of them by default."""
    dims = given.get("dim")
    listed = [dims] if isinstance(dims, int) else dims or range(len(shape))
    over = tuple(sorted(d % len(shape) for d in listed))
    return Picks(over, torch.arange(prod(shape[d] for d in over))[None], sign)


def smallest(given: Given, shape: Sequence[int]) -> Picks:
    """The smallest along some dimensions."""
    return largest(given, shape, -1)


def _each(value: Any, rank: int) -> list[int]:
    """A number for each dimension, where PyTorch takes one for all."""
    listed = [number(n) for n in (value if isinstance(value, Sequence) else [value])]
    return listed * rank if len(listed) == 1 else listed


def _windows(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> list[range]:
    over = n + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-over // stride) if ceil_mode else over // stride) + 1
    starts = [i * stride - padding for i in range(count) if i * stride < n + padding]
    return [
        range(start + max(0, -(start // dilation)) * dilation, min(start + kernel * dilation, n), dilation)
        for start in starts
    ]


def _placed(shape: Sequence[int], windows: Sequence[Sequence[range]]) -> Picks:
    """The places in windows along the last dimensions, from what each covers along each of them."""
    rank, flat, inside = len(windows), torch.zeros((), dtype=torch.long), torch.ones((), dtype=torch.bool)
    for d, along in enumerate(windows):
        most = max(map(len, along))
        one = torch.tensor([[*covered, *[-1] * (most - len(covered))] for covered in along])
        one = one.reshape([len(along) if i == d else most if i == rank + d else 1 for i in range(2 * rank)])
        flat, inside = flat * shape[d - rank] + one, inside & (one >= 0)
    outputs = flat.shape[:rank].numel()
    dims = tuple(range(len(shape) - rank, len(shape)))
    return Picks(dims, flat.masked_fill(~inside, -1).reshape(outputs, -1))
