"""Learning rates of their own for weights that were born later: by age, after every step of the optimiser.

Neurons are appended as they are born, so the widths after each growth event tell every weight's age: that of the
youngest neuron it belongs to. A step is scaled by the weight's factor,

    theta <- before + factor * (theta - before),

which for any optimiser is a learning rate of its own. The factor is a number, for what was born in the last event, or
``norm``: ``||W_t|| / ||W_0||`` for what was born in event t, with ``W_t`` the weights of one tensor born then (variance
transfer, arXiv 2306.12700, section 3.2). Over a warm-up the factor of the last event's rises from zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from bench.network.groups import Group, tensor_of


class NewbornRates:
    """Scales the steps of one stage's training.

    Args:
        model: The network.
        groups: Its groups.
        widths: Neurons of each group at each stage since the seed, or since a restart; the last are those of now.
        rate: Factor of the last event's weights, or ``norm``.
        warmup: Fraction of the stage over which that rises from zero.
    """

    def __init__(
        self,
        model: nn.Module,
        groups: Iterable[Group],
        widths: Sequence[Mapping[str, int]],
        rate: float | str,
        warmup: float = 0.0,
    ) -> None:
        self.rate, self.warmup, self.last = rate, warmup, len(widths) - 1
        self.ages = {parameter: age for parameter, age in ages(model, groups, widths).items() if bool(age.any())}
        self.before: dict[nn.Parameter, Tensor] = {}
        self.factors: dict[nn.Parameter, Tensor] = {}

    def hold(self) -> None:
        """Remember the weights before a step."""
        self.before = {parameter: parameter.detach().clone() for parameter in self.ages}

    @torch.no_grad()
    def scale(self, progress: float) -> None:
        """Scale the step that was made.

        Args:
            progress: Share of the stage that is done, from 0 to 1.
        """
        if not self.factors:
            self.factors = {parameter: self._factors(parameter) for parameter in self.ages}
        rising = min(1.0, progress / self.warmup) if self.warmup else 1.0
        for parameter, before in self.before.items():
            factors = self.factors[parameter]
            if rising < 1:
                factors = torch.where(self.ages[parameter] == self.last, factors * rising, factors)
            parameter.copy_(torch.lerp(before, parameter, factors))

    def renew(self) -> None:
        """Measure the norms again, at the start of an epoch."""
        self.factors = {}

    def _factors(self, parameter: nn.Parameter) -> Tensor:
        age, factors = self.ages[parameter], torch.ones_like(parameter)
        if not isinstance(self.rate, str):
            factors[age == self.last] = self.rate
            return factors
        seed = torch.linalg.vector_norm(parameter.detach()[age == 0])
        for born in range(1, self.last + 1):
            own = age == born
            if bool(own.any()) and seed > 0:
                factors[own] = torch.linalg.vector_norm(parameter.detach()[own]) / seed
        return factors


def ages(model: nn.Module, groups: Iterable[Group], widths: Sequence[Mapping[str, int]]) -> dict[nn.Parameter, Tensor]:
    """The growth event in which each weight was born, 0 for the seed's, shaped as the parameter, by parameter."""
    found = {
        parameter: torch.zeros_like(parameter, dtype=torch.int16)
        for parameter in model.parameters()
        if parameter.requires_grad
    }
    for group in groups:
        born = torch.zeros(widths[-1][group.name], dtype=torch.int16)
        for event, before in enumerate(widths[:-1], start=1):
            born[before[group.name] :] = event
        for slot in (*group.rows, *group.consumers):
            tensor = tensor_of(model, slot.tensor)
            if not isinstance(tensor, nn.Parameter) or tensor not in found:
                continue
            places = slot.owned(group.name, slot.widths(model)).to(tensor.device)
            along = torch.zeros(tensor.shape[slot.dim], dtype=torch.int16, device=tensor.device)
            along[places.flatten()] = born.to(tensor.device)[:, None].expand_as(places).flatten()
            shape = [1] * tensor.dim()
            shape[slot.dim] = -1
            found[tensor] = torch.maximum(found[tensor], along.reshape(shape))
    return found
