"""What a growth method is, and what it is offered when asked for a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from bench.curvature.solve import solve
from bench.curvature.spectrum import Eigensolver, Spectrum
from bench.growth.budget import Budget
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
    _spectra: dict[str, Spectrum] = field(default_factory=dict)
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
        if group.name not in self._spectra:
            left = [g for g in self.groups if g.name not in self._spectra]
            self._spectra |= solve(self.eigensolver, self.curvature, group, left, self.generator)
        return self._spectra[group.name]

    def pair(self, group: Group) -> Pair:
        """What new neurons of a group need of the sample; only of groups that `bears` says yes to."""
        if group.name not in self._pairs:
            self._pairs[group.name] = Pair(self.curvature, group)
        return self._pairs[group.name]

    @property
    def bearing(self) -> list[Group]:
        """The groups where a null neuron puts out nothing, so that new ones change the loss by ``epsilon^2``.

        Raises:
            Refused: There are none.
        """
        if not (found := self.fertile):
            raise Refused("no layer whose null neurons put out nothing: their activations are not zero at zero")
        return found

    @property
    def fertile(self) -> list[Group]:
        """The same, or none."""
        return [g for g in self.groups if bears(self.graph, g) and self.pair(g).is_quiet]

    @property
    def residual(self) -> float | None:
        """Largest relative residual of the eigenpairs computed so far; None without any."""
        return max((float(found.residual.max()) for found in self._spectra.values()), default=None)

    @property
    def searched(self) -> int:
        """Neurons whose eigenpairs were computed so far."""
        return sum(len(found.residual) for found in self._spectra.values())

    @property
    def unconverged(self) -> int:
        """Those of them whose residual says that the search has not converged."""
        return sum(int((~found.converged).sum()) for found in self._spectra.values())


class GrowthMethod(Protocol):
    """A rule that says which neurons to split, into what, and which to add.

    Registered with ``@register("name", Config)`` (`bench.methods`); built as ``Method(config)``. If it has a method
    ``check(graph)``, that is called before anything is trained and may raise `ConfigError` for options that do not
    suit the network.

    A method that displaces nothing says so by an attribute ``step = False``: then ``growth.epsilon`` changes no number,
    and one run stands for all its values. Without the attribute a method is taken to have a step. One whose plans all
    start afresh says ``inherits = False`` as well: then what is done to a grown network changes no number either.

    One that wants something done to the weights after growing has an attribute ``condition``
    (`bench.growth.condition.Condition`); it holds where ``growth.condition``, ``shrink`` and ``perturb`` say nothing.
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
    """The method of these options, its ``name`` among them.

    Raises:
        BenchError: There is none of this name, an option cannot work, or it cannot be asked for plans.
    """
    name = str(options.get("name"))
    made: GrowthMethod = methods[name].make(options)
    if not callable(getattr(made, "propose", None)):
        raise BenchError(f"method={name}: made a {type(made).__name__}; expected something with a method propose")
    return made


def has_step(method: object) -> bool:
    """Whether a method displaces what it splits; its attribute ``step`` says so (`GrowthMethod`)."""
    with foreign(f"{type(method).__name__}.step"):
        return bool(getattr(method, "step", True))


def unused(method: object) -> tuple[str, ...]:
    """Options of growth that change none of a method's numbers, of `bench.core.identity.UNUSED`."""
    with foreign(f"{type(method).__name__}.inherits"):
        inherits = bool(getattr(method, "inherits", True))
    if not inherits:
        return AFRESH
    return () if has_step(method) else NO_STEP


def check_options(method: GrowthMethod, graph: Graph) -> None:
    """Let the method check its options against the network, if it can.

    Raises:
        ConfigError: They do not suit it.
    """
    check = getattr(method, "check", None)
    if callable(check):
        with foreign(f"{type(method).__name__}.check"):
            check(graph)
