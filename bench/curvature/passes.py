"""Passes over the sample: they make the batches that splitting operators multiply with, and hold what fits in memory.

What a product needs is held for the whole sample as long as ``memory`` allows, and made again batch by batch where it
does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import torch
from torch import Tensor

from bench.core.errors import BenchError
from bench.curvature.capture import Values, capture
from bench.curvature.chain import Chain
from bench.curvature.hessian import ChainHessian, held
from bench.curvature.maps import linear_map
from bench.curvature.operator import Batch, Operator
from bench.curvature.sample import Sample
from bench.curvature.surrogate import SURROGATE
from bench.network.graph import Graph
from bench.network.groups import Group, length, theta
from bench.network.program import BATCH as COUNTED

FORMS = ("definition", "published")

BATCH = 64
"""Examples in a batch of the sample on the CPU: a layer's tensors stay near the size of the caches."""
BATCH_ON_DEVICE = 512


@dataclass(frozen=True, eq=False)
class Swept:
    """What a pass leaves of one batch.

    Attributes:
        share: Its examples as a share of the sample's.
        done: Examples of the pass up to its end.
        last: Whether the pass ends with it.
        values: Tensors at the inputs, sources and ends of the chains, and what they take as given.
        gradients: ``g_k = dL/du_k`` at the ends, with L the mean over the sample.
    """

    share: float
    done: int
    last: bool
    values: Values
    gradients: Values


class Curvature:
    """Splitting operators of a model's groups on one sample.

    Args:
        graph: The model's graph.
        sample: The examples.
        form: ``definition`` or ``published`` (the textbook form, up to the first activation).
        memory: Bytes to hold at most for products; beyond it, batches are made again for each product.

    Attributes:
        chains: The chain of each group, by name.
        passes: Passes over the sample so far, forward and backward.
        batch_size: Examples in a batch at most.
    """

    def __init__(self, graph: Graph, sample: Sample, form: str = "definition", memory: float = 2 * 2**30) -> None:
        self.graph, self.sample, self.memory = graph, sample, memory
        self.chains = {name: Chain(graph, group, form == "published") for name, group in graph.groups.items()}
        self._operators: dict[str, Operator] = {}
        self._held: dict[str, list[Batch]] = {}
        self._cut: int | None = None
        self.passes = 0
        size, widths = next(graph.model.parameters()).element_size(), graph.widths()
        self._example_bytes = {
            node: size * sum(prod(length(axis, widths) for axis in layout) for layout in layouts) / COUNTED
            for node, layouts in graph.layouts.items()
            if node not in graph.program.names
        }
        network = 3 * sum(self._example_bytes.values())
        most = BATCH if sample.inputs.device.type == "cpu" else BATCH_ON_DEVICE
        self.batch_size = int(min(max(memory / 4 // max(network, 1), 1), most, len(sample)))

    @property
    def surrogate(self) -> str | None:
        """Name of the surrogate second derivative in use, None where all activations are smooth."""
        return SURROGATE if any(chain.surrogate for chain in self.chains.values()) else None

    @property
    def products(self) -> int:
        """Products with a layer's operator over the whole sample so far."""
        return sum(operator.products for operator in self._operators.values())

    def flops(self, macs: float) -> float:
        """Floating-point operations so far, for a network of ``macs`` multiply-adds: passes and products."""
        return 6 * macs * len(self.sample) * self.passes + sum(o.flops for o in self._operators.values())

    def operator(self, group: Group) -> Operator:
        """The operator of a group. Its batches are held until another group needs the memory."""
        if group.name not in self._operators:
            nodes = self.chains[group.name].sources
            layers = [linear_map(self.graph, n, group, p) for n, p in zip(nodes, group.producers, strict=True)]
            batches, like = partial(self._batches, group), theta(self.graph.model, group)
            self._operators[group.name] = Operator(layers, batches, like, group.name)
        return self._operators[group.name]

    # -- passes -------------------------------------------------------------------------------------

    def sweep(self, names: Sequence[str], cut: int | None = None) -> Iterator[Swept]:
        """One pass over the sample, forward and backward, for the chains of the groups of these names.

        Args:
            names: The groups'.
            cut: As in `Sample.batches`.

        Raises:
            BenchError: The loss is not finite.
        """
        self.passes += 1
        chains, done = [self.chains[name] for name in names], 0
        for inputs, targets in self.sample.batches(self.batch_size, cut):
            share = len(inputs) / len(self.sample)
            loss = partial(self._loss, targets=targets, share=share)
            done += len(inputs)
            yield Swept(share, done, done == len(self.sample), *capture(self.graph, chains, inputs, loss))

    def _loss(self, outputs: Tensor, targets: Tensor, share: float) -> Tensor:
        loss = self.sample.loss(outputs, targets)
        if not loss.isfinite():
            raise BenchError(f"the loss on the sample is {loss.item()} before growing; try a lower train.lr")
        return loss * share

    def batches(self, names: Sequence[str], cut: int | None = None) -> Iterator[dict[str, Batch]]:
        """One pass over the sample, cut as in `sweep`: each batch's `Batch` by group name, nothing held."""
        for swept in self.sweep(names, cut):
            yield {name: self._batch(name, swept) for name in names}

    def _batch(self, name: str, swept: Swept) -> Batch:
        chain, layers = self.chains[name], self.operator(self.graph.groups[name]).layers
        inputs = tuple(layer.prepare(swept.values[n]) for layer, n in zip(layers, chain.inputs, strict=True))
        outputs = [swept.values[n] for n in chain.sources]
        given = {n: swept.values[n] for n in chain.given}
        hessian = ChainHessian(chain, outputs, [swept.gradients[n] for n in chain.ends], given)
        if chain.diagonal and len(layers) == 1:
            diagonal = hessian.product([torch.ones_like(outputs[0])])[0]
            return Batch(swept.share, swept.last, inputs, diagonal, swept.done)
        return Batch(swept.share, swept.last, inputs, hessian, swept.done)

    # -- memory -------------------------------------------------------------------------------------

    def fits(self, group: Group) -> bool:
        """Whether the memory holds what products with the group's S need."""
        return self._bytes(group.name) <= self.memory

    def release(self) -> None:
        """Let go of what is held; it is collected again if a product is asked for."""
        self._held.clear()

    def _batches(self, group: Group, cut: int | None = None) -> Iterator[Batch]:
        as_cut = group.name in self._held and cut in (None, self._cut)
        if not as_cut and self.fits(group):
            self._hold(group, cut)
        if group.name in self._held:
            yield from self._held[group.name]
        else:
            for batches in self.batches([group.name], cut):
                yield batches[group.name]

    def _hold(self, group: Group, cut: int | None) -> None:
        """Make place, and hold the batches of the group and of those after it that fit beside it."""
        self._held.clear()
        self._cut = cut
        names = list(self.chains)
        left, chosen = self.memory, []
        for name in names[names.index(group.name) :]:
            left -= self._bytes(name)
            if left < 0:
                break
            chosen.append(name)
        held: dict[str, list[Batch]] = {name: [] for name in chosen}
        for batches in self.batches(chosen, cut):
            for name, batch in batches.items():
                held[name].append(batch)
        self._held = held

    def _bytes(self, name: str) -> float:
        chain = self.chains[name]
        alone = chain.diagonal and len(chain.sources) == 1
        nodes = [*chain.inputs, *chain.given, *(chain.sources if alone else held(chain))]
        return float(sum(self._example_bytes[n] for n in nodes) * len(self.sample))
