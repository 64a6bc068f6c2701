"""The published search of fast S2D (arXiv 1910.03103): stochastic descent of the Rayleigh quotient.

``R(v) = v^T S v / v^T v`` with ``grad R = 2 (S v - R v) / ||v||^2``; RMSprop with momentum 0.9 and alpha 0.9, v
from U(-0.1, 0.1) and renormalised after each step, the rate times 0.2 every second pass; lambda and v
are averages over the last pass. The largest eigenvalue is the smallest of -S, found in a second run.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from bench.curvature.eigensolvers.base import eigensolvers
from bench.curvature.operator import Operator
from bench.curvature.spectrum import Answer, Ask, End, Search, between


@dataclass(frozen=True)
class RayleighConfig:
    """How to descend; the defaults are published.

    Attributes:
        passes: Passes over the sample for each end.
        lr: First learning rate.
        factor: What it is multiplied by ...
        every: ... after so many passes, again and again.
        momentum: Of RMSprop.
        alpha: RMSprop's smoothing.
        highest: Whether to search the largest eigenvalue too; zeros otherwise.
    """

    passes: int = 10
    lr: float = 1e-3
    factor: float = 0.2
    every: int = 2
    momentum: float = 0.9
    alpha: float = 0.9
    highest: bool = True


@eigensolvers.register("rayleigh", RayleighConfig)
def rayleigh(config: RayleighConfig, operator: Operator, generator: torch.Generator) -> Search:
    """One end, or both, by mini-batches, which are the operator's batches."""
    low = yield from _end(config, operator, generator, 1.0)
    if config.highest:
        high = yield from _end(config, operator, generator, -1.0)
    else:
        zero = torch.zeros_like(low.values)
        high = End(zero, low.vectors, zero[:, None] * low.vectors)
    return between(low, high)


def _end(
    config: RayleighConfig, operator: Operator, generator: torch.Generator, sign: float
) -> Generator[Ask, Answer, End]:
    """The smallest eigenvalue of ``sign * S``, as one of S."""
    values, vectors = yield from _descend(config, operator, generator, sign)
    answer = yield Ask(vectors)
    return End(sign * values, vectors, answer.product)


def _descend(
    config: RayleighConfig, operator: Operator, generator: torch.Generator, sign: float
) -> Generator[Ask, Answer, tuple[Tensor, Tensor]]:
    start = torch.rand(operator.neurons, operator.size, generator=generator, dtype=torch.float64) * 0.2 - 0.1
    v = normalize(start, dim=1).to(operator.like).requires_grad_()
    optimizer = torch.optim.RMSprop([v], lr=config.lr, alpha=config.alpha, momentum=config.momentum)
    total_value, total_vector, count = torch.zeros_like(v[:, 0]), torch.zeros_like(v), 0
    for number in range(config.passes):
        optimizer.param_groups[0]["lr"] = config.lr * config.factor ** (number // config.every)
        last = False
        while not last:
            answer = yield Ask(v.detach(), whole=False)
            last = answer.last
            with torch.no_grad():
                product = sign * answer.product
                quotient = (v * product).sum(1)
                v.grad = 2 * (product - quotient[:, None] * v)
                optimizer.step()
                v.copy_(normalize(v, dim=1))
                if number == config.passes - 1:
                    total_value, total_vector, count = total_value + quotient, total_vector + v, count + 1
    return total_value / count, normalize(total_vector, dim=1)
