"""What a rung allows, the candidate splits that compete for it, and the orders in which they are taken.

The cost is quadratic in the widths; nothing is taken that would exceed the target at the true cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

import numpy as np

from bench.core.errors import BenchError
from bench.network.groups import Group
from bench.network.quadratic import CostModel, Vector


@dataclass(frozen=True, eq=False)
class Candidate:
    """A split that could be made.

    Attributes:
        group: The neuron's group.
        neuron: Its index.
        added: Neurons that the split adds.
        gain: Change of the loss per ``epsilon^2 / 2``; useful below zero.
        scheme: The method's own note of how to split.
        uncertainty: What the gain may be off by, e.g. `bench.curvature.spectrum.Spectrum.uncertainty`.

    Raises:
        BenchError: The gain is no finite number.
    """

    group: Group
    neuron: int
    added: int
    gain: float
    scheme: str = ""
    uncertainty: float = 0.0

    def __post_init__(self) -> None:
        if not isfinite(self.gain):
            raise BenchError(f"{self.group.name}[{self.neuron}]: a gain of {self.gain}; expected a finite number")


class Budget:
    """The budget: what the network costs with the candidates taken so far."""

    def __init__(self, cost: CostModel, widths: dict[str, int], target: float) -> None:
        self.cost, self.target = cost, target
        self.index = {name: i for i, name in enumerate(cost.groups)}
        self.widths = cost.vector(widths)
        self.taken: dict[tuple[str, int], Candidate] = {}
        self.cross = cost.cross + cost.cross.T
        self._own = np.diag(cost.cross).tolist()
        self._count()

    def _count(self) -> None:
        """What follows from the widths; rounding lets `fits` pass by this screen what it then checks exactly."""
        self.spent = self.cost.at(self.widths)
        """What the network costs now."""
        self._slope = (self.cost.linear + self.cross @ self.widths).tolist()
        self._left = self.target - self.spent + 1e-9 * abs(self.target)

    def copy(self) -> Budget:
        """What is left, with nothing taken."""
        return Budget(self.cost, dict(zip(self.index, self.widths.astype(int).tolist(), strict=True)), self.target)

    def fits(self, group: str, added: int) -> bool:
        """Whether ``added`` more neurons of a group keep the cost at or below the target."""
        where = self.index[group]
        if added * (self._slope[where] + added * self._own[where]) > self._left:
            return False
        widths = self.widths.copy()
        widths[where] += added
        return self.cost.at(widths) <= self.target

    def take(self, candidate: Candidate) -> bool:
        """Take a candidate if its neuron is still whole and it fits; says whether it did."""
        key = (candidate.group.name, candidate.neuron)
        if key in self.taken or not self.fits(candidate.group.name, candidate.added):
            return False
        self.add(candidate.group.name, candidate.added)
        self.taken[key] = candidate
        return True

    def add(self, group: str, added: int) -> None:
        """Count ``added`` more neurons of a group."""
        self.widths[self.index[group]] += added
        self._count()

    def marginal(self) -> Vector:
        """What one more neuron of each group adds."""
        return self.cost.marginal(self.widths)

    def fill(self, ranked: Iterable[Candidate]) -> list[Candidate]:
        """Take candidates in order wherever they fit; all taken so far.

        Marginal costs only rise as widths grow, so one sweep leaves none that would still fit.
        """
        for candidate in ranked:
            self.take(candidate)
        return list(self.taken.values())


def useful(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Candidates that lower the loss by more than their gain may be off by."""
    return [c for c in candidates if c.gain < -c.uncertainty]


RANKS = ("gain", "gain_per_cost")


def by_rank(candidates: Iterable[Candidate], budget: Budget, rank: str) -> list[Candidate]:
    """In the order of one of `RANKS`."""
    return by_gain(candidates) if rank == "gain" else by_gain_per_cost(candidates, budget)


def by_gain(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Most gain per added neuron first (published S2D and S3D)."""
    return sorted(candidates, key=lambda c: c.gain / c.added)


def by_gain_per_cost(candidates: Iterable[Candidate], budget: Budget) -> list[Candidate]:
    """Most gain per unit of added cost first, at the marginal costs of the network as it is."""
    cost = budget.marginal()
    return sorted(candidates, key=lambda c: c.gain / (c.added * cost[budget.index[c.group.name]]))
