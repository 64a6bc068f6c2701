"""Carry out searches for spectra: one on its operator's own batches, or many that share their passes of the sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bench.curvature.operator import Batch, Operator
from bench.curvature.passes import Curvature
from bench.curvature.spectrum import STEPS, Answer, Ask, Eigensolver, Search, Spectrum
from bench.network.groups import Group


class Running:
    """A search that is being carried out.

    Args:
        started: The search, or its outcome.
        operator: Makes the products.

    Attributes:
        ask: What it asks for.
        found: Its outcome; None until then.
    """

    ask: Ask

    def __init__(self, started: Search | Spectrum, operator: Operator) -> None:
        self.operator = operator
        self.found: Spectrum | None = None
        if isinstance(started, Spectrum):
            self.found = started
        else:
            self.search = started
            self._send(None)

    def _send(self, answer: Answer | None) -> None:
        """Answer what was asked, if anything was, and hear what is asked next."""
        try:
            self._hear(next(self.search) if answer is None else self.search.send(answer), answer)
        except StopIteration as end:
            self.found = end.value

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
        if self.found is not None:
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
    """Carry out a search on the operator's own batches."""
    running = Running(started, operator)
    while running.found is None:
        for batch in operator.batches(running.cut):
            running.on(batch)
    return running.found


def together(started: Mapping[str, Search | Spectrum], curvature: Curvature) -> dict[str, Spectrum]:
    """Carry out searches in several groups, sharing each pass over the sample.

    Args:
        started: By the group's name.
        curvature: Makes the batches.
    """
    groups = curvature.graph.groups
    running = {name: Running(search, curvature.operator(groups[name])) for name, search in started.items()}
    while under_way := [name for name, one in running.items() if one.found is None]:
        cut = running[under_way[0]].cut
        sharing = [name for name in under_way if running[name].cut in (None, cut)]
        for batches in curvature.batches(sharing, cut):
            for name, batch in batches.items():
                running[name].on(batch)
    return {name: one.found for name, one in running.items() if one.found is not None}


def solve(
    eigensolver: Eigensolver,
    curvature: Curvature,
    group: Group,
    open_groups: Sequence[Group],
    generator: torch.Generator,
) -> dict[str, Spectrum]:
    """The spectra of a group, and of those open groups that can share its passes over the sample.

    Groups are solved together where the sample does not fit into memory, as many as there is memory for their searches.

    Args:
        eigensolver: Starts the searches.
        curvature: The operators.
        group: Whose spectrum is wanted.
        open_groups: Groups not yet solved, the wanted one among them.
        generator: Draws the starting vectors, on the CPU.
    """
    if curvature.fits(group):
        operator = curvature.operator(group)
        return {group.name: alone(eigensolver(operator, generator), operator)}
    left, chosen = curvature.memory, [group]
    for other in (g for g in open_groups if g is not group and not curvature.fits(g)):
        left -= STEPS * curvature.operator(other).like.nbytes
        if left > 0:
            chosen.append(other)
    return together({g.name: eigensolver(curvature.operator(g), generator) for g in chosen}, curvature)
