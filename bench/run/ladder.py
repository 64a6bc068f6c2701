"""The ladder of a run: the sizes that it climbs, and what its network costs on the way."""

from __future__ import annotations

import torch

from bench.core.errors import BenchError, ConfigError, one_line
from bench.core.identity import LATENCY
from bench.core.output import notice
from bench.core.record import LatencyTable, Number
from bench.core.store import RunFolder
from bench.growth.config import GrowthConfig, rungs
from bench.network import latency
from bench.network.cost import cost, cost_models, whole
from bench.network.graph import Graph
from bench.network.quadratic import CostModel, note_extrapolated

LONG = 1000.0
"""How many times the seed network's cost a last rung may be without a word."""


class Ladder:
    """One ladder for all methods: rung k allows ``ratio^k`` times the seed network's cost.

    Latency is measured: the run's own table holds if it goes on, so that its rungs stay; else the one that all
    methods share, beside the seed networks.

    Args:
        graph: The seed network.
        config: The ladder's cost, rungs and budget.
        device: Where latency is measured.
        folder: The run's folder.
        key: What latency depends on besides the graph, the batch and the threads.
        goes_on: Whether the run's own table holds, if there is one.

    Attributes:
        models: Each cost as a function of the widths, by name; latency where the ladder is of it.
        rungs: What each rung allows.
        table: What latency was fitted to; None for other ladders.
        is_own: Whether that is the run's own table.

    Raises:
        ConfigError: The budget is below the seed's cost, or latency is too noisy for the ratio.
        BenchError: Latency cannot be measured.
    """

    def __init__(
        self,
        graph: Graph,
        config: GrowthConfig,
        device: torch.device,
        folder: RunFolder,
        key: dict[str, object],
        goes_on: bool = True,
    ) -> None:
        self.config, self.device, self.folder = config, device, folder
        self.models: dict[str, CostModel] = cost_models(graph, config.cost)
        self.table: LatencyTable | None = None
        self.is_own = False
        if config.cost == LATENCY:
            own = latency.read(folder.latency_path) if goes_on else None
            self.table, self.is_own = own or self._measured(graph, key), own is not None
            self.models[LATENCY] = latency.fitted(self.table)
        self._check_resolution()
        self.rungs = rungs(self.models[config.cost].of(graph.widths()), config)
        note_extrapolated(config.cost, self.models[config.cost], self.rungs[-1])
        self._note_length()

    def _check_resolution(self) -> None:
        """Refuse a ladder whose rungs cannot be told apart."""
        if self.table is not None and self.config.ratio - 1 <= (off := self.table.uncertainty):
            expected = (
                f"above {1 + off:.2f}, as latency is known here to {off:.0%}; a larger growth.latency_batch or an idle "
                "machine makes it steadier"
            )
            raise ConfigError("growth.ratio", self.config.ratio, expected)

    def _note_length(self) -> None:
        """Say that a ladder is so long that what its first rungs take tells nothing of its last."""
        first, last, config = self.rungs[0], self.rungs[-1], self.config
        if last <= LONG * first:
            return
        typed = f"ratio={config.ratio:g}" if config.budget is None else f"budget={config.budget:g}"
        shown = cost(config.cost)
        size = f"{shown.heading} {shown.text(last)}, {last / first:,.0f} times the seed network's"
        warning = "it may take that many times as long, and more memory, than times left tell before"
        notice(f"growth.{typed}: the last rung allows {size}; {warning}")

    def _measured(self, graph: Graph, key: dict[str, object]) -> LatencyTable:
        config, shared, macs = self.config, self.folder.runs_dir / "seeds", self.models["macs"]
        key = {**key, "ladder": [config.ratio, config.stages, config.budget]}

        def last(seed: float) -> float:
            return rungs(seed, config)[-1]

        try:
            return latency.latency(graph, macs, config.latency_batch, self.device, shared, key, last)
        except RuntimeError as error:  # out of memory, on the device or off it
            smaller = "try a smaller growth.latency_batch, or a shorter ladder"
            raise BenchError(f"growth.cost=latency: {one_line(error)}; {smaller}") from error

    def keep(self) -> None:
        """Write down what was measured, for when the run goes on."""
        if self.table is not None:
            latency.write(self.folder.latency_path, self.table)

    def costs(self, graph: Graph) -> dict[str, Number]:
        """What the network costs as it is, by name; latency as measured now."""
        widths = graph.widths()
        found = {name: whole(model.of(widths)) for name, model in self.models.items() if name != LATENCY}
        if self.table is not None:
            found[LATENCY] = latency.now(graph, self.table.batch, self.device)
        return found
