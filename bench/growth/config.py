"""How to grow: the options of ``growth``, and the rungs of the ladder."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log
from typing import Any

from bench.core.errors import ConfigError, require, require_choice
from bench.curvature.eigensolvers import eigensolver
from bench.curvature.passes import FORMS
from bench.growth.condition import Condition
from bench.network.cost import costs
from bench.network.plan import LINE_SEARCH, LONGEST_STEP
from bench.network.surgery import OPTIMIZER_STATES

MOST_STAGES = 200
MOST_GROWTH = 1e6
"""How many times the seed network the last rung may be; what asks for more would not end."""

MOST_EXAMPLES = 10**9
MOST_BATCHES = 10**6
MOST_INPUTS = 2**16
MOST_MEMORY = 1e6
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
        epsilon_relative: Whether the step is in units of each split neuron's norm; births have none.
        sample: Training examples on which curvature and loss are measured: a number, or ``all``.
        engine: The eigensolver: dense, lanczos, rayleigh or another package's (`bench.curvature.eigensolvers`).
        engine_options: The eigensolver's own options by name, e.g. ``{limit: 512}``; None for its defaults.
        curvature: The splitting matrix by its definition, or the textbook form (published).
        memory: GiB that products with the splitting matrix may hold; layers beyond it share passes over the sample.
        contradicted: What becomes of a plan whose measured drop contradicts the predicted one: carried out all the same
            (keep), by a step halved until it does not (smaller), or without the layers at fault (leave_out).
        optimizer_state: What happens to it at a split: carry, zero (for newborn neurons) or reset.
        condition: What is done to the weights after growing (`bench.growth.condition`): none, shrink_perturb, rescale;
            None for what shrink and perturb say, or the method where they say nothing.
        shrink: Factor of the weights, from 0 to 1; None for 1, or 0.5 where perturb says nothing either.
        perturb: Factor of a fresh network's weights, which are added; None for 0, or 0.5 where shrink says nothing
            either. Where condition says rescale, their share of a layer's norm; None for 0.5.
        refresh_norm: Training batches on which batch-norm statistics are estimated again after growing; 0 for none.
    """

    stages: int = 5
    ratio: float = 1.5
    cost: str = "params"
    budget: float | None = None
    latency_batch: int = 1
    epsilon: float | str = 0.01
    epsilon_relative: bool = False
    sample: int | str = 1024
    engine: str = "lanczos"
    engine_options: dict[str, Any] | None = None
    curvature: str = "definition"
    memory: float = 2.0
    contradicted: str = KEEP
    optimizer_state: str = "carry"
    condition: str | None = None
    shrink: float | None = None
    perturb: float | None = None
    refresh_norm: int = 0

    def __post_init__(self) -> None:
        require(
            0 <= self.stages <= MOST_STAGES, "growth.stages", self.stages, f"a whole number from 0 to {MOST_STAGES}"
        )
        ratio = f"a finite number above 1; at most {MOST_GROWTH:,.0f}"
        require(1 < self.ratio <= MOST_GROWTH, "growth.ratio", self.ratio, ratio)
        if self.budget is None:
            self._require_end()
        require(self.budget is None or self.budget > 0, "growth.budget", self.budget, "a number above 0, or null")
        _ = costs[self.cost]  # says which there are, if there is none of this name
        inputs = f"a whole number of at least 1 and at most {MOST_INPUTS}"
        require(1 <= self.latency_batch <= MOST_INPUTS, "growth.latency_batch", self.latency_batch, inputs)
        step_ok = self.epsilon == LINE_SEARCH if isinstance(self.epsilon, str) else 0 < self.epsilon <= LONGEST_STEP
        expected = f"a number above 0, or line_search; at most {LONGEST_STEP:g}"
        require(step_ok, "growth.epsilon", self.epsilon, expected)
        some = self.sample == ALL if isinstance(self.sample, str) else 1 <= self.sample <= MOST_EXAMPLES
        expected = f"a whole number of at least 1, or all; at most {MOST_EXAMPLES}"
        require(some, "growth.sample", self.sample, expected)
        eigensolver(self.engine, **self.engine_options or {})  # says which there are, if there is none of this name
        require_choice("growth.curvature", self.curvature, FORMS)
        memory = f"GiB above 0; at most {MOST_MEMORY:,.0f}"
        require(0 < self.memory <= MOST_MEMORY, "growth.memory", self.memory, memory)
        require_choice("growth.contradicted", self.contradicted, (KEEP, SMALLER, LEAVE_OUT))
        require_choice("growth.optimizer_state", self.optimizer_state, OPTIMIZER_STATES)
        _ = self.conditioning
        batches = f"a whole number of at least 0 and at most {MOST_BATCHES}"
        require(0 <= self.refresh_norm <= MOST_BATCHES, "growth.refresh_norm", self.refresh_norm, batches)

    def _require_end(self) -> None:
        """Raise `ConfigError` where stages or ratio are so large that the last rung is beyond `MOST_GROWTH`."""
        if self.stages * log(self.ratio) <= log(MOST_GROWTH) * (1 + 1e-12):
            return
        usual = type(self)
        stages, ratio = floor(log(MOST_GROWTH) / log(self.ratio)), floor(1e3 * MOST_GROWTH ** (1 / self.stages)) / 1e3
        end = f", for the last rung is at most {MOST_GROWTH:,.0f} times the seed network"
        if self.ratio > usual.ratio and self.stages <= usual.stages:
            raise ConfigError("growth.ratio", self.ratio, f"at most {ratio:g} with growth.stages={self.stages}{end}")
        raise ConfigError("growth.stages", self.stages, f"at most {stages} with growth.ratio={self.ratio:g}{end}")

    @property
    def conditioning(self) -> Condition:
        """What is done to the weights after growing."""
        return Condition.of(self.condition, self.shrink, self.perturb)

    @property
    def event(self) -> dict[str, Any]:
        """What one growth event is told, the options of `bench.growth.grower.Grower`; the others are the ladder's."""
        ladder = ("stages", "ratio", "budget", "refresh_norm")
        return {name: value for name, value in vars(self).items() if name not in ladder}

    @property
    def examples(self) -> int | None:
        """Examples to measure on; None for all."""
        return None if isinstance(self.sample, str) else self.sample


def rungs(seed_cost: float, growth: GrowthConfig) -> list[float]:
    """Rungs of the ladder, the seed's own cost first.

    Raises:
        ConfigError: The budget is below the seed's cost or too far above it, or the ratio too small to come there.
    """
    if growth.budget is None:
        return [seed_cost * growth.ratio**stage for stage in range(growth.stages + 1)]
    expected = f"at least the seed network's {growth.cost}, {seed_cost:.0f}"
    require(growth.budget >= seed_cost, "growth.budget", growth.budget, expected)
    most = f"at most {MOST_GROWTH:,.0f} times the seed network's {growth.cost}, {seed_cost:.0f}"
    require(growth.budget <= MOST_GROWTH * seed_cost, "growth.budget", growth.budget, most)
    needed = log(growth.budget / seed_cost) / log(growth.ratio)
    least = ceil(1e4 * (growth.budget / seed_cost) ** (1 / MOST_STAGES)) / 1e4
    expected = f"at least {least:g}, to come to growth.budget={growth.budget:g} in {MOST_STAGES} stages"
    require(needed <= MOST_STAGES, "growth.ratio", growth.ratio, expected)
    made = [seed_cost]
    while len(made) < needed - 1e-9:  # a budget that is a power of the ratio has no rung just below it
        made.append(made[-1] * growth.ratio)
    return [*made, growth.budget] if growth.budget > seed_cost else made
