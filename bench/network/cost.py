"""What a network costs, and what one more neuron of a group adds. The one table of costs.

Each cost is of one inference, of one input but for latency, and a quadratic in the groups' widths, for a layer's cost
is the product of the channels it reads and the channels it makes. So what growth will cost is known exactly without
building the grown network::

    cost(n) = constant + linear . n + n^T cross n

A cost of one's own is a class with the decorator ``@costs.register("name")``, in a package that offers it by the entry
point group ``growth_bench.costs``: ``growth.cost=name`` then climbs by it, and every record, table and figure has it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import BenchError, foreign
from bench.core.identity import LATENCY
from bench.core.numbers import count, engineering
from bench.core.record import Number
from bench.core.registry import NoOptions, Registry

if TYPE_CHECKING:
    from bench.network.graph import Graph

Vector = NDArray[np.float64]

ENERGY_PJ = {"multiply": 3.7, "add": 0.9, "sram": 5.0, "dram": 640.0}
"""Picojoules per 32-bit operation in a 45 nm process: float multiply, float add, one word from an 8 KB
SRAM, one word from DRAM. M. Horowitz, "Computing's energy problem (and what we can do about it)",
ISSCC 2014, figure 1.1.9."""


@dataclass(frozen=True)
class CostModel:
    """One cost as a quadratic in the widths of ``groups``."""

    groups: tuple[str, ...]
    constant: float
    linear: Vector
    cross: Vector

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


class Cost(ABC):
    """A cost: what it is called, how it is written, how it is computed.

    Attributes:
        title: Its name in tables and at axes.
        unit: What its numbers count, for headings; empty where the title says it.
    """

    title: str
    unit: str = ""

    def __init__(self, config: NoOptions) -> None:
        self.config = config

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def text(self, value: float) -> str:
        """A value, without the unit."""
        return engineering(value)

    @abstractmethod
    def model(self, graph: Graph) -> CostModel:
        """The cost of the graph's network as a function of its widths."""


costs: Registry[type[Cost]] = Registry("growth.cost", group="growth_bench.costs")
"""Costs by name, in the order in which tables show them."""


@costs.register("params")
class Params(Cost):
    """Trainable parameters."""

    title = "parameters"

    def text(self, value: float) -> str:
        """In full."""
        return count(value)

    def model(self, graph: Graph) -> CostModel:
        """Counted layer by layer."""
        from bench.network.counting import count_params  # torch, only where something is counted

        return count_params(graph).model()


@costs.register("macs")
class Macs(Cost):
    """Multiply-adds of ``Linear`` and ``Conv2d`` layers."""

    title = "multiply-adds"

    def text(self, value: float) -> str:
        """In full as long as that is short."""
        return count(value) if value < 1e6 else engineering(value)

    def model(self, graph: Graph) -> CostModel:
        """Counted layer by layer."""
        from bench.network.counting import count_macs

        return count_macs(graph).model()


@costs.register("energy")
class Energy(Cost):
    """Picojoules by `ENERGY_PJ`.

    Every multiply-add, every weight fetched once from DRAM, and every layer output written to and read from on-chip
    memory once.
    """

    title, unit = "energy", "pJ"

    def model(self, graph: Graph) -> CostModel:
        """The sum over what is counted."""
        from bench.network.counting import Terms, count_macs, count_params, count_words

        total = Terms(tuple(graph.groups))
        total.include(ENERGY_PJ["multiply"] + ENERGY_PJ["add"], count_macs(graph))
        total.include(ENERGY_PJ["dram"], count_params(graph))
        total.include(2 * ENERGY_PJ["sram"], count_words(graph))
        return total.model()


@costs.register(LATENCY)
class Latency(Cost):
    """Microseconds of one pass of ``growth.latency_batch`` inputs: measured on the device, by a table of widths."""

    title, unit = "latency", "us"

    def model(self, graph: Graph) -> CostModel:
        """Measured now, for one input at once; a run's ladder keeps its table (`bench.run.ladder`)."""
        from bench.network.latency import fitted, measure

        device = next(graph.model.parameters()).device
        return fitted(measure(graph, cost("macs").model(graph), 1, device))


def cost(name: str) -> Cost:
    """The cost of this name; one that is not known here, as in another's record, is written as it stands."""
    if name in costs.names():
        made: Cost = costs[name].make({})
        return made
    return _Unknown(name)


class _Unknown(Cost):
    def __init__(self, name: str) -> None:
        super().__init__(NoOptions())
        self.title = name

    def model(self, graph: Graph) -> CostModel:
        raise AssertionError("a cost that is not known here is only shown")


def in_order(names: Mapping[str, object]) -> list[str]:
    """Names of costs in the order in which tables show them."""
    known = [entry.name for entry in costs if entry.name in names]
    return known + [name for name in names if name not in known]


def cost_models(graph: Graph, needed: str = "params") -> dict[str, CostModel]:
    """The `CostModel` of every cost that is computed rather than measured, by name.

    Raises:
        BenchError: The ``needed`` cost, or one of this suite's, cannot be computed; somebody else's is left out.
    """
    found: dict[str, CostModel] = {}
    for entry in costs:
        if entry.name == LATENCY:
            continue
        try:
            with foreign(f"growth.cost={entry.name}"):
                made = entry.make({}).model(graph)
                if not isinstance(made, CostModel):
                    raise TypeError(f"made a {type(made).__name__}; expected a CostModel")
            found[entry.name] = made
        except BenchError:
            if entry.name == needed or entry.factory.__module__ == __name__:
                raise
    return found


def whole(value: float) -> Number:
    """A value as records state it: a whole number without its zero decimals."""
    return int(value) if float(value).is_integer() else float(value)
