"""Condition a grown network before it is trained on: give its weights back some of what a fresh network's have.

A network that was trained small has long rows, its siblings are parallel, and its rank per width is low; training on
starts from there. Shrinking towards, and adding, a fresh network of the new widths undoes some of that
(J. Ash and R. Adams, "On warm-starting neural network training", arXiv 1910.08475):

    theta <- shrink * theta + perturb * fresh

``rescale`` gives each layer the norm F that a fresh one has, of which a share p (``perturb``) is in fresh weights. They
are about orthogonal to the layer's own, so that the squares add up to ``F^2``:

    theta <- sqrt(1 - p^2) * F / ||theta|| * theta + p * fresh

A layer far from fresh is shrunk more than one that is near, which one factor for all layers cannot do.

Scales and shifts of normalisations are left alone, whatever a fresh network has there: behind them the function does
not feel that the rows before are shorter, but training does, whose steps are then longer for its weights. Their running
statistics follow in training; before, they are off (``growth.refresh_norm`` estimates them again). Somebody's own
normalisation is known by having no parameter of two dimensions or more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from bench.core.errors import require, require_choice
from bench.network.groups import Group, tensor_of

NONE, SHRINK_PERTURB, RESCALE = "none", "shrink_perturb", "rescale"
SCALE = "scale"
"""What a plan's own factors of outgoing weights are called on record (`bench.network.plan.GrowthPlan.scale`)."""
CONDITIONS = (NONE, SHRINK_PERTURB, RESCALE)
TAKES = {SHRINK_PERTURB: ("growth.shrink", "growth.perturb"), RESCALE: ("growth.perturb",)}
"""The options that each reads."""
NORMALISES = (_BatchNorm, _InstanceNorm, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
"""PyTorch's own normalisations that may have scales and shifts."""
HALF = 0.5
"""Of either, where nothing is said of both; the share of fresh weights where layers are rescaled."""


@dataclass(frozen=True)
class Condition:
    """What is done to the weights after growing.

    Attributes:
        kind: One of `CONDITIONS`.
        shrink: Factor of the weights.
        perturb: Factor of a fresh network's weights, which are added.

    Where layers are rescaled the factor of the weights is each layer's own, and ``shrink`` is not read.
    """

    kind: str = NONE
    shrink: float = 1.0
    perturb: float = 0.0

    @classmethod
    def of(cls, kind: str | None, shrink: float | None, perturb: float | None) -> Condition:
        """From the options of ``growth``: without a kind, what is given of shrink and perturb says it.

        Raises:
            ConfigError: They contradict each other, or are out of range.
        """
        given = {"growth.shrink": shrink, "growth.perturb": perturb}
        require_choice("growth.condition", NONE if kind is None else kind, CONDITIONS)
        for option, value in given.items():
            require(value is None or 0 <= value <= 1, option, value, "a number from 0 to 1, or null")
            takes = [one for one, options in TAKES.items() if option in options]
            alone = kind is None or kind in takes or value is None
            require(alone, option, value, f"null with growth.condition={kind}; {' or '.join(takes)} reads it")
        if kind == RESCALE:
            return cls(RESCALE, perturb=HALF if perturb is None else perturb)
        if kind == NONE or (kind is None and shrink is None and perturb is None):
            return cls()
        if shrink is None and perturb is None:
            return cls(SHRINK_PERTURB, HALF, HALF)
        made = cls(SHRINK_PERTURB, 1.0 if shrink is None else shrink, 0.0 if perturb is None else perturb)
        require(made.shrink > 0 or made.perturb > 0, "growth.shrink", shrink, "above 0 where growth.perturb is 0")
        return made

    @property
    def is_none(self) -> bool:
        """Whether nothing is done."""
        return self.kind == NONE or (self.kind == SHRINK_PERTURB and (self.shrink, self.perturb) == (1.0, 0.0))


def condition(model: nn.Module, fresh: nn.Module, how: Condition) -> None:
    """Condition a network in place.

    Args:
        model: The network; parameters that are not trained are left alone.
        fresh: A network of the same widths with parameters as they are drawn.
        how: What to do.
    """
    with torch.no_grad():
        for weight, drawn, bias, drawn_bias in _layers(model, fresh):
            factor = how.shrink if how.kind == SHRINK_PERTURB else _rescaling(weight, drawn, how.perturb)
            for own, other in ((weight, drawn), (bias, drawn_bias)):
                if factor is not None and own is not None and other is not None:
                    own.mul_(factor).add_(other, alpha=how.perturb)


def _rescaling(weight: Tensor, drawn: Tensor, share: float) -> Tensor | None:
    """The factor of a layer's weights beside a share of fresh ones; None where either has no length."""
    norm, wanted = torch.linalg.vector_norm(weight), torch.linalg.vector_norm(drawn)
    return sqrt(1 - share**2) * wanted / norm if norm > 0 and wanted > 0 else None


def scale_outgoing(model: nn.Module, group: Group, neurons: int, factor: float) -> None:
    """Multiply the outgoing weights of a group's first ``neurons`` neurons, in place."""
    for slot in group.consumers:
        tensor = tensor_of(model, slot.tensor).data
        places = slot.owned(group.name, slot.widths(model))[:neurons].flatten().to(tensor.device)
        tensor.movedim(slot.dim, 0)[places] *= factor


def _layers(model: nn.Module, fresh: nn.Module) -> Iterator[tuple[Tensor, Tensor, Tensor | None, Tensor | None]]:
    """Trained weights and the fresh ones, each with the biases of its module; no normalisation is among them.

    What several modules share is the first one's.
    """
    seen: set[Tensor] = set()
    for path, module in model.named_modules():
        trained = {name: one for name, one in module.named_parameters(recurse=False) if one.requires_grad}
        own = {name: one for name, one in trained.items() if one not in seen}
        seen.update(own.values())
        drawn = dict(fresh.get_submodule(path).named_parameters(recurse=False))
        if _normalises(module):
            continue
        for name, weight in own.items():
            partner = name.replace("weight", "bias") if "weight" in name else ""
            if name.replace("bias", "weight") in own and "bias" in name:
                continue  # goes with its weight
            yield weight, drawn[name], own.get(partner), drawn.get(partner)


def _normalises(module: nn.Module) -> bool:
    """Whether what a module has of its own are scales and shifts of a normalisation."""
    if isinstance(module, NORMALISES):
        return True
    return not isinstance(module, nn.PReLU) and all(one.dim() < 2 for one in module.parameters(recurse=False))
