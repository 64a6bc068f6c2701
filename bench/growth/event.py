"""A growth event: ask a method for plans until the rung is full, carry them out, and measure what they did."""

from __future__ import annotations

import copy
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import exp, inf, isfinite, log

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.core.errors import BenchError, PlanError, is_out_of_memory, one_line
from bench.core.record import GrowthRecord
from bench.curvature.eigensolvers import eigensolver
from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.growth.condition import SCALE, scale_outgoing
from bench.growth.config import KEEP, LEAVE_OUT, GrowthConfig
from bench.growth.decide import decided
from bench.growth.judge import LEAST_STEP, ROUNDING, contradicts, opposes
from bench.growth.method import GrowthContext, GrowthMethod, Trained
from bench.growth.untouched import remembered
from bench.network.graph import CHECKED, Graph
from bench.network.modes import evaluation
from bench.network.newborn import settle
from bench.network.plan import LINE_SEARCH, LONGEST_STEP, GrowthPlan, relative, validate
from bench.network.quadratic import CostModel
from bench.network.surgery import apply

STEP_RANGE = (1e-3, 4.0)
"""Steps that the line search begins with: directions of length 1 need none beyond."""

USUAL = 1e-2
"""Step by which ties of max pooling count before the line search has found one: the published one."""


@dataclass(eq=False)
class GrowthEvent:
    """All that a growth event works on.

    Attributes:
        graph: The network and its groups; another one after growth where the program has the sizes in it.
        optimizers: The network's, carried through the surgery.
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
        averages: Networks with the same parameters by name, averages of the network's, that grow as it does.
        can_restart: Whether the network can be given fresh parameters.
        measured: Multiply-adds of forward passes over the sample, since last counted.
        left_out: Names of groups that are split no more in this event.
        predicted: Names of groups whose splits or births stated what they gain.
        newborn: Indices of the neurons born so far, by group.
        precise: In which the loss is measured.
    """

    graph: Graph
    optimizers: Sequence[Optimizer]
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
    averages: Sequence[nn.Module] = ()
    can_restart: bool = True
    measured: float = 0.0
    left_out: set[str] = field(default_factory=set)
    predicted: set[str] = field(default_factory=set)
    newborn: dict[str, Tensor] = field(default_factory=dict)
    precise: torch.dtype = torch.float64

    def __post_init__(self) -> None:
        if self.sample.inputs.device.type == "mps":
            self.precise = torch.float32

    def grow(self, target: float) -> tuple[GrowthRecord, GrowthPlan]:
        """Grow up to, never over, the cost ``target``; also the last plan that was carried out.

        Where it raises, plans of earlier rounds are carried out, and one after which the loss is not finite:
        `bench.growth.grower.Grower.grow_to` undoes them.

        Raises:
            PlanError: The method proposes what cannot be carried out, or exceeds the target.
            BenchError: The method raises, its plan changes the function at epsilon = 0, or the loss is not finite.
        """
        started = time.perf_counter()
        config = self.config
        record = GrowthRecord(curvature=config.curvature, sample=len(self.sample))
        last = GrowthPlan()
        while True:
            context = self.context(target)
            macs = context.macs.of(context.widths)
            plan, left_out = self._propose(context, target), len(self.left_out)
            with self._named():
                taken = self._carry_out(plan, context, record) if plan.changes else plan
            if taken.changes or taken.restart:
                record.restart, last = taken.restart, taken
                record.notes.update(taken.notes)
            self._account(context, record, macs)
            context.curvature.release()
            again = taken.changes or len(self.left_out) > left_out
            if not again or taken.restart or not self._has_room(target):
                break
        record.left_out = sorted(self.left_out)
        if not taken.changes and self._has_room(target):
            record.stopped = "contradicted" if self.left_out else taken.stopped or "nothing proposed"
        record.seconds = time.perf_counter() - started
        return record, last

    def propose(self, target: float) -> GrowthPlan:
        """The method's first plan for the cost ``target``; nothing is carried out."""
        return self._propose(self.context(target), target)

    def curvature(self) -> Curvature:
        """Splitting operators of the network as it is."""
        config = self.config
        step = USUAL if isinstance(config.epsilon, str) else config.epsilon
        memory = config.memory * 2**30
        return Curvature(self.graph, self.sample, config.curvature, memory, step, config.epsilon_relative)

    def context(self, target: float) -> GrowthContext:
        """What the method may look at when it is asked for a plan for the cost ``target``."""
        config = self.config
        return GrowthContext(
            graph=self.graph,
            cost=self.costs[config.cost],
            macs=self.costs["macs"],
            target=target,
            curvature=self.curvature(),
            eigensolver=eigensolver(config.engine, **config.engine_options or {}),
            generator=self.generator,
            lineage=self.lineage,
            seed_widths=self.seed_widths,
            history=self.history,
            epochs=self.epochs,
            left_out=frozenset(self.left_out),
        )

    def _propose(self, context: GrowthContext, target: float) -> GrowthPlan:
        with evaluation(self.graph.model):
            changed = remembered(context)
            with self._named():
                plan = decided(self.method, context)
                if (what := changed()) is not None:
                    raise BenchError(f"method={self.name}: propose changed {what}; a method looks and changes nothing")
                self._check(plan, target)
        return relative(plan, self.graph.model) if self.config.epsilon_relative else plan

    def _check(self, plan: GrowthPlan, target: float) -> None:
        if not isinstance(plan, GrowthPlan):
            raise BenchError(f"method={self.name}: propose returned {type(plan).__name__}; expected a GrowthPlan")
        if plan.restart and not self.can_restart:
            raise BenchError(f"method={self.name}: starts the network afresh; Grower(..., build=FUNCTION) says how")
        validate(plan, self.graph.model, self.graph.groups)
        added, widths = plan.added(), self.graph.widths()
        cost = self.costs[self.config.cost].of({name: n + added.get(name, 0) for name, n in widths.items()})
        if cost > target:
            excess = f"the plan grows the network to {cost:.0f} {self.config.cost}"
            raise BenchError(f"method={self.name}: {excess}; the rung allows {target:.0f}")

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Say of a plan that cannot be carried out, and of whatever a method raises, whose it is.

        Raises:
            PlanError: As it was raised, with the method's name.
            BenchError: As it was raised, or in place of what else was.
        """
        try:
            yield
        except PlanError as error:
            raise PlanError(f"method={self.name}: {error}") from error
        except (BenchError, KeyboardInterrupt):
            raise
        except BaseException as error:  # somebody's method may raise anything, SystemExit too
            if is_out_of_memory(error):
                less = "ran out of memory while growing; a lower growth.memory or growth.sample needs less"
                raise BenchError(f"method={self.name}: {less}") from error
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
            raise BenchError(f"method={self.name}: {one_line(error)} ({where})") from error

    def _has_room(self, target: float) -> bool:
        """Whether one more neuron of some group would fit."""
        cost = self.costs[self.config.cost]
        n = cost.vector(self.graph.widths())
        return bool((cost.at(n) + cost.marginal(n)).min() <= target)

    # -- carrying out -------------------------------------------------------------------------------

    def _carry_out(self, plan: GrowthPlan, context: GrowthContext, record: GrowthRecord) -> GrowthPlan:
        """Check a plan on a copy, grow by what is to be grown of it, and record what that did; what was grown."""
        before, outputs = self.measure(GrowthPlan(), 0.0)
        if not isfinite(before):
            raise BenchError(f"the loss on the sample is {before} before growing; try a lower train.lr")
        self._keeps_function(plan, outputs, record)
        epsilon = 0.0 if plan.restart else self._step(plan)
        plan, epsilon = self._reconsidered(plan, epsilon, before)
        if not plan.changes:
            return plan
        widths = self.graph.widths()
        done = apply(self.graph.model, self.optimizers, plan, epsilon, self.config.optimizer_state)
        for average in self.averages:
            apply(average, None, plan, epsilon)
        newborn = {name: expansion.newborn for name, expansion in done.expansions.items() if len(expansion.newborn)}
        for model in (self.graph.model, *self.averages) if newborn and not plan.restart else ():
            settle(model, self.graph.groups.values(), newborn, self._passed_on)
        for name, own in newborn.items():
            self.newborn[name] = torch.cat([self.newborn[name], own]) if name in self.newborn else own
        for name, expansion in done.expansions.items():
            before_growing, parents = self.lineage[name], expansion.parents.cpu()
            inherited = torch.where(parents < 0, 1.0, before_growing[parents.clamp(min=0)])
            self.lineage[name] = inherited * expansion.factors.abs().cpu()
        self.graph = self.graph.grown(self.sample.some(CHECKED))
        record.splits += done.splits
        record.births += done.births
        record.added_neurons += sum(done.added.values())
        record.rounds += 1
        if plan.restart:
            return plan
        if plan.has_directions:
            record.epsilon = [*(record.epsilon or []), epsilon]
        change = plan.predicted_change(epsilon)
        after = self.loss()
        if not isfinite(after):
            raise BenchError(f"the loss became {after} by growing with growth.epsilon={epsilon:g}: try a smaller one")
        predicts = change is not None and (record.rounds == 1 or record.predicted_drop is not None)
        record.measured_drop = (record.measured_drop or 0.0) + before - after
        record.predicted_drop = (record.predicted_drop or 0.0) - change if predicts and change is not None else None
        if change is not None:
            self.predicted |= plan.groups.keys()
            record.trust = context.curvature.trust(self.predicted)
            self._judge(change, after - before, before, record)
        if plan.scale:
            for model in (self.graph.model, *self.averages):
                for name, factor in plan.scale.items():
                    scale_outgoing(model, self.graph.groups[name], widths[name], factor)
            record.condition, record.conditioned = SCALE, (record.conditioned or 0.0) + self.loss() - after
        return plan

    def _keeps_function(self, plan: GrowthPlan, outputs: Tensor, record: GrowthRecord) -> None:
        """Record how far a plan changes the outputs at epsilon = 0.

        Raises:
            BenchError: By more than rounding; it names the layers.
        """
        bound = ROUNDING[outputs.dtype]
        gap = self._gap(plan, outputs)
        record.function_gap = max(record.function_gap or 0.0, gap)
        if gap <= bound:
            return
        alone = {name: self._gap(plan.of({name}), outputs) for name in plan.groups}
        faulty = {name for name, own in alone.items() if own > bound} or set(alone)
        listed = ", ".join(f"{name} ({self.graph.groups[name].kind})" for name in self.graph.groups if name in faulty)
        raise BenchError(
            f"method={self.name}: growing {listed} changes the function by {gap:.1e} of the largest output at "
            f"epsilon = 0; expected at most {bound:g}, so nothing was grown"
        )

    def _gap(self, plan: GrowthPlan, outputs: Tensor) -> float:
        """Largest change of an output at epsilon = 0, relative to the largest; infinite where one is not finite."""
        grown = self.measure(plan, 0.0)[1]
        found = float((grown - outputs).abs().max() / outputs.abs().max().clamp(min=1e-300))
        return found if isfinite(found) else inf

    def _judge(self, predicted: float, measured: float, before: float, record: GrowthRecord) -> None:
        """Hold the change of the loss against the predicted one."""
        rounding = torch.finfo(next(self.graph.model.parameters()).dtype).eps * abs(before)
        record.judged += max(abs(predicted), abs(measured)) > rounding
        record.contradicted += contradicts(predicted, measured, rounding)

    def _reconsidered(self, plan: GrowthPlan, epsilon: float, before: float) -> tuple[GrowthPlan, float]:
        """What to grow of a plan, and by which step, where the copy contradicts it (``growth.contradicted``)."""
        choice = self.config.contradicted
        if choice == LEAVE_OUT:
            return self._innocent(plan.of(plan.groups.keys() - self.left_out), epsilon, before), epsilon
        if choice == KEEP or not self._fails(contradicts, plan, epsilon, before):
            return plan, epsilon
        steps = [epsilon]
        while steps[-1] / 2 >= LEAST_STEP:
            steps.append(steps[-1] / 2)
            if not self._fails(contradicts, plan, steps[-1], before):
                return plan, steps[-1]
        return plan, next((step for step in steps if not self._fails(opposes, plan, step, before)), steps[-1])

    def _innocent(self, plan: GrowthPlan, epsilon: float, before: float) -> GrowthPlan:
        """A plan without the groups at fault: those that contradict alone, or the one that is furthest off."""
        while plan.changes and self._fails(contradicts, plan, epsilon, before):
            alone = {name: plan.of({name}) for name in plan.groups}
            faulty = {name for name, own in alone.items() if self._fails(contradicts, own, epsilon, before)}
            if not faulty:
                faulty = {max(alone, key=lambda name: self._miss(alone[name], epsilon, before))}
            self.left_out |= faulty
            plan = plan.of(plan.groups.keys() - faulty)
        return plan

    def _miss(self, plan: GrowthPlan, epsilon: float, before: float) -> float:
        """How far a plan that predicts is off."""
        return abs(self.measure(plan, epsilon)[0] - before - (plan.predicted_change(epsilon) or 0.0))

    def _fails(
        self, verdict: Callable[[float, float, float], bool], plan: GrowthPlan, epsilon: float, before: float
    ) -> bool:
        """A verdict on what a plan would do; False where it predicts nothing."""
        predicted = plan.predicted_change(epsilon)
        if predicted is None or plan.restart:
            return False
        loss, outputs = self.measure(plan, epsilon)
        return verdict(predicted, loss - before, 100 * torch.finfo(outputs.dtype).eps * abs(before))

    def _step(self, plan: GrowthPlan) -> float:
        """The configured step, or the one along the plan that lowers the sample's loss most."""
        if not plan.has_directions:
            return 0.0
        chosen = self.config.epsilon if plan.epsilon is None else plan.epsilon
        if chosen != LINE_SEARCH:
            return float(chosen)

        def loss(log_step: float) -> float:
            found = self.measure(plan, exp(log_step))[0]
            return found if isfinite(found) else inf

        return line_search(loss)

    def measure(self, plan: GrowthPlan, epsilon: float) -> tuple[float, Tensor]:
        """Loss and outputs on the sample after a plan, on a copy, in float64 where device and network can have it.

        A network that makes tensors of its own in single precision cannot.
        """
        own = next(self.graph.model.parameters()).dtype
        if self.precise == own:
            return self._measure(plan, epsilon, own)
        try:
            return self._measure(plan, epsilon, self.precise)
        except RuntimeError:
            found = self._measure(plan, epsilon, own)
        self.precise = own
        return found

    def _measure(self, plan: GrowthPlan, epsilon: float, precise: torch.dtype) -> tuple[float, Tensor]:
        twin = copy.deepcopy(self.graph.model).to(precise)

        def as_precise(tensor: Tensor) -> Tensor:
            return tensor.to(precise, copy=True) if tensor.is_floating_point() else tensor.clone()

        apply(twin, None, plan, epsilon)
        self.measured += self.costs["macs"].of(self.graph.on(twin).widths()) * len(self.sample)
        with evaluation(twin), torch.no_grad():
            outputs = torch.cat([twin(as_precise(inputs)) for inputs in self._inputs()])
        targets = as_precise(self.sample.targets)
        return float(self.sample.loss(outputs, targets)), outputs

    def _inputs(self) -> Iterator[Tensor]:
        """The sample's, batch by batch."""
        return (inputs for inputs, _ in self.sample.batches(256))

    def _passed_on(self) -> Iterator[Tensor]:
        """The same for a pass of the network as it is, which is counted as far as it goes."""
        macs = self.costs["macs"].of(self.graph.widths())
        for inputs in self._inputs():
            self.measured += macs * len(inputs)
            yield inputs

    def loss(self) -> float:
        """Loss on the sample of the network as it is."""
        return self.measure(GrowthPlan(), 0.0)[0]

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
            record.searched += context.searched
            record.unconverged += context.unconverged


def line_search(loss: Callable[[float], float], points: int = 10) -> float:
    """The step that lowers the loss most: the best of a geometric grid over `STEP_RANGE`, refined around it.

    Where the longest is the best, as it may be of directions that are short, the grid goes on, to `LONGEST_STEP` at
    most.
    """
    from scipy.optimize import minimize_scalar  # half a second that most runs need not wait for

    low, high = (log(step) for step in STEP_RANGE)
    grid = [low + (high - low) * i / (points - 1) for i in range(points)]
    losses = [loss(step) for step in grid]
    while (best := min(range(len(grid)), key=losses.__getitem__)) == len(grid) - 1 and grid[-1] < log(LONGEST_STEP):
        grid.append(min(grid[-1] + (high - low) / (points - 1), log(LONGEST_STEP)))
        losses.append(loss(grid[-1]))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 0.05, "maxiter": 12})
    return exp(float(found.x) if found.fun < losses[best] else grid[best])
