"""What new neurons need of a sample: how the loss changes with their incoming and outgoing weights together.

A null neuron, whose parameters and outgoing weights are zero, is a saddle of the loss: nothing but the product of both
changes it. With ``theta = epsilon * incoming`` and outgoing weights ``epsilon * outgoing`` (bench/MATHS.md, section 9)

    L(grown) - L = epsilon^2 / 2 * gain,      gain = 2 outgoing^T M incoming,      M = E[ r u^T ],

where r is the loss's gradient at what the consumers make, and u what a unit weight of each kind puts out: the input b
of the producer, pushed through the chain behind it at rest. Between two linear layers it is ``M = sigma'(0) E[r b^T]``;
a convolution takes patches, flattening takes blocks. ``E`` is the mean over the examples and the sum over positions.

What existing outgoing weights could do as well is taken out of ``v = -r`` by least squares:

    v_perp = v - E[v h^T] E[h h^T]^-1 h,      N = E[ v_perp u^T ],      S = E[ b b^T ],

with h what the consumers read, and 1 where they have a bias (TINY, arXiv 2405.19816, section 3).

At rest a kink has the mean slope of its two sides, and maximum pooling takes the mean of its window: the parts that are
linear in the weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor, fx

from bench.core.errors import BenchError
from bench.curvature.capture import capture
from bench.curvature.chain import Chain, Given, Step
from bench.curvature.hessian import pushed
from bench.curvature.maps import ConvMap, LinearMap, linear_map
from bench.curvature.passes import Curvature, batch_size, example_bytes, multiply_adds, pass_flops
from bench.curvature.ties import flat
from bench.network.graph import Graph
from bench.network.groups import Group, Slot, outgoing, tensor_of, theta
from bench.network.plan import Birth, GrowthPlan
from bench.network.program import arguments, of_each_input, operation
from bench.network.surgery import apply

TOGETHER = 256
"""Unit weights that are pushed through the chain at once."""
ASIDE = 1e-12
"""How far from rest both sides of a kink are looked at."""
RANK = 1e-9
"""Share of the largest singular value below which a direction of what the consumers read is none."""
QUIET = 1e-6
"""Share of the largest output up to which a null neuron puts out nothing."""
STIR, LOUD = 1e-8, 1e-3
"""Where a null neuron that makes a share of `STIR` of what others make puts out one of `LOUD`, births are not small,
however short a step: as behind a division by the length."""
PUSHED = {"linear": 2, "general": 5}
"""How often a step's multiply-adds are made when values and tangents go through it, by its form."""


class Pair:
    """Statistics of births in one group, each computed when first asked for; in the parameters' dtype.

    Args:
        curvature: Of the network; the passes are counted there.
        group: The group.
    """

    def __init__(self, curvature: Curvature, group: Group) -> None:
        self.curvature, self.group, self.sample = curvature, group, curvature.sample
        graph = curvature.graph
        self.neurons, self.size = theta(graph.model, group).shape
        self.outgoing_size = outgoing(graph.model, group).shape[1]
        self._together = min(self.size, TOGETHER)
        self._grown = _with_null(graph, group, self._together)
        self._batch_size = batch_size(example_bytes(self._grown), self.sample, curvature.memory)
        self._chain = Chain(self._grown, group)
        nodes = zip(self._chain.sources, group.producers, strict=True)
        self._layers = [linear_map(self._grown, node, group, producer) for node, producer in nodes]
        self._columns = _columns(self._grown, group, self.neurons)
        uses = {layer.weight: node for node, layer in self._grown.layers.items()}
        self._consumers = [
            _Consumer(self._grown, uses[slot.tensor], slot, group.name, self.neurons) for slot in group.consumers
        ]
        self._probe = _Probe(self._chain, self._consumers)
        self._pass_flops = pass_flops(self._grown, self._probe.reads)
        self._macs = multiply_adds(self._grown)

    @property
    def M(self) -> Tensor:
        """``E[r u^T]``, shape ``(D, d)``: the loss's second derivative by outgoing and incoming weights at rest."""
        return self._first.mixed

    @property
    def S(self) -> Tensor:
        """``E[b b^T]``, shape ``(d, d)``; between different producers, or different rows of a neuron, zero."""
        return self._first.inputs

    @cached_property
    def N(self) -> Tensor:
        """``E[v_perp u^T]``, shape ``(D, d)``."""
        fits = [_least_squares(read, made) for read, made in zip(self._first.read, self._first.reached, strict=True)]
        found = self.M.new_zeros(self.outgoing_size, self.size)
        for batch in self._batches():
            left = []
            for consumer, x, r, fit in zip(self._consumers, batch.read, batch.gradients, fits, strict=True):
                left.append(-r - consumer.combined(x, fit, r))
                self._count(r.numel() * len(fit))
            found += self._reached(batch, left)
        return found

    def whitened(self, matrix: Tensor) -> Tensor:
        """``G^-1/2`` times a matrix ``(D, k)``, with ``G = E[r r^T]`` of each consumer, shape ``(D, k)``."""
        found, at = [], 0
        for consumer, squares in zip(self._consumers, self._first.gradients, strict=True):
            own = matrix[at : at + consumer.entries]
            entries = own.reshape(consumer.block, len(squares), -1, own.shape[1])
            root = root_of_inverse(squares.to(matrix))
            found.append(torch.einsum("op,bpek->boek", root, entries).flatten(0, 2))
            at += consumer.entries
        return torch.cat(found)

    @property
    def score(self) -> float:
        """The consumers' natural expansion score ``tr(G^-1 E[r h^T] E[h h^T]^-1 E[h r^T])`` as they are."""
        parts = zip(self._first.read, self._first.reached, self._first.gradients, strict=True)
        halves = [
            root_of_inverse(read.double()) @ reached.double() @ root_of_inverse(made.double())
            for read, reached, made in parts
        ]
        return float(sum(half.square().sum() for half in halves))

    @property
    def rounding(self) -> float:
        """What N may be off by, in the spectral norm: it is what is left of sums as large as M."""
        return 100 * torch.finfo(self.M.dtype).eps * float(torch.linalg.matrix_norm(self.M, 2))

    @property
    def is_quiet(self) -> bool:
        """Whether a null neuron puts out nothing, and little after a short step: births change the loss by
        ``epsilon^2``."""
        return self._first.rest <= QUIET and self._first.stirred <= LOUD

    @property
    def is_linear(self) -> bool:
        """Whether what a null neuron puts out is linear in small incoming weights: no kink at rest, no maximum."""
        return not self._chain.kinked and all(step.picks is None for step in self._chain.steps)

    def gain(self, incoming: Tensor, outgoing: Tensor) -> Tensor:
        """What births gain: ``2 outgoing^T M incoming``, or where that is not linear what the directions themselves do.

        Args:
            incoming: Shape ``(k, d)``.
            outgoing: Shape ``(k, D)``.

        Returns:
            The change of the loss is ``epsilon^2 / 2`` times these, shape ``(k,)``.
        """
        if self.is_linear or not len(incoming):
            return 2 * ((outgoing @ self.M) * incoming).sum(1)
        found = incoming.new_zeros(len(incoming))
        for batch in self._batches():
            for part in self._parts(len(incoming)):
                put_out = self._at(batch, self._tangents(batch, self._of_null(incoming[part])), ASIDE, along=True)
                reached = self._by_consumers(batch.gradients, put_out)[: len(incoming[part])]
                found[part] += 2 * (outgoing[part] * reached).sum(1) / len(self.sample)
        return found

    def activity(self, incoming: Tensor) -> Tensor:
        """``E[u^2]`` of neurons with small incoming weights ``(k, d)``, the mean over the consumers, shape ``(k,)``."""
        found = incoming.new_zeros(len(incoming))
        for batch in self._batches():
            for part in self._parts(len(incoming)):
                put_out = self._linear(batch, self._of_null(incoming[part]))
                for consumer in self._consumers:
                    own = consumer.null(put_out[consumer.reads]).movedim(consumer.dim, 0)
                    sums = own.flatten(1).square().sum(1).reshape(-1, consumer.block).sum(1)
                    found[part] += sums[: len(incoming[part])] / (len(self.sample) * len(self._consumers))
        return found

    # -- passes -------------------------------------------------------------------------------------

    @cached_property
    def _first(self) -> _Moments:
        like = theta(self.curvature.graph.model, self.group)
        read, reached, gradients = ([like.new_zeros(()) for _ in self._consumers] for _ in range(3))
        mixed, full = like.new_zeros(self.outgoing_size, self.size), sum(layer.size for layer in self._layers)
        squares = like.new_zeros(full, full)
        moments = _Moments(mixed, squares, read, reached, gradients)
        for batch in self._batches():
            moments.mixed += self._reached(batch, batch.gradients)
            for at, layer, x in zip(self._offsets, self._layers, batch.inputs, strict=True):
                own, rows = slice(at, at + layer.size), layer.rows(x)
                squares[own, own] += _by_rows(layer, self._product(rows, rows)) / len(self.sample)
            for k, (consumer, x, r) in enumerate(zip(self._consumers, batch.read, batch.gradients, strict=True)):
                rows, made = consumer.parts(x), consumer.positions(r)
                moments.read[k] = moments.read[k] + self._product(rows, rows) / len(self.sample)
                moments.reached[k] = moments.reached[k] - self._product(rows, made) / len(self.sample)
                moments.gradients[k] = moments.gradients[k] + self._product(made, made) / len(self.sample)
            at_rest = {one.reads: x for one, x in zip(self._consumers, batch.read, strict=True)}
            moments.rest = max(moments.rest, self._loudest(at_rest))
            if any(step.form == "general" for step in self._chain.steps):
                moments.stirred = max(moments.stirred, self._loudest(self._stirred(batch)))
        moments.inputs = squares[self._columns][:, self._columns]
        sums = (moments.mixed, moments.inputs, *moments.read, *moments.reached, *moments.gradients)
        if not all(found.isfinite().all() for found in sums):
            where = f"{self.group.name}: what new neurons would gain is not finite on the sample"
            raise BenchError(f"{where}: gradients or activations overflow; try a lower train.lr")
        return moments

    @property
    def _offsets(self) -> list[int]:
        """Where each producer's parameters begin in a neuron's of the network with null neurons."""
        return [sum(layer.size for layer in self._layers[:k]) for k in range(len(self._layers))]

    def _batches(self) -> Iterator[_Batch]:
        curvature, chain, sample = self.curvature, self._chain, self.sample
        curvature.passes += 1
        curvature.wider += 1
        for inputs, targets in sample.batches(self._batch_size):
            share = len(inputs) / len(sample)
            loss = partial(curvature.loss, targets=targets, share=share)
            values, gradients = capture(self._grown, [self._probe], inputs, loss)
            curvature.counted += self._pass_flops * len(inputs)
            yield _Batch(
                [m.prepare(values[n]) for m, n in zip(self._layers, chain.inputs, strict=True)],
                [values[n] for n in chain.sources],
                {n: values[n] for n in chain.given},
                [values[consumer.reads] for consumer in self._consumers],
                [consumer.made(gradients[consumer.node]) * len(sample) for consumer in self._consumers],
            )

    def _count(self, macs: float) -> None:
        """Count multiply-adds besides those of passes."""
        self.curvature.counted += 2 * macs

    def _product(self, one: Tensor, two: Tensor) -> Tensor:
        """``one^T two``, counted."""
        self._count(one.numel() * two.shape[1])
        return one.T @ two

    def _parts(self, count: int) -> Iterator[slice]:
        """As many at a time as there are null neurons."""
        return (slice(start, min(start + self._together, count)) for start in range(0, count, self._together))

    def _of_null(self, incoming: Tensor) -> Tensor:
        """Directions of all neurons, shape ``(n + null, d)``: the first null ones have these, the others none."""
        directions = incoming.new_zeros(self.neurons + self._together, self.size)
        directions[self.neurons : self.neurons + len(incoming)] = incoming
        return directions

    def _reached(self, batch: _Batch, weights: Sequence[Tensor]) -> Tensor:
        """``E`` of the weights at what the consumers make, times what unit weights put out; shape ``(D, d)``."""
        found = []
        for part in self._parts(self.size):
            count = part.stop - part.start
            units = batch.values[0].new_zeros(count, self.size)
            units[:, part] = torch.eye(count)
            put_out = self._linear(batch, self._of_null(units))
            found.append(self._by_consumers(weights, put_out)[:count].T / len(self.sample))
        return torch.cat(found, dim=1)

    def _linear(self, batch: _Batch, directions: Tensor) -> dict[fx.Node, Tensor]:
        """What directions of shape ``(n + null, d)`` become in the chain, as far as that is linear in them."""
        tangents = self._tangents(batch, directions)
        put_out = self._at(batch, tangents, ASIDE if self._chain.kinked else 0.0)
        if self._chain.kinked:
            other = self._at(batch, tangents, -ASIDE)
            put_out = {node: (put_out[node] + other[node]) / 2 for node in put_out}
        return put_out

    def _by_consumers(self, weights: Sequence[Tensor], put_out: dict[fx.Node, Tensor]) -> Tensor:
        """Gradient of what is put out, times weights at what the consumers make, by their columns: ``(null, D)``."""
        self._count(sum(w.numel() * one.of_null.row for one, w in zip(self._consumers, weights, strict=True)))
        pairs = zip(self._consumers, weights, strict=True)
        return torch.cat([consumer.adjoint(put_out[consumer.reads], w) for consumer, w in pairs], dim=1)

    def _tangents(self, batch: _Batch, directions: Tensor) -> list[Tensor]:
        """What the producers make of directions of shape ``(n + null, d)``."""
        full = directions.new_zeros(len(directions), sum(layer.size for layer in self._layers))
        full[:, self._columns] = directions
        parts = torch.split(full, [layer.size for layer in self._layers], dim=1)
        made = [m.forward(x, part) for m, x, part in zip(self._layers, batch.inputs, parts, strict=True)]
        self._count(sum(t.numel() * layer.row for t, layer in zip(made, self._layers, strict=True)))
        return made

    def _at(
        self, batch: _Batch, tangents: Sequence[Tensor], aside: float, along: bool = False
    ) -> dict[fx.Node, Tensor]:
        """What tangents of the producers' outputs become in the chain.

        Args:
            batch: The batch.
            tangents: One for each producer.
            aside: How far from rest null neurons are: by so much, or ``along`` so much of their tangents.
            along: Which of the two; then maxima take the entry that the tangents raise most, else the window's mean.
        """
        values, moved = dict[fx.Node, Tensor](), dict(zip(self._chain.sources, tangents, strict=True))
        for layer, node, z in zip(self._layers, self._chain.sources, batch.values, strict=True):
            own, values[node] = layer.places[self.neurons :].flatten(), z.clone()
            way = moved[node].movedim(layer.channel_dim, 0)[own] if along else 1.0
            values[node].movedim(layer.channel_dim, 0)[own] = aside * way
        for step in self._chain.steps:
            inputs, ways = ([of[n] for n in step.inputs] for of in (values, moved))
            self._count(PUSHED.get(step.form, 0) * self._macs.get(step.output, 0.0) * len(inputs[0]))
            if step.picks is not None and not along:
                values[step.output] = step.function(inputs, batch.given)
                moved[step.output] = _mean_of_window(step, ways[0], values[step.output])
            else:
                values[step.output], moved[step.output] = pushed(step, inputs, ways, batch.given)
        return moved

    def _stirred(self, batch: _Batch) -> dict[fx.Node, Tensor]:
        """What the consumers read where null neurons have made a short step at random, others none."""
        random = torch.Generator().manual_seed(0)
        incoming = torch.randn(self._together, self.size, generator=random, dtype=torch.float64)
        made = self._tangents(batch, self._of_null(incoming.to(batch.values[0])))
        far = max(float(t.abs().max()) for t in made)
        near = STIR * max(float(z.abs().max()) for z in batch.values) / far if far else 0.0
        zs = [z + near * t for z, t in zip(batch.values, made, strict=True)]
        return self._chain.values(zs, batch.given)

    def _loudest(self, read: Mapping[fx.Node, Tensor]) -> float:
        """What null neurons put out, of what the consumers read, as a share of what the others do at most."""
        found = 0.0
        for consumer in self._consumers:
            null = consumer.null(read[consumer.reads]).abs().max()
            most = consumer.existing(read[consumer.reads]).abs().max().clamp(min=1e-30)
            found = max(found, float(null / most))
        return found


def bears(graph: Graph, group: Group) -> bool:
    """Whether a `Pair` can be had.

    The layers before and behind are linear or convolutions in one piece, and those before read something of each
    example.
    """
    uses = {layer.weight: node for node, layer in graph.layers.items()}
    made = [linear_map(graph, uses[p.weight.tensor], group, p).unfolds for p in group.producers]
    made += [of_each_input(uses[p.weight.tensor]) for p in group.producers]
    return all(made) and all(_in_one_piece(uses[slot.tensor]) for slot in group.consumers)


def _in_one_piece(node: fx.Node) -> bool:
    name = operation(node.target)
    return name == "linear" or (name == "conv2d" and arguments(node)["groups"] == 1)


@dataclass(eq=False)
class _Moments:
    """Sums over the sample.

    Attributes:
        mixed: M.
        inputs: S.
        read: ``E[h h^T]`` of each consumer.
        reached: ``E[h v^T]`` of each.
        gradients: ``E[r r^T]`` of each.
        rest: What null neurons put out, as a share.
        stirred: The same after a short step.
    """

    mixed: Tensor
    inputs: Tensor
    read: list[Tensor]
    reached: list[Tensor]
    gradients: list[Tensor]
    rest: float = 0.0
    stirred: float = 0.0


@dataclass(frozen=True, eq=False)
class _Batch:
    """What a pass leaves of one batch.

    Attributes:
        inputs: What each producer reads.
        values: What each makes.
        given: What else the chain reads.
        read: What each consumer reads.
        gradients: r at what each makes, of the loss of each example.
    """

    inputs: list[Tensor]
    values: list[Tensor]
    given: Given
    read: list[Tensor]
    gradients: list[Tensor]


class _Probe:
    """What `bench.curvature.capture` is to keep: as a chain, but for gradients at what the consumers make."""

    def __init__(self, chain: Chain, consumers: Sequence[_Consumer]) -> None:
        self.kept = [*chain.kept, *chain.ends]
        self.ends = [consumer.node for consumer in consumers]
        self.reads = {(node, user) for node in self.ends for user in node.users}


class _Consumer:
    """A layer that reads a group, as a linear map of its weight; the rows that are null neurons' own are left out.

    Args:
        graph: With null neurons.
        node: The layer's use.
        slot: Its columns.
        group: The group's name.
        existing: Neurons that are not null.

    Attributes:
        reads: The node that it reads.
        block: Entries that it has for one neuron along the dimension of its columns.
        entries: D, as far as it goes.
    """

    def __init__(self, graph: Graph, node: fx.Node, slot: Slot, group: str, existing: int) -> None:
        assert isinstance(node.args[0], fx.Node)
        self.node, self.reads = node, node.args[0]
        weight = tensor_of(graph.model, slot.tensor)
        places = slot.owned(group, slot.widths(graph.model)).to(weight.device)
        self.null_columns, self.block = places[existing:].flatten(), places.shape[1]
        self.columns = _others(weight.shape[slot.dim], self.null_columns)
        self.rows = _others(len(weight), _null_rows(graph, slot, group, existing).to(weight.device))
        self.entries = len(self.rows) * self.block * weight[0, 0].numel()
        self.of_null = _map(node, weight, len(self.rows), len(self.null_columns), bias=False)
        self.of_existing = _map(node, weight, len(self.rows), len(self.columns), arguments(node)["bias"] is not None)
        self.dim = self.of_null.channel_dim

    def null(self, x: Tensor) -> Tensor:
        """Of what it reads, the part of null neurons."""
        return x.index_select(self.dim, self.null_columns)

    def existing(self, x: Tensor) -> Tensor:
        """Of what it reads, the rest."""
        return x.index_select(self.dim, self.columns)

    def made(self, t: Tensor) -> Tensor:
        """Of what it makes, the part that is no null neuron's."""
        return t.index_select(self.dim, self.rows)

    def positions(self, t: Tensor) -> Tensor:
        """What it makes, shape ``(positions, rows)``."""
        return t.movedim(self.dim, -1).reshape(-1, t.shape[self.dim])

    def adjoint(self, x: Tensor, t: Tensor) -> Tensor:
        """Gradient of ``< t, layer(x) >`` by the columns of null neurons, shape ``(null, D)``."""
        made = self.of_null.adjoint(self.of_null.prepare(self.null(x)), t)
        kernel = self.of_null.row // len(self.null_columns)
        return made.reshape(len(self.rows), -1, self.block, kernel).movedim(0, 2).flatten(1)

    def parts(self, x: Tensor) -> Tensor:
        """What the existing neurons put into each position: ``(positions, columns)``, and 1 where there is a bias."""
        return self.of_existing.rows(self.of_existing.prepare(self.existing(x)))

    def combined(self, x: Tensor, weights: Tensor, like: Tensor) -> Tensor:
        """What the layer would make of the existing neurons with weights of shape ``(columns, rows)``."""
        made = self.parts(x) @ weights
        return made.reshape(like.movedim(self.dim, -1).shape).movedim(-1, self.dim)


def _others(size: int, places: Tensor) -> Tensor:
    kept = torch.ones(size, dtype=torch.bool, device=places.device)
    kept[places] = False
    return kept.nonzero().flatten()


def _map(node: fx.Node, weight: Tensor, rows: int, columns: int, bias: bool) -> LinearMap:
    """The map of a layer with so many rows and columns of its weight."""
    places = torch.arange(rows, device=weight.device)[:, None]
    if operation(node.target) == "linear":
        return LinearMap(columns, places, rows, bias)
    given = arguments(node)
    geometry = (given[name] for name in ("stride", "padding", "dilation"))
    return ConvMap((columns, *weight.shape[2:]), places, rows, bias, *geometry)


def _with_null(graph: Graph, group: Group, count: int) -> Graph:
    """The graph of a copy of the network with null neurons in a group."""
    twin, weights = copy.deepcopy(graph.model), theta(graph.model, group)
    null = Birth(group, weights.new_zeros(weights.shape[1]), weights.new_zeros(outgoing(graph.model, group).shape[1]))
    apply(twin, None, GrowthPlan(births=(null,) * count), 0.0)
    return graph.on(twin).evaluated()


def _null_rows(graph: Graph, slot: Slot, group: str, existing: int) -> Tensor:
    """Rows of a consumer that are null neurons' own: of a layer that reads the group and adds to it."""
    found = [
        row.owned(group, row.widths(graph.model))[existing:].flatten()
        for producer in graph.groups[group].producers
        for row in producer.slots[:1]
        if row.tensor == slot.tensor
    ]
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.long)


def _columns(graph: Graph, group: Group, existing: int) -> Tensor:
    """Which of a neuron's parameters are there without null neurons: all that do not read these, shape ``(d,)``."""
    kept = []
    for producer in group.producers:
        weight = tensor_of(graph.model, producer.weight.tensor)
        own = torch.ones_like(weight, dtype=torch.bool)
        for slot in group.consumers:
            if slot.tensor == producer.weight.tensor:
                null = slot.owned(group.name, slot.widths(graph.model))[existing:].flatten()
                own.movedim(slot.dim, 0)[null.to(own.device)] = False
        rows = producer.weight.owned(group.name, producer.weight.widths(graph.model))[0]
        kept.append(own.movedim(producer.weight.dim, 0)[rows.to(own.device)].flatten())
        if producer.bias is not None:
            kept.append(kept[-1].new_ones(len(rows)))
    return torch.cat(kept).nonzero().flatten()


def _by_rows(layer: LinearMap, square: Tensor) -> Tensor:
    """``b b^T`` of a neuron's weights and its biases behind them, of that of each of its rows."""
    many = layer.places.shape[1]
    if many == 1:
        return square
    apart = torch.kron(torch.eye(many).to(square), square)
    step = layer.row + layer.bias
    order = torch.arange(many * step).reshape(many, step)
    moved = torch.cat([order[:, : layer.row].flatten(), order[:, layer.row :].flatten()])
    return apart[moved][:, moved]


def root_of_inverse(squares: Tensor, threshold: float = RANK) -> Tensor:
    """``A^-1/2`` of a symmetric ``A``, without the directions whose eigenvalue is below a share of the largest."""
    values, vectors = torch.linalg.eigh(squares)
    kept = values > threshold * values.max()
    root: Tensor = (vectors[:, kept] / values[kept].sqrt()) @ vectors[:, kept].T
    return root


def _least_squares(squares: Tensor, reached: Tensor) -> Tensor:
    """``squares^+ reached``."""
    inverse: Tensor = torch.linalg.pinv(squares.double(), rtol=RANK, hermitian=True)
    return (inverse @ reached.double()).to(reached)


def _mean_of_window(step: Step, tangent: Tensor, like: Tensor) -> Tensor:
    """The mean of a tangent over each window that a step selects from."""
    assert step.picks is not None
    entries, places = flat(tangent, step.picks), step.picks.places.to(tangent.device)
    found: Tensor = entries[..., places.clamp(min=0)].masked_fill(places < 0, 0)
    return (found.sum(-1) / (places >= 0).sum(-1)).reshape(like.shape)
