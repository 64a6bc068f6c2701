"""Passes over the sample: they make the batches that splitting operators multiply with, and hold what fits in memory.

What a product needs is held for the whole sample as long as ``memory`` allows, and made again batch by batch where it
does not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod, sqrt

import torch
from torch import Tensor, fx

from bench.core.errors import BenchError
from bench.core.record import EXACT
from bench.curvature.capture import Values, capture
from bench.curvature.chain import Chain
from bench.curvature.hessian import ChainHessian, held
from bench.curvature.maps import linear_map
from bench.curvature.operator import Batch, Operator
from bench.curvature.sample import Sample
from bench.curvature.surrogate import KINKS, TIES
from bench.curvature.ties import contest, moved
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


def example_bytes(graph: Graph) -> dict[fx.Node, float]:
    """Bytes of the tensors that each node makes of one example."""
    size, widths = next(graph.model.parameters()).element_size(), graph.widths()
    return {
        node: size * sum(prod(length(axis, widths) for axis in layout) for layout in layouts) / COUNTED
        for node, layouts in graph.layouts.items()
        if node not in graph.program.names
    }


def multiply_adds(graph: Graph) -> dict[fx.Node, float]:
    """Of each node that has some, for one example."""
    widths = graph.widths()
    return {
        node: sum(prod(length(axis, widths) for axis in axes) for axes in products) / COUNTED
        for node, products in graph.macs.items()
    }


def pass_flops(graph: Graph, reads: Collection[tuple[fx.Node, fx.Node]]) -> float:
    """Floating-point operations of one example's pass: forward, and back to what some readers read.

    Args:
        graph: The network's.
        reads: The readers, as (what is read, reader).
    """
    macs, behind, total = multiply_adds(graph), set[fx.Node](), 0.0
    for node in graph.program.nodes.nodes:
        ways = sum(source in behind or (source, node) in reads for source in node.all_input_nodes)
        if ways:
            behind.add(node)
        total += 2 * macs.get(node, 0.0) * (1 + min(ways, 2))  # each product has two factors
    return total


def batch_size(example_bytes: Mapping[fx.Node, float], sample: Sample, memory: float) -> int:
    """Examples in a batch, for a pass over the sample that holds a quarter of the memory at most."""
    network = 3 * sum(example_bytes.values())
    most = BATCH if sample.inputs.device.type == "cpu" else BATCH_ON_DEVICE
    return int(min(max(memory / 4 // max(network, 1), 1), most, len(sample)))


class Curvature:
    """Splitting operators of a model's groups on one sample.

    Args:
        graph: The model's graph.
        sample: The examples.
        form: ``definition`` or ``published`` (the textbook form, up to the first activation).
        memory: Bytes to hold at most for products; beyond it, batches are made again for each product.
        step: Step by which neurons will be displaced: how close a tie of max pooling counts; 0 leaves ties out.
        relative: Whether the step is in units of each neuron's norm.

    Attributes:
        chains: The chain of each group, by name.
        passes: Passes over the sample so far, forward and backward.
        wider: Those of them with a network that has null neurons, whose operations are in ``counted``.
        counted: Floating-point operations besides those of the other passes and of products.
        batch_size: Examples in a batch at most.
    """

    def __init__(
        self,
        graph: Graph,
        sample: Sample,
        form: str = "definition",
        memory: float = 2 * 2**30,
        step: float = 0.0,
        relative: bool = False,
    ) -> None:
        self.graph, self.sample, self.memory = graph, sample, memory
        self.step, self.relative = step, relative
        self.chains = {
            name: Chain(graph, group, form == "published", ties=step > 0) for name, group in graph.groups.items()
        }
        self._operators: dict[str, Operator] = {}
        self._held: dict[str, list[Batch]] = {}
        self._cut: int | None = None
        self._narrow = {name for name, chain in self.chains.items() if chain.ties}
        """Groups whose ties have no width yet."""
        self.passes, self.wider, self.counted = 0, 0, 0.0
        self._example_bytes = example_bytes(graph)
        self.batch_size = batch_size(self._example_bytes, sample, memory)

    @property
    def surrogate(self) -> str | None:
        """Names of the surrogate second derivatives in use, None where all is smooth."""
        chains = self.chains.values()
        used = {KINKS: any(c.kinked for c in chains), TIES: any(c.ties for c in chains)}
        return ", ".join(name for name, is_used in used.items() if is_used) or None

    def trust(self, names: Iterable[str]) -> str:
        """How far to trust what S says of some groups: ``second order``, or what stands in or is left out."""
        chains = [self.chains[name] for name in names]
        limits = {
            "kinks": any(chain.kinked for chain in chains),
            "max pooling": any(chain.ties for chain in chains),
            "textbook form": any(chain.cut for chain in chains),
        }
        return ", ".join(name for name, there in limits.items() if there) or EXACT

    @property
    def products(self) -> int:
        """Products with a layer's operator over the whole sample so far."""
        return sum(operator.products for operator in self._operators.values())

    def flops(self, macs: float) -> float:
        """Floating-point operations so far, for a network of ``macs`` multiply-adds: passes and products."""
        products = sum(operator.flops for operator in self._operators.values())
        return 6 * macs * len(self.sample) * (self.passes - self.wider) + products + self.counted

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
            loss = partial(self.loss, targets=targets, share=share)
            done += len(inputs)
            yield Swept(share, done, done == len(self.sample), *capture(self.graph, chains, inputs, loss))

    def loss(self, outputs: Tensor, targets: Tensor, share: float) -> Tensor:
        """A batch's share of the sample's loss."""
        loss = self.sample.loss(outputs, targets)
        if not loss.isfinite():
            raise BenchError(f"the loss on the sample is {loss.item()} before growing; try a lower train.lr")
        return loss * share

    def batches(self, names: Sequence[str], cut: int | None = None) -> Iterator[dict[str, Batch]]:
        """One pass over the sample, cut as in `sweep`: each batch's `Batch` by group name, nothing held."""
        self._widen()
        for swept in self.sweep(names, cut):
            yield {name: self._batch(name, swept) for name in names}

    def _widen(self) -> None:
        """Find, in one pass, how far a step moves the gaps of ties (`bench.curvature.ties`)."""
        names, self._narrow = sorted(self._narrow), set()
        if not names:
            return
        sums = {name: {step.output: (0.0, 0) for step in self.chains[name].ties} for name in names}
        for swept in self.sweep(names):
            for name in names:
                for node, (squares, count) in self._moves(name, swept).items():
                    before = sums[name][node]
                    sums[name][node] = before[0] + squares, before[1] + count
        for name in names:
            d = self.operator(self.graph.groups[name]).size
            widths = {node: sqrt(d * squares / max(count, 1)) / 2 for node, (squares, count) in sums[name].items()}
            self.chains[name].widen(widths)

    @torch.no_grad()
    def _moves(self, name: str, swept: Swept) -> dict[fx.Node, tuple[float, int]]:
        """Summed squares of the moves of a group's gaps, and their number, when each neuron takes a random step."""
        chain, operator = self.chains[name], self.operator(self.graph.groups[name])
        random = torch.Generator().manual_seed(0)
        v = torch.randn(operator.neurons, operator.size, generator=random, dtype=torch.float64)
        v = torch.nn.functional.normalize(v, dim=1).to(operator.like)
        if self.relative:
            v *= torch.linalg.vector_norm(operator.like, dim=1, keepdim=True)
        parts = torch.split(v, [layer.size for layer in operator.layers], dim=1)
        zs, given = [swept.values[n] for n in chain.sources], {n: swept.values[n] for n in chain.given}
        pairs = zip(operator.layers, chain.inputs, strict=True)
        tangents = [m.forward(m.prepare(swept.values[n]), part) for (m, n), part in zip(pairs, parts, strict=True)]
        here = chain.values(zs, given)
        there = chain.values([z + self.step * t for z, t in zip(zs, tangents, strict=True)], given)
        found = {}
        for step in chain.ties:
            (node,), picks = step.inputs, step.picks
            assert picks is not None
            contested = contest(here[node], picks)
            change = (moved(there[node], picks, contested) - contested.gap)[contested.gap.isfinite()]
            found[step.output] = float(change.square().sum()), change.numel()
        return found

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
        return float(sum(self._example_bytes.get(n, 0.0) for n in nodes) * len(self.sample))  # parameters take none
