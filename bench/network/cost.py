"""What a network costs, and what one more neuron of a group adds. The one table of costs.

Each cost is of one inference, of one input but for latency, and a quadratic in the groups' widths
(`bench.network.quadratic`).

A cost of one's own is a class with the decorator ``@costs.register("name")``, in a package that offers it by the entry
point group ``growth_bench.costs``: ``growth.cost=name`` then climbs by it, and every record, table and figure has it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.core.errors import BenchError, foreign, require
from bench.core.identity import LATENCY
from bench.core.numbers import count, engineering
from bench.core.record import Number
from bench.core.registry import NoOptions, Registry

if TYPE_CHECKING:
    from bench.network.graph import Graph
    from bench.network.quadratic import CostModel

ENERGY_PJ = {"multiply": 3.7, "add": 0.9, "sram": 5.0, "dram": 640.0}
"""Picojoules per 32-bit operation in a 45 nm process: float multiply, float add, one word from an 8 KB
SRAM, one word from DRAM. M. Horowitz, "Computing's energy problem (and what we can do about it)",
ISSCC 2014, figure 1.1.9."""


class Cost(ABC):
    """A cost: what it is called, how it is written, how it is computed.

    Attributes:
        title: Its name in tables and at axes.
        unit: What its numbers count, for headings; empty where the title says it.
        multiplies: Whether it counts multiply-adds.
    """

    title: str
    unit: str = ""
    multiplies: bool = False

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
    """Multiply-adds of matrix products, convolutions and attention, whatever layers they are of."""

    title, multiplies = "multiply-adds", True

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

    title, unit, multiplies = "energy", "pJ", True

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
        ConfigError: The ``needed`` cost counts multiply-adds, and some of the graph's are not counted.
    """
    from bench.network.quadratic import CostModel

    require_counted(needed, graph)
    found: dict[str, CostModel] = {}
    for entry in costs:
        if entry.name == LATENCY:
            continue
        try:
            with foreign(f"growth.cost={entry.name}"):
                made = entry.make({}).model(graph)
                if not isinstance(made, CostModel):
                    raise TypeError(f"made a {type(made).__name__}; expected a CostModel")
            if entry.name == needed:
                _require_growth(entry.name, made, graph)
            found[entry.name] = made
        except BenchError:
            if entry.name == needed or entry.factory.__module__ == __name__:
                raise
    return found


def require_counted(name: str, graph: Graph) -> None:
    """Raise `ConfigError` where a ladder would climb by multiply-adds of which some are not counted."""
    expected = f"a cost without multiply-adds, as params; {incomplete(graph.uncounted)}"
    require(not (graph.uncounted and cost(name).multiplies), "growth.cost", name, expected)


def incomplete(uncounted: Sequence[str]) -> str:
    """What is said of operations whose multiply-adds are not counted."""
    return f"multiply-adds leave out those of {', '.join(uncounted)}"


def _require_growth(name: str, model: CostModel, graph: Graph) -> None:
    """Raise `BenchError` where a neuron costs nothing: no rung would ever be full."""
    for group, added in zip(model.groups, model.marginal(model.vector(graph.widths())), strict=True):
        if not added > 0:
            raise BenchError(f"growth.cost={name}: one more neuron of {group} adds {added:g}; expected more than 0")


def whole(value: float) -> Number:
    """A value as records state it: a whole number without its zero decimals."""
    return int(value) if float(value).is_integer() else float(value)
