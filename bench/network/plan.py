"""A growth plan: which neurons to split, into what, and which to add. Methods fill it, `bench.network.surgery` carries
it out.

A **split** replaces a neuron with parameters ``theta`` by m offspring with parameters
``theta + epsilon * directions[j]`` whose outgoing weights are the neuron's times ``weights[j]``
(S2D, arXiv 1910.02366, section 3). ``sum_j weights[j] = 1`` leaves the function unchanged at epsilon = 0.

A **birth** adds a neuron with parameters ``base_incoming + epsilon * incoming`` and outgoing weights
``base_outgoing + epsilon * outgoing``: a split of a null neuron, whose parameters and outgoing weights are zero. It
leaves the function unchanged at epsilon = 0 where one of the bases is zero and a null neuron puts out zero, or where
those of several births cancel.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from bench.core.errors import PlanError
from bench.network.groups import Group, outgoing, theta

TOLERANCE = 1e-5
LINE_SEARCH = "line_search"
"""The step that lowers the loss on the sample most."""
LONGEST_STEP = 1000.0
MOST_EPOCHS = 10**6
"""As many as a recipe may ask for."""


@dataclass(frozen=True, eq=False)
class Split:
    """One neuron and what becomes of it.

    Attributes:
        group: The group it belongs to.
        neuron: Its index in the group.
        weights: Factors ``w_j`` of the outgoing weights, one per offspring; they sum to 1.
        directions: Displacements ``delta_j``, shape ``(offspring, d)`` with ``||delta_j|| <= 1``;
            None for exact copies.
        gain: ``sum_j w_j delta_j^T S delta_j``, so that the loss should change by ``epsilon^2 / 2 * gain``;
            None where the method predicts nothing.
    """

    group: Group
    neuron: int
    weights: tuple[float, ...]
    directions: Tensor | None = None
    gain: float | None = None

    @property
    def added(self) -> int:
        """Neurons it adds."""
        return len(self.weights) - 1

    @property
    def has_directions(self) -> bool:
        """Whether any offspring is displaced."""
        return self.directions is not None


@dataclass(frozen=True, eq=False)
class Birth:
    """One new neuron.

    Attributes:
        group: The group that it is added to.
        incoming: Direction of its parameters, shape ``(d,)`` as a row of `bench.network.groups.theta`.
        outgoing: Direction of its outgoing weights, shape ``(D,)`` as a row of `bench.network.groups.outgoing`.
        base_incoming: Its parameters at epsilon = 0, shape ``(d,)``; None for zero.
        base_outgoing: Its outgoing weights at epsilon = 0, shape ``(D,)``; None for zero.
        gain: The loss should change by ``epsilon^2 / 2 * gain``: with both bases zero
            ``2 incoming^T M^T outgoing`` (`bench.curvature.pair`); None where the method predicts nothing.
    """

    group: Group
    incoming: Tensor
    outgoing: Tensor
    base_incoming: Tensor | None = None
    base_outgoing: Tensor | None = None
    gain: float | None = None

    @property
    def added(self) -> int:
        """Neurons it adds."""
        return 1

    @property
    def has_directions(self) -> bool:
        """Whether the step matters."""
        return bool(self.incoming.any() or self.outgoing.any())

    def at(self, epsilon: float) -> tuple[Tensor, Tensor]:
        """Its parameters ``(d,)`` and outgoing weights ``(D,)`` after a step, in float64 on the CPU."""
        parts = ((self.incoming, self.base_incoming), (self.outgoing, self.base_outgoing))
        moved = [(epsilon * way.detach().cpu().double(), base) for way, base in parts]
        one, two = (way if base is None else way + base.detach().cpu().double() for way, base in moved)
        return one, two


@dataclass(frozen=True, eq=False)
class GrowthPlan:
    """Splits and births to be made at once; none means that the method finds nothing useful that fits.

    Attributes:
        splits: At most one per neuron.
        births: New neurons.
        epsilon: The step where the method's rule has one of its own, a number or `LINE_SEARCH`; None for
            ``growth.epsilon``.
        scale: Factors of the outgoing weights that are there, by group, once the plan is carried out: not of its
            prediction, for they change the function.
        stopped: Why a method that could go on in principle proposes nothing, e.g. ``"stable"``.
        restart: Whether the grown network starts again from fresh parameters (the static controls).
        epochs: Training epochs of the stage; None for the recipe's.
        cycles: How often the schedule runs within the stage's epochs; between two the network is conditioned.
        notes: Finite numbers that the method wants on record, by name.
    """

    splits: tuple[Split, ...] = ()
    births: tuple[Birth, ...] = ()
    epsilon: float | str | None = None
    scale: Mapping[str, float] = field(default_factory=dict)
    stopped: str | None = None
    restart: bool = False
    epochs: int | None = None
    cycles: int = 1
    notes: Mapping[str, float] = field(default_factory=dict)

    @property
    def changes(self) -> tuple[Split | Birth, ...]:
        """Splits and births."""
        return (*self.splits, *self.births)

    @property
    def has_directions(self) -> bool:
        """Whether any offspring or new neuron is displaced, so that the step matters."""
        return any(change.has_directions for change in self.changes)

    @property
    def groups(self) -> dict[str, Group]:
        """The groups that grow, by name."""
        return {change.group.name: change.group for change in self.changes}

    def of(self, names: Collection[str]) -> GrowthPlan:
        """The part of it that grows the groups of these names."""
        splits = tuple(split for split in self.splits if split.group.name in names)
        births = tuple(birth for birth in self.births if birth.group.name in names)
        scale = {name: factor for name, factor in self.scale.items() if name in names}
        return replace(self, splits=splits, births=births, scale=scale)

    def added(self) -> dict[str, int]:
        """Neurons added to each group, by name."""
        total: dict[str, int] = {}
        for change in self.changes:
            total[change.group.name] = total.get(change.group.name, 0) + change.added
        return total

    def predicted_change(self, epsilon: float) -> float | None:
        """Change of the loss to second order, ``epsilon^2 / 2 * sum of gains``; None if any gain is unknown."""
        gains = [change.gain for change in self.changes]
        known = [gain for gain in gains if gain is not None]
        return epsilon**2 / 2 * sum(known) if known and len(known) == len(gains) else None


def validate(plan: GrowthPlan, model: nn.Module, groups: Mapping[str, Group]) -> None:
    """Check that a plan can be carried out on the model and leaves the function unchanged at epsilon = 0.

    Raises:
        PlanError: A group or neuron does not exist or is split twice, the weights do not sum to 1, directions have the
            wrong shape, are not finite, or are longer than 1, or a number is something else that looks like one: a
            tensor, NumPy's, or True.
    """
    if plan.epochs is not None and not (_is_whole(plan.epochs) and 0 <= plan.epochs <= MOST_EPOCHS):
        expected = f"a whole number of at least 0 and at most {MOST_EPOCHS}, or None"
        raise PlanError(f"the plan asks for {plan.epochs!r} epochs; expected {expected}")
    if not (_is_whole(plan.cycles) and 1 <= plan.cycles <= MOST_EPOCHS):
        raise PlanError(f"the plan asks for {plan.cycles!r} cycles; expected a whole number of at least 1")
    step = plan.epsilon
    if step is not None and step != LINE_SEARCH and not (_is_number(step) and 0 < cast(float, step) <= LONGEST_STEP):
        expected = f"a number above 0, at most {LONGEST_STEP:g}, {LINE_SEARCH} or None"
        raise PlanError(f"the plan's epsilon is {step!r}; expected {expected}")
    for name, factor in plan.scale.items():
        if name not in groups or not _is_number(factor) or factor <= 0:
            expected = "a number above 0 under a group's name"
            raise PlanError(f"the plan's scale of {name!r} is {factor!r}; expected {expected}")
    if not isinstance(plan.restart, bool):
        raise PlanError(f"the plan's restart is {plan.restart!r}; expected True or False")
    if not isinstance(plan.stopped, str | None):
        raise PlanError(f"the plan's stopped is {plan.stopped!r}; expected a reason, or None")
    for name, note in plan.notes.items():
        if not isinstance(name, str) or not _is_number(note):
            raise PlanError(f"the plan's note {name!r} is {note!r}; expected a finite number under a name")
    for kind, changes in ((Split, plan.splits), (Birth, plan.births)):
        for change in changes:
            if not isinstance(change, kind) or not isinstance(change.group, Group):
                where = f"a {type(change).__name__} among its {kind.__name__.lower()}s"
                raise PlanError(f"the plan has {where}; expected a {kind.__name__} of a Group")
    for change in plan.changes:
        if groups.get(change.group.name) != change.group:
            raise PlanError(f"the plan grows group {change.group.name}: expected one of {', '.join(groups)}")
    for name, births in by_group(plan.births).items():
        sizes = theta(model, groups[name]).shape[1], outgoing(model, groups[name]).shape[1]
        for birth in births:
            _validate_birth(birth, f"birth in {name}", *sizes)
    for name, splits in by_group(plan.splits).items():
        neurons, size = theta(model, groups[name]).shape
        seen: set[int] = set()
        for split in splits:
            where = f"split of {name}[{split.neuron!r}]"
            if not _is_whole(split.neuron):
                raise PlanError(f"{where}: the neuron is a {type(split.neuron).__name__}; expected an int")
            if not 0 <= split.neuron < neurons:
                raise PlanError(f"{where}: expected a neuron from 0 to {neurons - 1}")
            if split.neuron in seen:
                raise PlanError(f"{where}: the neuron is split twice in one plan")
            seen.add(split.neuron)
            _validate_split(split, where, size)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_plain(value: object) -> bool:
    return _is_whole(value) or isinstance(value, float)


def _is_number(value: object) -> bool:
    """Whether a value is a finite ``int`` or ``float``, as records hold them."""
    return _is_plain(value) and isfinite(cast(float, value))


def _validate_split(split: Split, where: str, size: int) -> None:
    _validate_gain(split.gain, where)
    if not isinstance(split.weights, tuple | list) or not all(map(_is_plain, split.weights)):
        raise PlanError(f"{where}: the weights {split.weights!r}; expected a tuple of ints and floats")
    if len(split.weights) < 2:
        raise PlanError(f"{where}: {len(split.weights)} offspring; expected at least 2")
    total = sum(split.weights)
    if not abs(total - 1) <= TOLERANCE:
        raise PlanError(f"{where}: the weights {tuple(split.weights)} sum to {total:.6g}; expected 1")
    if split.directions is None:
        return
    _validate_tensor(split.directions, f"{where}: directions", (len(split.weights), size))
    longest = float(torch.linalg.vector_norm(split.directions.detach().cpu().double(), dim=1).max())
    if not longest <= 1 + TOLERANCE:
        raise PlanError(f"{where}: a direction has length {longest:.6g}; expected at most 1")


def _validate_birth(birth: Birth, where: str, size: int, outgoing_size: int) -> None:
    _validate_gain(birth.gain, where)
    for name, length in (("incoming", size), ("outgoing", outgoing_size)):
        for attribute in (name, f"base_{name}"):
            given = getattr(birth, attribute)
            if given is not None or attribute == name:
                _validate_tensor(given, f"{where}: {attribute}", (length,))
                if not given.isfinite().all():
                    raise PlanError(f"{where}: {attribute} has a number that is not finite")


def _validate_gain(gain: object, where: str) -> None:
    if gain is not None and not _is_number(gain):
        raise PlanError(f"{where}: a gain of {gain!r}; expected a finite number, or None")


def _validate_tensor(given: object, where: str, shape: tuple[int, ...]) -> None:
    if not isinstance(given, Tensor) or not given.is_floating_point():
        kind = given.dtype if isinstance(given, Tensor) else type(given).__name__
        raise PlanError(f"{where} of {kind}; expected a tensor of floating-point numbers")
    if tuple(given.shape) != shape:
        raise PlanError(f"{where} of shape {tuple(given.shape)}; expected {shape}")


Change = TypeVar("Change", Split, Birth)


def by_group(changes: Iterable[Change]) -> dict[str, list[Change]]:
    """Splits, or births, of each group, by name, in the order given."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.group.name, []).append(change)
    return found


def relative(plan: GrowthPlan, model: nn.Module) -> GrowthPlan:
    """The plan with each split's directions, and so its step, in units of its neuron's norm ``||theta||``.

    Births, which have no norm before, are left alone.
    """
    norms = {name: torch.linalg.vector_norm(theta(model, group).double(), dim=1) for name, group in plan.groups.items()}

    def scaled(split: Split) -> Split:
        if split.directions is None:
            return split
        norm = float(norms[split.group.name][split.neuron])
        gain = None if split.gain is None else split.gain * norm**2
        return replace(split, directions=split.directions.double() * norm, gain=gain)

    return replace(plan, splits=tuple(map(scaled, plan.splits)))
