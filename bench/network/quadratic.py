"""A cost as a function of the groups' widths.

It is a quadratic, for a layer's cost is the product of the channels it reads and the channels it makes. So what growth
will cost is known exactly without building the grown network::

    cost(n) = constant + linear . n + n^T cross n
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from bench.core.output import note

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class CostModel:
    """One cost as a quadratic in the widths of ``groups``.

    Attributes:
        known: The largest cost that it was fitted to; beyond that it is extrapolated.
    """

    groups: tuple[str, ...]
    constant: float
    linear: Vector
    cross: Vector
    known: float = inf

    def vector(self, widths: Mapping[str, int]) -> Vector:
        """Widths by name as a vector in the order of ``groups``."""
        return np.array([widths[name] for name in self.groups], dtype=np.float64)

    def of(self, widths: Mapping[str, int]) -> float:
        """The cost at these widths."""
        return self.at(self.vector(widths))

    def at(self, n: Vector) -> float:
        """The cost at widths ``n``, shape ``(groups,)``."""
        return float(self.constant + self.linear @ n + n @ self.cross @ n)

    def marginal(self, n: Vector, added: int = 1) -> Vector:
        """What ``added`` more neurons of each group, alone, add to the cost: shape ``(groups,)``."""
        slope = self.linear + (self.cross + self.cross.T) @ n
        return np.asarray(added * slope + added**2 * np.diag(self.cross))


def note_extrapolated(name: str, model: CostModel, target: float) -> None:
    """Say that networks of the cost ``target`` are dearer than any that was measured."""
    if target > model.known:
        known = f"measured up to {model.known:,.0f}; up to {target:,.0f} it is extrapolated, and may be exceeded"
        note(f"growth.cost={name}: {known}")
