"""The splitting operator: one symmetric matrix S per neuron, as products on a fixed sample.

``S = Hess_theta < stopgrad(dL/du), u(theta) >`` (bench/MATHS.md, section 2; S2D, arXiv 1910.02366). With the
producer linear in theta, ``z = J theta``, it is ``S V = J^T H J V`` where J is the layer applied to V, J^T its
weight gradient, and H the second derivative of the chain behind it (`bench.curvature.hessian`). Blocks between different
neurons vanish, so one product serves every neuron of a layer: one convolution and one weight-gradient convolution.

Where H is diagonal, one number per output position, it is computed once. Behind depthwise convolutions it is
a product with the chain. What a product needs is held for the whole sample as long as ``memory`` allows, and
made again batch by batch where it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, get_args

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight

from bench.curvature.chain import SURROGATE, Chain
from bench.curvature.hessian import ChainHessian, held
from bench.curvature.sample import Sample
from bench.network.graph import Graph, Group, evaluation, theta, width

Form = Literal["definition", "published"]
FORMS: tuple[str, ...] = get_args(Form)

Values = dict[fx.Node, Tensor]

BATCH = 64
"""Examples in a batch of the sample on the CPU: a layer's tensors stay near the size of the caches."""
BATCH_ON_DEVICE = 512


@dataclass(frozen=True, eq=False)
class Batch:
    """What products with one group's S need of one batch of the sample.

    Attributes:
        share: Its examples as a share of the sample's.
        inputs: What each producer reads.
        hessian: H as its diagonal, shaped as the producer's output, where it is diagonal; else as a product.
    """

    share: float
    inputs: tuple[Tensor, ...]
    hessian: Tensor | ChainHessian


class Operator:
    """S of every neuron of one group.

    Args:
        layers: The group's producers, with whether theta includes their bias.
        chain: The chain behind them.
        batches: Called for each pass over the sample; yields its batches.
        like: The neurons' parameters, shape ``(n, d)``; results have its dtype and device.
    """

    def __init__(
        self,
        layers: Sequence[tuple[nn.Module, bool]],
        chain: Chain,
        batches: Callable[[], Iterator[Batch]],
        like: Tensor,
    ) -> None:
        self.chain, self.batches, self.like = chain, batches, like
        self.neurons, self.size = like.shape
        self.layers = [_linear_map(layer, bias) for layer, bias in layers]
        self.products = 0
        self.flops = 0.0

    def __call__(self, vectors: Tensor, neurons: Tensor | None = None) -> Tensor:
        """``S_i v_i`` over the whole sample.

        Args:
            vectors: One direction per neuron, shape ``(n, d)``.
            neurons: Indices of the neurons that the rows of ``vectors`` belong to; None for all.

        Returns:
            Shape ``(n, d)``, or as many rows as ``neurons``.
        """
        self.products += 1
        total = torch.zeros_like(vectors)
        for batch in self.batches():
            total += self.on_batch(batch, vectors, neurons)
        return total

    def on_batch(self, batch: Batch, vectors: Tensor, neurons: Tensor | None = None) -> Tensor:
        """One batch's share of ``S_i v_i``; arguments as in calling."""
        if neurons is not None and isinstance(batch.hessian, ChainHessian):
            full = vectors.new_zeros(self.neurons, self.size)
            full[neurons] = vectors
            return self.on_batch(batch, full)[neurons]
        parts = torch.split(vectors, [layer.size for layer in self.layers], dim=1)
        pairs = list(zip(self.layers, batch.inputs, strict=True))
        tangents = [layer.forward(x, v) for (layer, x), v in zip(pairs, parts, strict=True)]
        self.flops += 4 * sum(t.numel() * layer.size for t, layer in zip(tangents, self.layers, strict=True))
        if isinstance(batch.hessian, ChainHessian):
            bent = batch.hessian.product(tangents)
        else:
            dim = self.layers[0].channel_dim
            diagonal = batch.hessian if neurons is None else batch.hessian.index_select(dim, neurons)
            bent = [tangents[0].mul_(diagonal)]
        return torch.cat([layer.adjoint(x, t) for (layer, x), t in zip(pairs, bent, strict=True)], dim=1)

    def dense(self) -> Tensor:
        """S itself, shape ``(n, d, d)``: from unfolded inputs where H is diagonal, else by products."""
        total = self.like.new_zeros(self.neurons, self.size, self.size)
        for batch in self.batches():
            if isinstance(batch.hessian, Tensor):
                layer = self.layers[0]
                rows = layer.rows(batch.inputs[0])
                weights = batch.hessian.movedim(layer.channel_dim, 0).flatten(1)
                for neuron in range(self.neurons):
                    total[neuron] += (rows * weights[neuron][:, None]).T @ rows
                self.flops += 2 * weights.numel() * self.size**2
            else:
                for column in range(self.size):
                    unit = self.like.new_zeros(self.neurons, self.size)
                    unit[:, column] = 1
                    total[:, :, column] += self.on_batch(batch, unit)
        self.products += self.size
        return total


class _LinearMap:
    """``Linear`` as a map of theta: one row of a weight, and the bias."""

    channel_dim = -1

    def __init__(self, layer: nn.Linear, bias: bool) -> None:
        self.layer, self.bias = layer, bias
        self.size = layer.in_features + bias

    def prepare(self, x: Tensor) -> Tensor:
        """What to keep of the layer's input."""
        return x

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        """``J v``: inputs ``(..., in)`` and directions ``(n, d)`` to ``(..., n)``."""
        return F.linear(x, v[:, :-1], v[:, -1]) if self.bias else F.linear(x, v)

    def adjoint(self, x: Tensor, t: Tensor) -> Tensor:
        """``J^T t``: ``(..., n)`` to ``(n, d)``."""
        flat = t.reshape(-1, t.shape[-1])
        weight = flat.T @ x.reshape(-1, x.shape[-1])
        return torch.cat([weight, flat.sum(0)[:, None]], dim=1) if self.bias else weight

    def rows(self, x: Tensor) -> Tensor:
        """The rows of J for one neuron: ``(positions, d)``."""
        flat = x.reshape(-1, x.shape[-1])
        return torch.cat([flat, flat.new_ones(len(flat), 1)], dim=1) if self.bias else flat


class _ConvMap:
    """``Conv2d`` as a map of theta: one output channel's kernel, flattened, and the bias."""

    channel_dim = 1

    def __init__(self, layer: nn.Conv2d, bias: bool) -> None:
        self.layer, self.bias = layer, bias
        self.kernel = tuple(layer.weight.shape[1:])
        self.size = prod(self.kernel) + bias
        self.pads = isinstance(layer.padding, str) or layer.padding_mode != "zeros"
        self.padding: Any = 0 if self.pads else layer.padding  # of what `prepare` leaves
        self.geometry: dict[str, Any] = {"stride": layer.stride, "dilation": layer.dilation}

    def prepare(self, x: Tensor) -> Tensor:
        """The input, padded already where that is not plain zeros of a given width."""
        if self.pads:
            mode = "constant" if self.layer.padding_mode == "zeros" else self.layer.padding_mode
            return F.pad(x, self.layer._reversed_padding_repeated_twice, mode=mode)
        return x

    def _kernels(self, v: Tensor) -> Tensor:
        return (v[:, :-1] if self.bias else v).reshape(-1, *self.kernel)

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        """``J v``: inputs ``(N, C, H, W)`` and directions ``(n, d)`` to ``(N, n, H', W')``."""
        bias = v[:, -1].contiguous() if self.bias else None
        return F.conv2d(x, self._kernels(v), bias, padding=self.padding, **self.geometry)

    def adjoint(self, x: Tensor, t: Tensor) -> Tensor:
        """``J^T t``: ``(N, n, H', W')`` to ``(n, d)``."""
        size = (t.shape[1], *self.kernel)
        weight: Tensor = conv2d_weight(x, size, t, padding=self.padding, **self.geometry)  # type: ignore[no-untyped-call]
        weight = weight.flatten(1)
        return torch.cat([weight, t.sum((0, 2, 3))[:, None]], dim=1) if self.bias else weight

    def rows(self, x: Tensor) -> Tensor:
        """The rows of J for one neuron: ``(positions, d)``, patches of the input."""
        patches = F.unfold(x, self.layer.kernel_size, padding=self.padding, **self.geometry)
        flat = patches.transpose(1, 2).flatten(0, 1)
        return torch.cat([flat, flat.new_ones(len(flat), 1)], dim=1) if self.bias else flat


def _linear_map(layer: nn.Module, bias: bool) -> _LinearMap | _ConvMap:
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    return _LinearMap(layer, bias) if isinstance(layer, nn.Linear) else _ConvMap(layer, bias)


class Curvature:
    """Splitting operators of a model's groups on one sample.

    Args:
        graph: The model's graph.
        sample: The examples.
        form: ``definition`` or ``published`` (the textbook form, up to the first activation).
        memory: Bytes to hold at most for products; beyond it, batches are made again for each product.
    """

    def __init__(self, graph: Graph, sample: Sample, form: str = "definition", memory: float = 2 * 2**30) -> None:
        self.graph, self.sample, self.memory = graph, sample, memory
        self.chains = {name: Chain(graph, group, form == "published") for name, group in graph.groups.items()}
        self._operators: dict[str, Operator] = {}
        self._held: dict[str, list[Batch]] = {}
        self.passes = 0
        traced = [n for n in graph.places if hasattr(n.meta.get("tensor_meta"), "shape")]  # some return several tensors
        size = next(graph.model.parameters()).element_size()
        self._example_bytes = {n: self._example_size(n) * size for n in traced}
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
            parameters = theta(self.graph.model, group)
            self._operators[group.name] = Operator(
                [(self.graph.model.get_submodule(p.module), p.bias) for p in group.producers],
                self.chains[group.name],
                lambda: self._batches(group),
                parameters,
            )
        return self._operators[group.name]

    # -- the sample ---------------------------------------------------------------------------------

    def fits(self, group: Group) -> bool:
        """Whether the memory holds what products with the group's S need."""
        return self._bytes(group.name) <= self.memory

    def batches(self, names: Sequence[str]) -> Iterator[dict[str, Batch]]:
        """One pass over the sample: each batch's `Batch` by group name, nothing held."""
        for share, values, gradients in self.sweep(names):
            yield {name: self._batch(name, share, values, gradients) for name in names}

    def release(self) -> None:
        """Let go of what is held; it is collected again if a product is asked for."""
        self._held.clear()

    def _batches(self, group: Group) -> Iterator[Batch]:
        if group.name not in self._held and self.fits(group):
            self._hold(group)
        if group.name in self._held:
            yield from self._held[group.name]
        else:
            for batches in self.batches([group.name]):
                yield batches[group.name]

    def _hold(self, group: Group) -> None:
        """Make place, and hold the batches of the group and of those after it that fit beside it."""
        self._held.clear()
        names = list(self.chains)
        left, chosen = self.memory, []
        for name in names[names.index(group.name) :]:
            left -= self._bytes(name)
            if left < 0:
                break
            chosen.append(name)
        held: dict[str, list[Batch]] = {name: [] for name in chosen}
        for batches in self.batches(chosen):
            for name, batch in batches.items():
                held[name].append(batch)
        self._held = held

    def _bytes(self, name: str) -> float:
        chain = self.chains[name]
        alone = chain.diagonal and len(chain.sources) == 1
        nodes = [*chain.inputs, *(chain.sources if alone else held(chain))]
        return float(sum(self._example_bytes[n] for n in nodes) * len(self.sample))

    def _example_size(self, node: fx.Node) -> int:
        """Numbers in one example's tensor at a node, at the widths of now; the graph was read at the seed's."""
        shape, group = tuple(node.meta["tensor_meta"].shape), self.graph.group_of(node)
        size: int = prod(shape[1:])
        if group is None:
            return size
        place = self.graph.places[node]
        channels: int = shape[place.dim]
        return size // channels * place.block * width(self.graph.model, group)

    def sweep(self, names: Sequence[str]) -> Iterator[tuple[float, Values, Values]]:
        """One pass over the sample, forward and backward.

        Args:
            names: Groups of interest.

        Yields:
            For each batch its share of the sample's examples, the tensors at the inputs, sources and ends of the
            groups' chains, and ``g_k = dL/du_k`` at the ends.
        """
        self.passes += 1
        for inputs, targets in self.sample.batches(self.batch_size):
            share = len(inputs) / len(self.sample)
            yield share, *self._ends(inputs, targets, share, [self.chains[n] for n in names])

    def _ends(self, inputs: Tensor, targets: Tensor, share: float, chains: Sequence[Chain]) -> tuple[Values, Values]:
        wanted = {n for c in chains for n in (*c.inputs, *c.sources, *c.ends)}
        with evaluation(self.graph.model), torch.enable_grad():
            capture = _Capture(self.graph, wanted, {read for c in chains for read in c.reads})
            outputs = capture.run(inputs)
            loss = self.sample.loss(outputs, targets) * share
            read = [value for _, value in capture.read]
            found = torch.autograd.grad(loss, read, allow_unused=True, materialize_grads=True)
            gradients: Values = {}
            for (end, _), gradient in zip(capture.read, found, strict=True):
                gradients[end] = gradients[end] + gradient if end in gradients else gradient
            values = {n: v.detach() for n, v in capture.values.items()}
        for end in (n for c in chains for n in c.ends if n not in gradients):
            gradients[end] = torch.zeros_like(values[end])  # read by its own chain alone
        return values, gradients

    def _batch(self, name: str, share: float, values: Values, gradients: Values) -> Batch:
        chain, layers = self.chains[name], self.operator(self.graph.groups[name]).layers
        inputs = tuple(layer.prepare(values[n]) for layer, n in zip(layers, chain.inputs, strict=True))
        outputs = [values[n] for n in chain.sources]
        with evaluation(self.graph.model):
            hessian = ChainHessian(chain, outputs, [gradients[n] for n in chain.ends])
        if chain.diagonal and len(layers) == 1:
            return Batch(share, inputs, hessian.product([torch.ones_like(outputs[0])])[0])
        return Batch(share, inputs, hessian)


class _Capture(fx.Interpreter):
    """Runs the network and keeps the values of some nodes, and what some readers read, each apart."""

    def __init__(self, graph: Graph, wanted: set[fx.Node], reads: set[tuple[fx.Node, fx.Node]]) -> None:
        super().__init__(graph.model, graph=graph.nodes)
        self.wanted, self.reads = wanted, reads
        self.values: Values = {}
        self.read: list[tuple[fx.Node, Tensor]] = []

    def fetch_args_kwargs_from_env(self, n: fx.Node) -> tuple[Any, Any]:
        def value(source: fx.Node) -> Any:
            found = self.env[source]
            if (source, n) in self.reads:
                found = found.view_as(found) if found.requires_grad else found.detach().requires_grad_()
                self.read.append((source, found))
            return found

        return fx.node.map_arg(n.args, value), fx.node.map_arg(n.kwargs, value)

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n in self.wanted:
            self.values[n] = value
        return value
