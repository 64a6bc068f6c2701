"""Carry out searches for spectra: one on its operator's own batches, or many that share their passes of the sample.

A search that says what it knows on the way may be left there, and taken up again for some of its neurons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bench.curvature.operator import Batch, Operator
from bench.curvature.passes import Curvature
from bench.curvature.spectrum import STEPS, Answer, Ask, Eigensolver, Estimate, Search, Spectrum
from bench.network.groups import Group


class Running:
    """A search that is being carried out.

    Args:
        started: The search, or its outcome.
        operator: Makes the products.
        waits: Whether it is left where it says what it knows, until told with which neurons to go on.

    Attributes:
        ask: What it asks for.
        estimate: What it knows, where it was left; None while under way and at its end.
        found: Its outcome; None until then.
    """

    ask: Ask

    def __init__(self, started: Search | Spectrum, operator: Operator, waits: bool = False) -> None:
        self.operator, self.is_to_wait = operator, waits
        self.found: Spectrum | None = None
        self.estimate: Estimate | None = None
        if isinstance(started, Spectrum):
            self.found = started
        else:
            self.search = started
            self._send(None)

    @property
    def is_under_way(self) -> bool:
        """Whether it asks for products."""
        return self.found is None and self.estimate is None

    @property
    def settled(self) -> Tensor:
        """Neurons whose eigenpairs have been found, of a search that is not under way; shape ``(n,)``."""
        if self.estimate is not None:
            return self.estimate.settled
        return torch.ones(self.operator.neurons, dtype=torch.bool)

    def spectrum(self) -> Spectrum:
        """What has been found, of a search that is not under way."""
        found = self.found if self.estimate is None else self.estimate.likely
        assert found is not None
        return found

    def optimistic(self, but: Sequence[int]) -> Spectrum:
        """The widest spectra that there may be, and what has been found of some neurons."""
        return self.spectrum() if self.estimate is None else self.estimate.optimistic(but)

    def go_on(self, neurons: Tensor) -> None:
        """Take up the search where it was left, for these neurons."""
        self.estimate = None
        self._send(neurons)

    def _send(self, answer: Answer | Tensor | None) -> None:
        """Answer what was asked, if anything was, and hear what is asked next."""
        try:
            heard = self.search.send(answer)
            while isinstance(heard, Estimate) and not self.is_to_wait:
                heard = self.search.send(None)
        except StopIteration as end:
            self.found = end.value
            return
        if isinstance(heard, Estimate):
            self.estimate = heard
        else:
            self._hear(heard, answer if isinstance(answer, Answer) else None)

    def _hear(self, ask: Ask, answer: Answer | None) -> None:
        within_pass = answer is not None and not answer.last
        self.waits = within_pass and (ask.examples is None or ask.examples != self.ask.examples)
        self.ask = ask
        self.total: Tensor | float = 0.0
        self.share = 0.0

    @property
    def cut(self) -> int | None:
        """Where the batches of the next pass are to end: at multiples of so many examples, or anywhere."""
        return self.ask.examples

    def on(self, batch: Batch) -> None:
        """Go on by one batch of a pass over the sample.

        What is asked of the whole sample, or of mini-batches of another size, waits for a pass to begin.
        """
        if not self.is_under_way:
            return
        if self.waits:
            self.waits = not batch.last
            return
        self.total = total = self.total + self.operator.on_batch(batch, self.ask.vectors, self.ask.neurons)
        self.share += batch.share
        if self.ask.examples is None:
            if batch.last:
                self._send(Answer(total, True))
        elif batch.last or batch.done % self.ask.examples == 0:
            self._send(Answer(total / self.share, batch.last))


def alone(started: Search | Spectrum, operator: Operator) -> Spectrum:
    """Carry out a search on the operator's own batches, to its end."""
    return _carried_out(Running(started, operator)).spectrum()


def _carried_out(search: Running) -> Running:
    while search.is_under_way:
        for batch in search.operator.batches(search.cut):
            search.on(batch)
    return search


def carry_out_together(searches: Mapping[str, Running], curvature: Curvature) -> None:
    """Go on with searches in several groups until none is under way, sharing each pass over the sample.

    Args:
        searches: By the group's name.
        curvature: Makes the batches.
    """
    while under_way := [name for name, one in searches.items() if one.is_under_way]:
        cut = searches[under_way[0]].cut
        sharing = [name for name in under_way if searches[name].cut in (None, cut)]
        for batches in curvature.batches(sharing, cut):
            for name, batch in batches.items():
                searches[name].on(batch)


def solve(
    eigensolver: Eigensolver,
    curvature: Curvature,
    group: Group,
    open_groups: Sequence[Group],
    generator: torch.Generator,
    waits: bool = False,
) -> dict[str, Running]:
    """Search the spectra of a group, and of those open groups that can share its passes over the sample.

    Groups are solved together where the sample does not fit into memory, as many as there is memory for their searches.

    Args:
        eigensolver: Starts the searches.
        curvature: The operators.
        group: Whose spectrum is wanted.
        open_groups: Groups not yet solved, the wanted one among them.
        generator: Draws the starting vectors, on the CPU.
        waits: As in `Running`.
    """
    if curvature.fits(group):
        operator = curvature.operator(group)
        return {group.name: _carried_out(Running(eigensolver(operator, generator), operator, waits))}
    left, chosen = curvature.memory - search_bytes(curvature, group), [group]
    for other in (g for g in open_groups if g is not group and not curvature.fits(g)):
        left -= search_bytes(curvature, other)
        if left > 0:
            chosen.append(other)
    operators = {g.name: curvature.operator(g) for g in chosen}
    searches = {name: Running(eigensolver(one, generator), one, waits) for name, one in operators.items()}
    carry_out_together(searches, curvature)
    return searches


def go_on(searches: Mapping[str, Running], wanted: Mapping[str, Tensor], curvature: Curvature) -> None:
    """Take up searches again until further neurons are settled, in few passes over the sample.

    Args:
        searches: By the group's name; none under way.
        wanted: Indices of the neurons, by the group's name.
        curvature: Makes the batches.
    """
    taken_up = {name: searches[name] for name in searches if name in wanted}
    for name, search in taken_up.items():
        search.go_on(wanted[name])
    fitting = [name for name in taken_up if curvature.fits(curvature.graph.groups[name])]
    for name in fitting:
        _carried_out(taken_up.pop(name))
    carry_out_together(taken_up, curvature)


def search_bytes(curvature: Curvature, group: Group) -> float:
    """What a search in a group holds, as most of them take so many products."""
    return STEPS * curvature.operator(group).like.nbytes
