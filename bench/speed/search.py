"""How many products the published Rayleigh search needs for one end of the spectrum, as published and tuned.

The path of the search does not depend on how ``S v`` is computed. So it is followed on the batches' dense matrices,
for many learning rates at once, and its time is the number of passes times the measured time of one pass. Tuned
means: the schedule that took the fewest passes, chosen, and stopped, in knowledge of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

Row = dict[str, Any]

TOLERANCE = 1e-2
"""Relative error of the smallest eigenvalue at which a neuron is done."""

CAP = 300
"""Passes after which a search is given up."""


@dataclass(frozen=True)
class Schedule:
    """A learning rate, multiplied by ``factor`` every ``every`` passes."""

    lr: float
    factor: float = 1.0
    every: int = 1

    def rate(self, number: int) -> float:
        """The rate of pass ``number``, from 0."""
        return self.lr * self.factor ** (number // self.every)

    def __str__(self) -> str:
        decay = "" if self.factor == 1 else f" x{self.factor:g} every {self.every}"
        return f"lr {self.lr:g}{decay}"


PUBLISHED = Schedule(1e-3, 0.2, 2)
TUNED = tuple(Schedule(lr, factor) for lr in (1e-3, 3e-3, 1e-2, 3e-2) for factor in (1.0, 0.95))


@dataclass(frozen=True, eq=False)
class Reference:
    """The exact answer.

    Attributes:
        shares: Examples of each batch as a share of the sample's.
        matrices: Each batch's share of S, shape ``(n, d, d)``.
        lowest: Smallest eigenvalues of S, float64.
        highest: Largest eigenvalues of S, float64.
    """

    shares: Sequence[float]
    matrices: Sequence[Tensor]
    lowest: Tensor
    highest: Tensor

    @property
    def norm(self) -> Tensor:
        """Spectral norm of each neuron's S."""
        return torch.maximum(self.lowest.abs(), self.highest.abs())

    def whole(self) -> Reference:
        """The same with the whole sample as the one batch."""
        return Reference([1.0], [torch.stack(list(self.matrices)).sum(0)], self.lowest, self.highest)


@dataclass(frozen=True)
class Reached:
    """Passes until the error was at most `TOLERANCE`; None if that was not within the cap.

    Attributes:
        schedule: The learning rate's.
        median: Passes until the median neuron was there.
        largest: Passes until the last neuron was there.
    """

    schedule: Schedule
    median: int | None
    largest: int | None


@torch.no_grad()
def search(reference: Reference, schedules: Sequence[Schedule], seed: int, cap: int = CAP) -> list[Reached]:
    """Follow the search (`bench.curvature.eigen.rayleigh`) for the smallest eigenvalue, without its stop, under each schedule.

    The estimate of a pass is the mean of its mini-batches' Rayleigh quotients, as published.
    """
    n, d = reference.matrices[0].shape[:2]
    start = torch.rand(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 0.2 - 0.1
    v = [normalize(start, dim=1).to(reference.matrices[0]).requires_grad_() for _ in schedules]
    optimizer = torch.optim.RMSprop([{"params": [one]} for one in v], lr=1e-3, alpha=0.9, momentum=0.9)
    median: dict[int, int] = {}
    largest: dict[int, int] = {}
    for number in range(cap):
        for group, schedule in zip(optimizer.param_groups, schedules, strict=True):
            group["lr"] = schedule.rate(number)
        estimate = reference.lowest.new_zeros(len(v), n)
        for share, matrix in zip(reference.shares, reference.matrices, strict=True):
            product = torch.einsum("nij,snj->sni", matrix, torch.stack(v)) / share
            quotient = (torch.stack(v) * product).sum(2)
            for one, p, q in zip(v, product, quotient, strict=True):
                one.grad = 2 * (p - q[:, None] * one)
            optimizer.step()
            for one in v:
                one.copy_(normalize(one, dim=1))
            estimate += quotient / len(reference.shares)
        errors = (estimate - reference.lowest).abs() / reference.lowest.abs()
        for i, error in enumerate(errors):
            if error.median() <= TOLERANCE:
                median.setdefault(i, number + 1)
            if error.max() <= TOLERANCE:
                largest.setdefault(i, number + 1)
        if len(largest) == len(v):
            break
    return [Reached(schedule, median.get(i), largest.get(i)) for i, schedule in enumerate(schedules)]


def search_rows(
    layer: str, reference: Reference, seed: int, cap: int, cost: Callable[[int], tuple[float, float]]
) -> list[Row]:
    """Fewest products until the median neuron, and all, are within `TOLERANCE`: published, and with hindsight.

    Args:
        layer: Its name.
        reference: Its exact answer.
        seed: Of the starting vectors.
        cap: Passes at most.
        cost: Seconds of so many passes, and their ratio to those of Lanczos for both ends.
    """
    whole = reference.whole()
    searches = {
        "published": search(reference, [PUBLISHED], seed, cap),
        "tuned": search(reference, TUNED, seed, cap),
        "tuned, whole sample": search(whole, TUNED, seed, cap),
    }
    rows = []
    for name, reached in searches.items():
        for neurons, attribute in (("median", "median"), ("all", "largest")):
            passes, schedule = _fewest(reached, attribute)
            seconds, ratio = (None, None) if passes is None else cost(passes)
            rows.append(
                {
                    "layer": layer,
                    "search": name,
                    "neurons": neurons,
                    "schedule": str(schedule),
                    "products": passes,
                    "seconds": seconds,
                    "of lanczos": ratio,
                    "cap": cap,
                }
            )
    return rows


def _fewest(reached: Sequence[Reached], attribute: str) -> tuple[int | None, Schedule | str]:
    """The fewest passes under any schedule."""
    counts = [(getattr(one, attribute), one.schedule) for one in reached if getattr(one, attribute) is not None]
    if not counts:
        return None, f"none of {len(reached)}" if len(reached) > 1 else reached[0].schedule
    return min(counts, key=lambda count: int(count[0]))
