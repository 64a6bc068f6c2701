"""A growth event: ask a method for plans until the rung is full, carry them out, and measure what they did."""

from __future__ import annotations

import copy
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf, isfinite, log

import torch
from torch import Tensor
from torch.optim import Optimizer

from bench.core.errors import BenchError, one_line
from bench.core.record import GrowthRecord
from bench.curvature.eigensolvers import eigensolver
from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.growth.config import LINE_SEARCH, GrowthConfig
from bench.growth.method import GrowthContext, GrowthMethod, Trained
from bench.network.cost import CostModel
from bench.network.graph import Graph
from bench.network.modes import evaluation
from bench.network.plan import GrowthPlan, validate
from bench.network.surgery import apply

STEP_RANGE = (1e-3, 4.0)
"""Steps that the line search considers."""

USUAL = 1e-2
"""Step by which ties of max pooling count before the line search has found one: the published one."""


@dataclass(eq=False)
class GrowthEvent:
    """All that a growth event works on.

    Attributes:
        graph: The network and its groups; another one after growth where the program has the sizes in it.
        optimizer: Carried through the surgery.
        method: Proposes the plans.
        name: The method's name, for messages.
        config: How to grow.
        costs: Cost models by name.
        sample: What curvature and loss are measured on.
        lineage: Product of ``|w|`` along each neuron's lineage, by group; updated.
        seed_widths: Widths of the seed network.
        history: What was trained so far.
        epochs: Epochs of the coming stage.
        generator: The method's random stream.
        measured: Multiply-adds of passes over the sample that measured a loss, since last counted.
    """

    graph: Graph
    optimizer: Optimizer
    method: GrowthMethod
    name: str
    config: GrowthConfig
    costs: dict[str, CostModel]
    sample: Sample
    lineage: dict[str, Tensor]
    seed_widths: dict[str, int]
    history: list[Trained]
    epochs: int
    generator: torch.Generator
    measured: float = 0.0

    def grow(self, target: float) -> tuple[GrowthRecord, GrowthPlan]:
        """Grow up to, never over, the cost ``target``; also the last plan that was carried out.

        Raises:
            PlanError: The method proposes what cannot be carried out, or exceeds the target.
            BenchError: The method raises.
        """
        started = time.perf_counter()
        config = self.config
        record = GrowthRecord(curvature=config.curvature, sample=len(self.sample))
        last = GrowthPlan()
        while True:
            context = self._context(target)
            macs = context.macs.of(context.widths)
            plan = self._propose(context)
            if plan.splits:
                self._carry_out(plan, record)
            if plan.splits or plan.restart:
                record.restart, last = plan.restart, plan
                record.notes.update(plan.notes)
            self._account(context, record, macs)
            context.curvature.release()
            if not plan.splits or plan.restart or not self._has_room(target):
                break
        if not plan.splits and self._has_room(target):
            record.stopped = plan.stopped or "nothing proposed"
        record.seconds = time.perf_counter() - started
        return record, last

    def propose(self, target: float) -> GrowthPlan:
        """The method's first plan for the cost ``target``; nothing is carried out."""
        return self._propose(self._context(target))

    def _context(self, target: float) -> GrowthContext:
        config = self.config
        step = USUAL if config.epsilon == LINE_SEARCH else float(config.epsilon)
        curvature = Curvature(self.graph, self.sample, config.curvature, config.memory * 2**30, step)
        return GrowthContext(
            graph=self.graph,
            cost=self.costs[config.cost],
            macs=self.costs["macs"],
            target=target,
            curvature=curvature,
            eigensolver=eigensolver(config.engine),
            generator=self.generator,
            lineage=self.lineage,
            seed_widths=self.seed_widths,
            history=self.history,
            epochs=self.epochs,
        )

    def _propose(self, context: GrowthContext) -> GrowthPlan:
        try:
            with evaluation(self.graph.model):
                plan = self.method.propose(context)
            self._check(plan, context)
        except BenchError:
            raise
        except Exception as error:  # somebody's method may raise anything
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
            raise BenchError(f"method={self.name}: {one_line(error)} ({where})") from error
        return plan

    def _check(self, plan: GrowthPlan, context: GrowthContext) -> None:
        if not isinstance(plan, GrowthPlan):
            raise BenchError(f"method={self.name}: propose returned {type(plan).__name__}; expected a GrowthPlan")
        validate(plan, self.graph.model, self.graph.groups)
        added = plan.added()
        cost = context.cost.of({name: n + added.get(name, 0) for name, n in context.widths.items()})
        if cost > context.target:
            excess = f"the plan grows the network to {cost:.0f} {self.config.cost}"
            raise BenchError(f"method={self.name}: {excess}; the rung allows {context.target:.0f}")

    def _has_room(self, target: float) -> bool:
        """Whether one more neuron of some group would fit."""
        cost = self.costs[self.config.cost]
        n = cost.vector(self.graph.widths())
        return bool((cost.at(n) + cost.marginal(n)).min() <= target)

    # -- carrying out -------------------------------------------------------------------------------

    def _carry_out(self, plan: GrowthPlan, record: GrowthRecord) -> None:
        before, outputs = self.measure(GrowthPlan(), 0.0)
        _, grown_outputs = self.measure(plan, 0.0)
        gap = float((grown_outputs - outputs).abs().max() / outputs.abs().max().clamp(min=1e-300))
        record.function_gap = max(record.function_gap or 0.0, gap)
        epsilon = 0.0 if plan.restart else self._step(plan)
        done = apply(self.graph.model, self.optimizer, plan, epsilon, self.config.optimizer_state)
        for name, expansion in done.expansions.items():
            factors = expansion.factors.abs().cpu()
            self.lineage[name] = self.lineage[name][expansion.parents.cpu()] * factors
        self.graph = self.graph.grown()
        record.splits += done.splits
        record.added_neurons += sum(done.added.values())
        record.rounds += 1
        if plan.restart:
            return
        if plan.has_directions:
            record.epsilon = [*(record.epsilon or []), epsilon]
        change = plan.predicted_change(epsilon)
        after = self.measure(GrowthPlan(), 0.0)[0]
        if not isfinite(after):
            raise BenchError(f"the loss became {after} by growing with growth.epsilon={epsilon:g}: try a smaller one")
        predicts = change is not None and (record.rounds == 1 or record.predicted_drop is not None)
        record.measured_drop = (record.measured_drop or 0.0) + before - after
        record.predicted_drop = (record.predicted_drop or 0.0) - change if predicts and change is not None else None

    def _step(self, plan: GrowthPlan) -> float:
        """The configured step, or the one along the plan that lowers the sample's loss most."""
        if not plan.has_directions:
            return 0.0
        if self.config.epsilon != LINE_SEARCH:
            return float(self.config.epsilon)

        def loss(log_step: float) -> float:
            found = self.measure(plan, exp(log_step))[0]
            return found if isfinite(found) else inf

        return line_search(loss)

    def measure(self, plan: GrowthPlan, epsilon: float) -> tuple[float, Tensor]:
        """Loss and outputs on the sample after a plan, on a copy, in float64 where the device has it."""
        precise = torch.float32 if self.sample.inputs.device.type == "mps" else torch.float64
        twin = copy.deepcopy(self.graph.model).to(precise)

        def as_precise(tensor: Tensor) -> Tensor:
            return tensor.to(precise, copy=True) if tensor.is_floating_point() else tensor.clone()

        apply(twin, None, plan, epsilon)
        self.measured += self.costs["macs"].of(self.graph.on(twin).widths()) * len(self.sample)
        with evaluation(twin), torch.no_grad():
            outputs = torch.cat([twin(as_precise(inputs)) for inputs, _ in self.sample.batches(256)])
        targets = as_precise(self.sample.targets)
        return float(self.sample.loss(outputs, targets)), outputs

    def _account(self, context: GrowthContext, record: GrowthRecord, macs: float) -> None:
        curvature = context.curvature
        record.products += curvature.products
        record.flops += curvature.flops(macs) + 2 * self.measured
        self.measured = 0.0
        if curvature.products:
            record.surrogate = curvature.surrogate
        if context.residual is not None:
            record.engine = self.config.engine
            record.residual_max = max(record.residual_max or 0.0, context.residual)


def line_search(loss: Callable[[float], float], points: int = 10) -> float:
    """The step that lowers the loss most: the best of a geometric grid over `STEP_RANGE`, refined around it."""
    from scipy.optimize import minimize_scalar  # half a second that most runs need not wait for

    low, high = (log(step) for step in STEP_RANGE)
    grid = [low + (high - low) * i / (points - 1) for i in range(points)]
    losses = [loss(step) for step in grid]
    best = min(range(points), key=losses.__getitem__)
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, points - 1)])
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 0.05, "maxiter": 12})
    return exp(float(found.x) if found.fun < losses[best] else grid[best])
