"""A growth plan: which neurons to split, into what. Methods fill it, `bench.network.surgery` carries it out.

A split replaces a neuron with parameters ``theta`` by m offspring with parameters
``theta + epsilon * directions[j]`` whose outgoing weights are the neuron's times ``weights[j]``
(S2D, arXiv 1910.02366, section 3). ``sum_j weights[j] = 1`` leaves the function unchanged at epsilon = 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import cast

import torch
from torch import Tensor, nn

from bench.core.errors import PlanError
from bench.network.groups import Group, theta

TOLERANCE = 1e-5
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


@dataclass(frozen=True, eq=False)
class GrowthPlan:
    """Splits to be made at once.

    Attributes:
        splits: At most one per neuron; none means that the method finds nothing useful that fits.
        stopped: Why a method that could go on in principle proposes nothing, e.g. ``"stable"``.
        restart: Whether the grown network starts again from fresh parameters (the static controls).
        epochs: Training epochs of the stage; None for the recipe's.
        notes: Finite numbers that the method wants on record, by name.
    """

    splits: tuple[Split, ...] = ()
    stopped: str | None = None
    restart: bool = False
    epochs: int | None = None
    notes: Mapping[str, float] = field(default_factory=dict)

    @property
    def has_directions(self) -> bool:
        """Whether any offspring is displaced, so that the step matters."""
        return any(split.directions is not None for split in self.splits)

    def added(self) -> dict[str, int]:
        """Neurons added to each group, by name."""
        total: dict[str, int] = {}
        for split in self.splits:
            total[split.group.name] = total.get(split.group.name, 0) + split.added
        return total

    def predicted_change(self, epsilon: float) -> float | None:
        """Change of the loss to second order, ``epsilon^2 / 2 * sum of gains``; None if any gain is unknown."""
        gains = [split.gain for split in self.splits]
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
    if not isinstance(plan.restart, bool):
        raise PlanError(f"the plan's restart is {plan.restart!r}; expected True or False")
    if not isinstance(plan.stopped, str | None):
        raise PlanError(f"the plan's stopped is {plan.stopped!r}; expected a reason, or None")
    for name, note in plan.notes.items():
        if not isinstance(name, str) or not _is_number(note):
            raise PlanError(f"the plan's note {name!r} is {note!r}; expected a finite number under a name")
    for split in plan.splits:
        if not isinstance(split, Split) or not isinstance(split.group, Group):
            raise PlanError(f"the plan has a {type(split).__name__} among its splits; expected a Split of a Group")
    for name, splits in by_group(plan.splits).items():
        if any(groups.get(name) != split.group for split in splits):
            raise PlanError(f"the plan splits group {name}: expected one of {', '.join(groups)}")
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
    if split.gain is not None and not _is_number(split.gain):
        raise PlanError(f"{where}: a gain of {split.gain!r}; expected a finite number, or None")
    if not isinstance(split.weights, tuple | list) or not all(map(_is_plain, split.weights)):
        raise PlanError(f"{where}: the weights {split.weights!r}; expected a tuple of ints and floats")
    if len(split.weights) < 2:
        raise PlanError(f"{where}: {len(split.weights)} offspring; expected at least 2")
    total = sum(split.weights)
    if not abs(total - 1) <= TOLERANCE:
        raise PlanError(f"{where}: the weights {tuple(split.weights)} sum to {total:.6g}; expected 1")
    if split.directions is None:
        return
    if not isinstance(split.directions, Tensor) or not split.directions.is_floating_point():
        kind = split.directions.dtype if isinstance(split.directions, Tensor) else type(split.directions).__name__
        raise PlanError(f"{where}: directions of {kind}; expected a tensor of floating-point numbers")
    if tuple(split.directions.shape) != (len(split.weights), size):
        shape = tuple(split.directions.shape)
        raise PlanError(f"{where}: directions of shape {shape}; expected {(len(split.weights), size)}")
    longest = float(torch.linalg.vector_norm(split.directions.detach().cpu().double(), dim=1).max())
    if not longest <= 1 + TOLERANCE:
        raise PlanError(f"{where}: a direction has length {longest:.6g}; expected at most 1")


def by_group(splits: Iterable[Split]) -> dict[str, list[Split]]:
    """Splits of each group, by name, in the order given."""
    found: dict[str, list[Split]] = {}
    for split in splits:
        found.setdefault(split.group.name, []).append(split)
    return found
