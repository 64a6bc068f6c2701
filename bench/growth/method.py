"""What a growth method is, and what it is offered when asked for a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from bench.core.errors import BenchError, Refused, foreign
from bench.core.identity import AFRESH, NO_STEP
from bench.core.options import Options
from bench.core.registry import Registry
from bench.curvature.operator import Operator
from bench.curvature.pair import Pair, bears
from bench.curvature.passes import Curvature
from bench.curvature.solve import Running, go_on, search_bytes, solve
from bench.curvature.spectrum import Eigensolver, Spectrum
from bench.growth.budget import Budget, Candidate
from bench.network.graph import Graph
from bench.network.groups import Group
from bench.network.plan import GrowthPlan
from bench.network.quadratic import CostModel


@dataclass(frozen=True)
class Trained:
    """What one finished stage trained.

    Attributes:
        macs: Multiply-adds of one inference.
        epochs: Epochs.
        recipe: Those that the recipe has for the stage; None for as many.
    """

    macs: float
    epochs: int
    recipe: int | None = None

    @property
    def planned(self) -> int:
        """Epochs by the recipe."""
        return self.epochs if self.recipe is None else self.recipe


Neuron = tuple[str, int]
"""A group's name and an index in it."""


@dataclass(eq=False)
class GrowthContext:
    """What a method may look at. Nothing here may be changed by a method.

    Attributes:
        graph: The network's groups; ``graph.model`` is the network, in evaluation mode.
        cost: The ladder's cost as a function of the widths.
        macs: Multiply-adds as a function of the widths.
        target: The rung: the cost that the grown network must not exceed.
        curvature: Splitting operators on the fixed sample.
        eigensolver: Finds extreme eigenpairs.
        generator: The method's own random stream, on the CPU.
        lineage: For each group the product of ``|w|`` over the splits that led to each neuron, shape ``(n,)``.
        seed_widths: Widths of the seed network.
        history: The stages trained so far, the seed network's first.
        epochs: Training epochs of the coming stage by the recipe.
        left_out: Names of groups that this event splits no more (``growth.contradicted=leave_out``).
        open: Whether searches wait at what is likely (`bench.growth.decide`); spectra are complete otherwise.
        hoped: Whether neurons whose eigenpairs have not been found are shown with optimistic spectra,
        but_for: less these, by group and index: with likely ones.
        relied_on: Groups and neurons whose eigenpairs something beside the plan's splits depends on.
    """

    graph: Graph
    cost: CostModel
    macs: CostModel
    target: float
    curvature: Curvature
    eigensolver: Eigensolver
    generator: torch.Generator
    lineage: dict[str, Tensor]
    seed_widths: dict[str, int]
    history: Sequence[Trained] = ()
    epochs: int = 0
    left_out: frozenset[str] = frozenset()
    open: bool = False
    hoped: bool = False
    but_for: set[Neuron] = field(default_factory=set)
    relied_on: set[Neuron] = field(default_factory=set)
    _searches: dict[str, Running] = field(default_factory=dict)
    _pairs: dict[str, Pair] = field(default_factory=dict)

    def budget(self) -> Budget:
        """What the rung leaves to spend, nothing of it spent yet."""
        return Budget(self.cost, self.widths, self.target)

    @property
    def groups(self) -> list[Group]:
        """The groups that may be split, in the order of the forward pass."""
        return [group for name, group in self.graph.groups.items() if name not in self.left_out]

    @property
    def widths(self) -> dict[str, int]:
        """Neurons of each group now, by name."""
        return self.graph.widths()

    def operator(self, group: Group) -> Operator:
        """The splitting operator of a group."""
        return self.curvature.operator(group)

    def spectrum(self, group: Group) -> Spectrum:
        """Extreme eigenpairs of a group's neurons, computed when first asked for.

        Groups whose sample does not fit into memory are computed together, in shared passes over it.
        """
        if group.name not in self._searches:
            left = [g for g in self.groups if g.name not in self._searches]
            self._searches |= solve(self.eigensolver, self.curvature, group, left, self.generator, self.open)
        search = self._searches[group.name]
        if not self.hoped:
            return search.spectrum()
        return search.optimistic([neuron for name, neuron in self.but_for if name == group.name])

    @property
    def can_wait(self) -> bool:
        """Whether the memory holds searches in all groups at once."""
        return sum(search_bytes(self.curvature, group) for group in self.groups) <= self.curvature.memory

    def rely_on(self, candidates: Iterable[Candidate]) -> None:
        """Say that something beside the plan's splits depends on these candidates' gains."""
        self.relied_on.update((one.group.name, one.neuron) for one in candidates)

    @property
    def missing(self) -> set[Neuron]:
        """Neurons whose eigenpairs have not been found, in the groups that spectra were asked of."""
        left = {name: (~search.settled).nonzero().flatten().tolist() for name, search in self._searches.items()}
        return {(name, neuron) for name, neurons in left.items() for neuron in neurons}

    def settle(self, neurons: Iterable[Neuron]) -> None:
        """Find the eigenpairs of neurons whose eigenpairs are missing."""
        wanted: dict[str, list[int]] = {}
        for name, neuron in sorted(neurons):
            wanted.setdefault(name, []).append(neuron)
        go_on(self._searches, {name: torch.tensor(own) for name, own in wanted.items()}, self.curvature)

    def pair(self, group: Group) -> Pair:
        """What new neurons of a group need of the sample; only of groups that `bears` says yes to."""
        if group.name not in self._pairs:
            self._pairs[group.name] = Pair(self.curvature, group)
        return self._pairs[group.name]

    @property
    def bearing(self) -> list[Group]:
        """The groups where a null neuron puts out nothing, so that new ones change the loss by ``epsilon^2``.

        None once all of them have been left out.

        Raises:
            Refused: The network has none.
        """
        found = self.fertile
        if not found and not self.left_out:
            raise Refused("no layer whose null neurons put out nothing: their activations are not zero at zero")
        return found

    @property
    def fertile(self) -> list[Group]:
        """The same, or none."""
        return [g for g in self.groups if bears(self.graph, g) and self.pair(g).is_quiet]

    @property
    def residual(self) -> float | None:
        """Largest relative residual of the eigenpairs found so far; None without any."""
        return max((float(found.max()) for found, _ in self._found() if len(found)), default=None)

    @property
    def searched(self) -> int:
        """Neurons whose eigenpairs were found so far."""
        return sum(len(found) for found, _ in self._found())

    @property
    def unconverged(self) -> int:
        """Those of them whose residual says that the search has not converged."""
        return sum(int((~converged).sum()) for _, converged in self._found())

    def _found(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Of each search the residuals of the neurons whose eigenpairs were found, and whether they have converged."""
        for search in self._searches.values():
            spectrum = search.spectrum()
            settled = search.settled.to(spectrum.residual.device)
            yield spectrum.residual[settled], spectrum.converged[settled]


class GrowthMethod(Protocol):
    """A rule that says which neurons to split, into what, and which to add.

    Registered with ``@register("name", Config)`` (`bench.methods`); built as ``Method(config)``. If it has a method
    ``check(graph)``, that is called before anything is trained and may raise `ConfigError` for options that do not
    suit the network.

    A method in which ``growth.epsilon`` does not enter, as it displaces nothing or has a step of its own, says so by an
    attribute ``step = False``: then one run stands for all values. Without the attribute it is taken to enter. One
    whose plans all start afresh says ``inherits = False`` as well: then what is done to a grown network changes no
    number either.

    It keeps nothing from one event to the next, as a run may go on in another process: each event is given a copy of
    the method as it was made. What was before is in the context: `GrowthContext.history`, ``lineage``, ``widths``.

    One that wants something done to the weights after growing has an attribute ``condition``
    (`bench.growth.condition.Condition`); it holds where ``growth.condition``, ``shrink`` and ``perturb`` say nothing.

    A method whose plans are monotone in the spectra says so by an attribute ``monotone = True``: if a neuron that its
    plan does not split had a narrower spectrum, ends nearer to zero or beyond, the plan would be the same. It splits by
    `GrowthContext.spectrum` alone, draws nothing from its random stream, and tells `GrowthContext.rely_on` what else
    depends on a gain. Then it is asked several times for one plan, and products are spent on the neurons alone that the
    plan depends on (`bench.growth.decide`). Without the attribute every spectrum is complete.
    """

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Splits and births that together keep the cost at or below ``context.target``.

        Called again on the grown network until it proposes nothing, so a method need not fill the rung at once.

        Raises:
            Refused: The method cannot work with this network; the reason is shown in the report.
        """
        ...


methods: Registry[Callable[..., GrowthMethod]] = Registry("method", "bench.methods", "growth_bench.methods")
"""Methods by name: those in ``methods/``, and other packages' by their entry points."""


def make(options: Options) -> GrowthMethod:
    """The method of these options, its ``name`` among them; the working directory is as before then.

    Raises:
        BenchError: There is none of this name, an option cannot work, or it cannot be asked for plans.
    """
    name = str(options.get("name"))
    with chdir("."):
        made: GrowthMethod = methods[name].make(options)
    if not callable(getattr(made, "propose", None)):
        raise BenchError(f"method={name}: made a {type(made).__name__}; expected something with a method propose")
    return made


def has_step(method: object) -> bool:
    """Whether ``growth.epsilon`` enters in a method; its attribute ``step`` says so (`GrowthMethod`)."""
    with foreign(f"{type(method).__name__}.step"):
        return bool(getattr(method, "step", True))


def unused(method: object) -> tuple[str, ...]:
    """Options of growth that change none of a method's numbers, of `bench.core.identity.UNUSED`."""
    with foreign(f"{type(method).__name__}.inherits"):
        inherits = bool(getattr(method, "inherits", True))
    if not inherits:
        return AFRESH
    return () if has_step(method) else NO_STEP


def is_monotone(method: object) -> bool:
    """Whether a method's plans are monotone in the spectra; its attribute ``monotone`` says so (`GrowthMethod`)."""
    with foreign(f"{type(method).__name__}.monotone"):
        return bool(getattr(method, "monotone", False))


def check_options(method: GrowthMethod, graph: Graph) -> None:
    """Let the method check its options against the network, if it can.

    Raises:
        ConfigError: They do not suit it.
    """
    check = getattr(method, "check", None)
    if callable(check):
        with foreign(f"{type(method).__name__}.check"):
            check(graph)
