"""A network that grows, event by event: the engine behind the protocol and the Python interface::

grower = Grower(model, inputs[:1], method="s3d", cost="params", epsilon=0.01)
for stage in range(5):
    train(model, optimizer)  # the caller's own loop
    print(grower.grow(inputs, targets, loss, optimizer=optimizer, ratio=1.5))
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.core.errors import BenchError, ConfigError, NothingToGrow, PlanError, did_you_mean, require
from bench.core.identity import LATENCY
from bench.core.options import typed
from bench.core.record import EXACT, GrowthRecord, Number
from bench.core.streams import stream
from bench.curvature.sample import Loss, Sample
from bench.growth import caller
from bench.growth.afresh import draw_parameters, drawn
from bench.growth.caller import Examples
from bench.growth.condition import HALF, SHRINK_PERTURB, Condition, condition
from bench.growth.config import GrowthConfig
from bench.growth.event import GrowthEvent
from bench.growth.method import GrowthMethod, Trained, check_options, make, methods
from bench.growth.undo import undone_on_failure
from bench.network import latency, overview
from bench.network.cost import cost, cost_models, require_counted, whole
from bench.network.graph import Graph
from bench.network.newborn import renew
from bench.network.plan import GrowthPlan
from bench.network.quadratic import CostModel, note_extrapolated
from bench.network.surgery import check_state, load

State = dict[str, Any]
"""Tensors and plain data."""


@dataclass(frozen=True, eq=False)
class Growth:
    """What one growth event did; printed, a line of it and one for each group that grew.

    Attributes:
        method: Name of the method.
        cost: What was counted.
        target: What the network might cost.
        before: What it cost, by the cost's name.
        after: What it costs now.
        widths_before: Neurons of each group before.
        widths: Neurons of each group now.
        plan: The last plan carried out; ``plan.epochs`` are those that a control wants trained next.
        record: All else, as a run's record has it: predicted and measured drop, function gap, step, seconds.
    """

    method: str
    cost: str
    target: float
    before: Mapping[str, Number]
    after: Mapping[str, Number]
    widths_before: Mapping[str, int]
    widths: Mapping[str, int]
    plan: GrowthPlan
    record: GrowthRecord

    @property
    def predicted_drop(self) -> float | None:
        """Fall of the sample's loss that the plans predicted; None if they do not."""
        return self.record.predicted_drop

    @property
    def measured_drop(self) -> float | None:
        """Fall of the sample's loss, before any training; None where the network started afresh."""
        return self.record.measured_drop

    def __str__(self) -> str:
        known = cost(self.cost)
        before, after, target = (known.text(n) for n in (self.before[self.cost], self.after[self.cost], self.target))
        first = f"{self.method}: {before} to {after} {known.unit} {known.title}".replace("  ", " ")
        first += f" of {target} allowed" + (f" ({self.record.stopped})" if self.record.stopped else "")
        limit = "" if self.record.trust in (None, EXACT) else f" (not exact: {self.record.trust})"
        against = " (contradicts the prediction)" * (self.record.contradicted > 0)
        drops = [(self.predicted_drop, f"predicted{limit}"), (self.measured_drop, f"measured{against}")]
        told = [f"{drop:.3g} {word}" for drop, word in drops if drop is not None]
        lines = [first, *([f"    loss drop {', '.join(told)}"] if told else [])]
        grown = [(name, old, self.widths[name]) for name, old in self.widths_before.items() if old != self.widths[name]]
        return "\n".join([*lines, *(f"    {name} {old} to {new} neurons" for name, old, new in grown)])


class Grower:
    """Grows a network in place, by any growth method.

    Args:
        model: Any module that ``torch.export`` can read, called with one tensor.
        inputs: A batch as the model is fed it, shape ``(N, ...)``, on the model's device; one is enough.
        method: A method's name (`bench.methods`), whose options follow by name; or a method (`GrowthMethod`).
        cost: What ``ratio`` and ``budget`` count (`bench.network.cost`): params, macs, energy, latency.
        epsilon: Step along a plan's directions, or ``line_search``.
        epsilon_relative: Whether the step is in units of each split neuron's norm.
        sample: Examples that are drawn of a ``DataLoader``, or ``all``.
        curvature: The splitting matrix by its definition, or the textbook form (published).
        engine: The eigensolver (`bench.curvature.eigensolvers`).
        engine_options: Its options by name.
        memory: GiB that products with the splitting matrix may hold.
        contradicted: What becomes of a plan whose measured drop contradicts the prediction: keep, smaller, leave_out.
        optimizer_state: What happens to it at a split: carry, zero (for newborn neurons) or reset.
        condition: What is done to the weights after growing (`bench.growth.condition`): none, shrink_perturb, rescale.
        shrink: Factor of the weights, from 0 to 1.
        perturb: Factor of a fresh network's weights, which are added.
        latency_batch: Inputs that latency is measured on at once.
        seed: Of the method's random streams, one for each event.
        name: What messages call the method; None for its name or that of its class.
        build: Makes a fresh network like ``model`` at the start; for conditioning, and methods that start again.
        **options: The method's options, e.g. ``c=2`` for s3d.

    Attributes:
        model: The model.
        graph: Its groups, and what of it cannot grow (`bench.network.graph.Graph`).
        form: What the parameters were when the graph was read (`bench.growth.caller.form`).
        method: The method.
        name: Its name.
        models: Each cost as a function of the widths, by name; set it to price otherwise.
        lineage: Product of ``|w|`` along each neuron's lineage, by group.
        seed_widths: Neurons of each group at the start.
        history: What was trained so far, the seed network's first; methods that match costs look at it.
        events: Growth events so far.

    Raises:
        BenchError: The model cannot be read or has nothing that can grow, or an option cannot work. All errors are of
            this class, with a message of one line.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Tensor,
        method: str | GrowthMethod = "s2d",
        *,
        cost: str = "params",
        epsilon: float | str = 0.01,
        epsilon_relative: bool = False,
        sample: int | str = 1024,
        curvature: str = "definition",
        engine: str = "lanczos",
        engine_options: Mapping[str, Any] | None = None,
        memory: float = 2.0,
        contradicted: str = "keep",
        optimizer_state: str = "carry",
        condition: str | None = None,
        shrink: float | None = None,
        perturb: float | None = None,
        latency_batch: int = 1,
        seed: int = 0,
        name: str | None = None,
        build: Callable[[], nn.Module] | None = None,
        **options: Any,
    ) -> None:
        own = {
            "cost": cost,
            "epsilon": epsilon,
            "epsilon_relative": epsilon_relative,
            "sample": sample,
            "curvature": curvature,
            "engine": engine,
            "engine_options": dict(engine_options) if isinstance(engine_options, Mapping) else engine_options,
            "memory": memory,
            "contradicted": contradicted,
            "optimizer_state": optimizer_state,
            "condition": condition,
            "shrink": shrink,
            "perturb": perturb,
            "latency_batch": latency_batch,
        }
        self.config = typed("growth.", GrowthConfig, own)
        require(isinstance(seed, int) and seed >= 0, "seed", seed, "a whole number of at least 0")
        require(build is None or callable(build), "build", build, "a function that makes a fresh network, or None")
        self.method = _method(method, options)
        self.name = name or (method if isinstance(method, str) else type(method).__name__)
        caller.require_module(model)
        if build is None and not self.conditioning.is_none:
            kind = self.conditioning.kind
            raise ConfigError("growth.condition", kind, "build=FUNCTION, which makes a fresh network of its kind")
        self.model, self.seed, self.build = model, seed, build
        caller.require_trainable(model, "model", type(model).__name__)
        inputs = caller.require_inputs(model, inputs)
        self.graph = Graph(model, tuple(inputs.shape[1:]), inputs.dtype)
        if not self.graph.groups:
            raise NothingToGrow(map(str, self.graph.unsplittable))
        check_options(self.method, self.graph)
        require_counted(self.config.cost, self.graph)
        self.graph.agree(inputs)
        self.form = caller.form(model)
        self.seed_widths = self.graph.widths()
        self.lineage = {name: torch.ones(n, dtype=torch.float64) for name, n in self.seed_widths.items()}
        self.history: list[Trained] = []
        self.events = 0

    @cached_property
    def models(self) -> dict[str, CostModel]:
        """Each cost as a function of the widths, by name; latency, where asked for, as measured when first used."""
        found: dict[str, CostModel] = cost_models(self.graph, self.config.cost)
        if self.config.cost == LATENCY:
            device = next(self.model.parameters()).device
            table = latency.measure(self.graph, found["macs"], self.config.latency_batch, device)
            found[LATENCY] = latency.fitted(table)
        return found

    @property
    def widths(self) -> dict[str, int]:
        """Neurons of each group now, by name."""
        return self.graph.widths()

    def __str__(self) -> str:
        """What of the network can grow, at what cost, and what cannot and why: the table of ``bench.inspect``."""
        shape = tuple(self.graph.input_shape)
        return overview.text(f"{type(self.model).__name__}, inputs {shape}", self.graph, self.models)

    @property
    def costs(self) -> dict[str, Number]:
        """What the network costs now, by the cost's name."""
        widths = self.widths
        return {name: whole(model.of(widths)) for name, model in self.models.items()}

    def grow(
        self,
        inputs: Examples,
        targets: Tensor | None = None,
        loss: Loss | None = None,
        *,
        optimizer: Optimizer | Iterable[Optimizer] | None = None,
        averages: nn.Module | Iterable[nn.Module] = (),
        ratio: float | None = None,
        budget: float | None = None,
        epochs: int = 0,
        recipe: int | None = None,
    ) -> Growth:
        """Grow the model in place, as far as the method finds useful and the target allows.

        Args:
            inputs: What curvature and loss are measured on, shape ``(N, ...)``; or batches of inputs and targets, a
                ``DataLoader``, say, of which ``sample`` examples are taken.
            targets: Shape ``(N, ...)``; None beside batches.
            loss: ``loss(outputs, targets)``, the mean over the examples.
            optimizer: The model's, one or several, changed in place: schedulers and gradient scalers that refer to them
                go on. None where they are made anew after growing.
            averages: Copies of the model that hold averages of its parameters, which grow as it does.
            ratio: The target as a multiple of what the model costs now; this or ``budget``.
            budget: The target in units of the cost.
            epochs: Epochs trained since the last event; only methods that match the cost of training ask.
            recipe: Epochs that a grown network is trained for, before this event and after it, whatever a control has
                asked for (``plan.epochs``); None for those of the first event.

        Raises:
            BenchError: An argument does not suit; the method declines; or a plan of its changes the function, cannot
                be carried out, or leaves no finite loss. Nothing is changed then, by the plans before it neither.
        """
        caller.require_form(self.model, self.form)
        listed, twins = caller.optimizers(self.model, optimizer), caller.twins(self.model, averages)
        for one in listed:
            check_state(one, self.config.optimizer_state)
        target = self._target(ratio, budget)
        if recipe is None:
            recipe = self.history[0].planned if self.history else epochs
        for name, number in (("epochs", epochs), ("recipe", recipe)):
            require(isinstance(number, int) and number >= 0, name, number, "a whole number of at least 0")
        with self._usual():
            measured_on = self._sample(inputs, targets, loss)
            self.history.append(Trained(self.models["macs"].of(self.widths), epochs, recipe))
            try:
                return self.grow_to(target, measured_on, listed, twins, recipe)
            except BaseException:
                self.history.pop()  # the stage goes on, and is counted when it ends
                raise

    def plan(
        self,
        inputs: Examples,
        targets: Tensor | None = None,
        loss: Loss | None = None,
        *,
        ratio: float | None = None,
        budget: float | None = None,
    ) -> GrowthPlan:
        """What the method would do first; arguments as in `grow`. Nothing is changed."""
        caller.require_form(self.model, self.form)
        target = self._target(ratio, budget)
        with self._usual():
            return self._event(self._sample(inputs, targets, loss), [], [], 0).propose(target)

    def grow_to(
        self,
        target: float,
        sample: Sample,
        optimizers: Sequence[Optimizer],
        averages: Sequence[nn.Module] = (),
        epochs: int = 0,
    ) -> Growth:
        """Grow up to the cost ``target``; the protocol's door. Whatever it raises, everything is as it was.

        Args:
            target: In units of the cost.
            sample: What curvature and loss are measured on.
            optimizers: The model's.
            averages: Networks with the model's parameters by name.
            epochs: Those that the recipe has for the coming stage.
        """
        before, widths = self.costs, self.widths
        event = self._event(sample, optimizers, averages, epochs)
        with undone_on_failure([self.model, *averages], optimizers, self.lineage):
            record, plan = event.grow(target)
            if plan.restart:
                self._restart(optimizers, averages)
            elif not self.conditioning.is_none:
                self._condition(event, averages, record)
        self.graph, self.form = event.graph, caller.form(self.model)
        self.events += 1
        return Growth(
            self.name, self.config.cost, target, before, self.costs, widths, self.widths, plan=plan, record=record
        )

    @property
    def conditioning(self) -> Condition:
        """What is done to the weights after growing: as the options say, or the method where they say nothing."""
        if self._says_how:
            return self.config.conditioning
        asked = getattr(self.method, "condition", None) or Condition()
        if not isinstance(asked, Condition):
            raise BenchError(f"method={self.name}: its condition is a {type(asked).__name__}; expected a Condition")
        return asked

    @property
    def _says_how(self) -> bool:
        return (self.config.condition, self.config.shrink, self.config.perturb) != (None, None, None)

    def _event(
        self, sample: Sample, optimizers: Sequence[Optimizer], averages: Sequence[nn.Module], epochs: int
    ) -> GrowthEvent:
        return GrowthEvent(
            graph=self.graph,
            optimizers=optimizers,
            averages=averages,
            can_restart=self.build is not None,
            method=_as_made(self.method),
            name=self.name,
            config=self.config,
            costs=self.models,
            sample=sample,
            lineage=self.lineage,
            seed_widths=self.seed_widths,
            history=self.history,
            epochs=epochs,
            generator=stream(self.seed, f"method {self.events + 1}"),
        )

    def _restart(self, optimizers: Sequence[Optimizer], averages: Sequence[nn.Module]) -> None:
        """Fresh parameters at the widths as they are."""
        assert self.build is not None  # the event has seen to that
        draw_parameters(self.model, self.build, stream(self.seed, f"restart {self.events + 1}"))
        for optimizer in optimizers:
            optimizer.state.clear()
        for average in averages:
            average.load_state_dict(self.model.state_dict())

    @contextmanager
    def _usual(self) -> Iterator[None]:
        """Gradients on and no autocast, whatever hook of a training loop this is called from."""
        device = next(self.model.parameters()).device.type
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device, enabled=False):
            yield

    def _condition(self, event: GrowthEvent, averages: Sequence[nn.Module], record: GrowthRecord) -> None:
        """Shrink, perturb or rescale the grown network."""
        assert self.build is not None
        generator, how = stream(self.seed, f"condition {self.events + 1}"), self.conditioning
        fresh = drawn(self.model, self.build, generator)
        before = event.loss()
        for one in (self.model, *averages):
            condition(one, fresh, how)
            renew(one, event.graph.groups.values(), event.newborn)
        record.condition, record.conditioned = how.kind, (record.conditioned or 0.0) + event.loss() - before
        record.flops += 2 * event.measured

    def warm_start(self, stage: int, cycle: int) -> None:
        """Condition the network as it is, between two cycles of a stage: by half and half unless something is said.

        Args:
            stage: The stage's number; with the cycle's it decides what is drawn.
            cycle: The number of the cycle that begins.
        """
        assert self.build is not None
        generator = stream(self.seed, f"warm start {stage} {cycle}")
        how = self.conditioning if self._says_how else Condition(SHRINK_PERTURB, HALF, HALF)
        if not how.is_none:
            condition(self.model, drawn(self.model, self.build, generator), how)

    def _sample(self, inputs: Examples, targets: Tensor | None, loss: Loss | None) -> Sample:
        return caller.sample(self.graph, inputs, targets, loss, self.config.examples)

    def _target(self, ratio: float | None, budget: float | None) -> float:
        target = self._asked(ratio, budget)
        note_extrapolated(self.config.cost, self.models[self.config.cost], target)
        return target

    def _asked(self, ratio: float | None, budget: float | None) -> float:
        now = self.models[self.config.cost].of(self.widths)
        if (ratio is None) == (budget is None):
            raise ConfigError("ratio", ratio, f"a number above 1, or None and a budget of {self.config.cost}")
        if ratio is not None:
            right = isinstance(ratio, int | float) and 1 < ratio < float("inf")
            require(right, "ratio", ratio, "a finite number above 1")
            return ratio * now
        assert budget is not None
        right = isinstance(budget, int | float) and now <= budget < float("inf")
        require(right, "budget", budget, f"a number of at least the network's {self.config.cost}, {now:.0f}")
        return budget

    # -- keeping it ----------------------------------------------------------------------------------------------------

    def state_dict(self) -> State:
        """The network with its sizes, and where its growth stands, as tensors and plain data."""
        return {
            "model": self.model.state_dict(),
            "lineage": dict(self.lineage),
            "history": [(one.macs, one.epochs, one.recipe) for one in self.history],
            "events": self.events,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give the model the sizes and parameters of a grown one, and go on from there; make its optimiser afterwards.

        Raises:
            BenchError: The state is none, or of another network.
        """
        parts = ("model", "lineage", "history", "events")
        lacking = [name for name in parts if not isinstance(state, Mapping) or name not in state]
        if lacking:
            raise BenchError(f"the state has no {lacking[0]}; expected what Grower.state_dict() gave")
        if state["lineage"].keys() != self.lineage.keys():
            raise PlanError("holds another network: its groups have other names")
        load(self.model, state["model"], self.graph.groups.values())
        self.graph, self.form = self.graph.grown(), caller.form(self.model)
        self.lineage = dict(state["lineage"])
        self.history = [Trained(*one) for one in state["history"]]
        self.events = state["events"]


def _as_made(method: GrowthMethod) -> GrowthMethod:
    """A copy for one event, so that a method that keeps something proposes the same after a run has been resumed."""
    try:
        return copy.deepcopy(method)
    except Exception:  # somebody's method may hold what cannot be copied
        return method


def _method(method: str | GrowthMethod, options: Mapping[str, Any]) -> GrowthMethod:
    if isinstance(method, str):
        own = set(methods[method].defaults()) - {"name"}
        for name, value in options.items():
            near = did_you_mean(name, [*own, *signature(Grower).parameters])
            expected = f"an option of {method}, {', '.join(sorted(own)) or 'which has none'}, or of Grower{near}"
            require(name in own, name, value, expected)
        return make({"name": method, **options})
    expected = "a method's name, or an object with a method propose"
    if isinstance(method, type):
        raise ConfigError(
            "method", method.__name__, f"{expected}; this is a class, {method.__name__}(...) is an object"
        )
    if not callable(getattr(method, "propose", None)):
        raise ConfigError("method", type(method).__name__, expected)
    for name, value in options.items():
        raise ConfigError(name, value, "one of Grower's own options, for a method that is made already takes no others")
    return method
