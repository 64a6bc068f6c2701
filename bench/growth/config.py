"""How to grow: the options of ``growth``, and the rungs of the ladder."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, log

from bench.core.errors import require, require_choice
from bench.curvature.eigensolvers import eigensolver
from bench.curvature.passes import FORMS
from bench.network.cost import costs
from bench.network.surgery import OPTIMIZER_STATES

MOST_STAGES = 200
LINE_SEARCH = "line_search"
ALL = "all"
KEEP, SMALLER, LEAVE_OUT = "keep", "smaller", "leave_out"


@dataclass(frozen=True)
class GrowthConfig:
    """The ladder of sizes, and how a growth event is carried out.

    Attributes:
        stages: Growth stages after the seed network.
        ratio: Each rung allows this many times the cost of the one before.
        cost: What the ladder counts (`bench.network.cost`): params, macs, energy, or latency as measured on the device.
        budget: Cost of the last rung, however many stages that takes; None for ``stages`` of them.
        latency_batch: Inputs that latency is measured on at once.
        epsilon: Step along a plan's directions: a number, or ``line_search`` for the one that lowers the loss on the
            sample most. For equal split it is the size of the noise.
        sample: Training examples on which curvature and loss are measured: a number, or ``all``.
        engine: The eigensolver: dense, lanczos, rayleigh or another package's (`bench.curvature.eigensolvers`).
        curvature: The splitting matrix by its definition, or the textbook form (published).
        memory: GiB that products with the splitting matrix may hold; layers beyond it share passes over the sample.
        contradicted: What becomes of a plan whose measured drop contradicts the predicted one: carried out all the same
            (keep), by a step halved until it does not (smaller), or without the layers at fault (leave_out).
        optimizer_state: What happens to it at a split: carry, zero (for newborn neurons) or reset.
        refresh_norm: Training batches on which batch-norm statistics are estimated again after growing; 0 for none.
    """

    stages: int = 5
    ratio: float = 1.5
    cost: str = "params"
    budget: float | None = None
    latency_batch: int = 1
    epsilon: float | str = 0.01
    sample: int | str = 1024
    engine: str = "lanczos"
    curvature: str = "definition"
    memory: float = 2.0
    contradicted: str = KEEP
    optimizer_state: str = "carry"
    refresh_norm: int = 0

    def __post_init__(self) -> None:
        require(
            0 <= self.stages <= MOST_STAGES, "growth.stages", self.stages, f"a whole number from 0 to {MOST_STAGES}"
        )
        require(1 < self.ratio < float("inf"), "growth.ratio", self.ratio, "a finite number above 1")
        _ = costs[self.cost]  # says which there are, if there is none of this name
        require(self.latency_batch >= 1, "growth.latency_batch", self.latency_batch, "a whole number of at least 1")
        expected = "a number above 0, or line_search"
        step_ok = self.epsilon == LINE_SEARCH if isinstance(self.epsilon, str) else 0 < self.epsilon < float("inf")
        require(step_ok, "growth.epsilon", self.epsilon, expected)
        some = self.sample == ALL if isinstance(self.sample, str) else self.sample >= 1
        require(some, "growth.sample", self.sample, "a whole number of at least 1, or all")
        eigensolver(self.engine)  # says which there are, if there is none of this name
        require_choice("growth.curvature", self.curvature, FORMS)
        require(0 < self.memory < float("inf"), "growth.memory", self.memory, "GiB above 0")
        require_choice("growth.contradicted", self.contradicted, (KEEP, SMALLER, LEAVE_OUT))
        require_choice("growth.optimizer_state", self.optimizer_state, OPTIMIZER_STATES)
        require(self.refresh_norm >= 0, "growth.refresh_norm", self.refresh_norm, "a whole number of at least 0")

    @property
    def examples(self) -> int | None:
        """Examples to measure on; None for all."""
        return None if isinstance(self.sample, str) else self.sample


def rungs(seed_cost: float, growth: GrowthConfig) -> list[float]:
    """Rungs of the ladder, the seed's own cost first.

    Raises:
        ConfigError: The budget is below the seed's cost.
    """
    if growth.budget is None:
        return [seed_cost * growth.ratio**stage for stage in range(growth.stages + 1)]
    expected = f"at least the seed network's {growth.cost}, {seed_cost:.0f}"
    require(isfinite(growth.budget) and growth.budget >= seed_cost, "growth.budget", growth.budget, expected)
    made = [seed_cost]
    needed = log(growth.budget / seed_cost) / log(growth.ratio)
    least = f"large enough for at most {MOST_STAGES} stages up to the budget"
    require(needed <= MOST_STAGES, "growth.ratio", growth.ratio, least)
    while made[-1] < growth.budget:
        made.append(min(made[-1] * growth.ratio, growth.budget))
    return made
