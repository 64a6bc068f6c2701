"""The published search of fast S2D (arXiv 1910.03103): stochastic descent of the Rayleigh quotient.

``R(v) = v^T S v / v^T v`` with ``grad R = 2 (S v - R v) / ||v||^2`` on mini-batches of 64; RMSprop with momentum 0.9
and alpha 0.9, v from U(-0.1, 0.1) and renormalised after each step; the rate in ten passes times 0.2 to the power of
0, 1, 1, 2, 2, 3, 3, 4, 4, 5; lambda and v are averages over the last pass. The largest eigenvalue is the smallest of
-S, found in a second run. How far it comes depends on the number of steps: the residual says.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from bench.core.errors import require
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
        every: ... before each pass whose number, counted from 1, is a multiple of this.
        batch: Examples of a mini-batch, whatever the device holds at once; the last of a pass may have fewer.
        momentum: Of RMSprop.
        alpha: RMSprop's smoothing.
        highest: Whether to search the largest eigenvalue too; zeros otherwise.
    """

    passes: int = 10
    lr: float = 1e-3
    factor: float = 0.2
    every: int = 2
    batch: int = 64
    momentum: float = 0.9
    alpha: float = 0.9
    highest: bool = True

    def __post_init__(self) -> None:
        for name in ("passes", "every", "batch"):
            value = getattr(self, name)
            require(value >= 1, f"growth.engine_options.{name}", value, "a whole number of at least 1")
        for name in ("lr", "factor"):
            value = getattr(self, name)
            require(0 < value < float("inf"), f"growth.engine_options.{name}", value, "a finite number above 0")
        for name in ("momentum", "alpha"):
            value = getattr(self, name)
            require(0 <= value < 1, f"growth.engine_options.{name}", value, "a number in [0, 1)")


@eigensolvers.register("rayleigh", RayleighConfig)
def rayleigh(config: RayleighConfig, operator: Operator, generator: torch.Generator) -> Search:
    """One end, or both, by mini-batches."""
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
        optimizer.param_groups[0]["lr"] = config.lr * config.factor ** ((number + 1) // config.every)
        last = False
        while not last:
            answer = yield Ask(v.detach(), examples=config.batch)
            last = answer.last
            with torch.no_grad():
                product = sign * answer.product
                quotient = (v * product).sum(1)
                v.grad = 2 * (product - quotient[:, None] * v)
                optimizer.step()
                v.copy_(normalize(v, dim=1))
                if number == config.passes - 1:
                    total_value, total_vector, count = total_value + quotient, total_vector + v, count + 1
    mean = total_vector / torch.linalg.vector_norm(total_vector, dim=1, keepdim=True)
    return total_value / count, torch.where(mean.isfinite(), mean, v.detach())  # the last where all cancel
