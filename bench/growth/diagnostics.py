"""What the state of a network tells of how it will go on, group by group.

With rows ``theta_i`` of the parameters of a group's n neurons, and A their activations as the consumers read them, one
column for each neuron and one row for each example and position:

    rank      exp(- sum_k p_k log p_k) / n,  p = sigma / sum_k sigma_k,  sigma the singular values of A
    cosine    mean_i max_{j != i} |cos(theta_i, theta_j)|
    norm      mean_i ||theta_i||  over that of a fresh network of the same widths
    gradient  root mean square of ||dL/dtheta_i|| over newborn neurons, over that of the others

The first is the effective rank of O. Roy and M. Vetterli (EUSIPCO 2007) per width. It is that of the activations, not
of the rows: rows of few entries, as of a convolution of a grey image, have a low rank in any network, and behind batch
norm their lengths mean nothing. (Of 12 networks on MNIST, three of them from scratch, it ranked the final accuracies at
+0.95, that of the rows at +0.87.) The gradient is that of the sample's loss right after growing, the others are taken
at the end of a stage. A number that is not defined, as the cosine of a neuron alone, is left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from math import isfinite

import torch
from torch import Tensor, fx, nn

from bench.core.record import Diagnostics
from bench.curvature.sample import Sample
from bench.growth.afresh import drawn
from bench.network.graph import Graph
from bench.network.groups import Group, Slot, Widths, theta, width
from bench.network.modes import evaluation
from bench.network.program import Running

EXAMPLES = 1024
"""Of the training set, the same at all stages, that activations, gradients and training accuracy are taken on."""
TOGETHER = 256
"""Examples of a pass."""
MOST = 4096
"""Neurons at most whose pairs are compared, so that nothing is spent that a run would notice."""

ByGroup = dict[str, float]
"""Finite numbers by the group's name."""


def diagnose(
    graph: Graph,
    sample: Sample,
    build: Callable[[], nn.Module],
    generator: torch.Generator,
    gradient: ByGroup,
    accuracy: float | None,
) -> Diagnostics:
    """All of a stage at its end; arguments as of `ranks` and `norms`, and what else is known already."""
    return Diagnostics(ranks(graph, sample), cosines(graph), norms(graph, build, generator), gradient, accuracy)


def effective_rank(squares: Tensor) -> float:
    """Of a matrix A, from ``A^T A`` or ``A A^T``, square: from 1 to its side; NaN where A is zero or not finite."""
    if not squares.isfinite().all():
        return float("nan")
    sigma = torch.linalg.eigvalsh(_precise(squares)).clamp(min=0).sqrt()
    share = sigma / sigma.sum()
    return float(torch.special.entr(share).sum().exp())


def largest_cosine(rows: Tensor) -> float:
    """Mean over rows, shape ``(n, d)``, of the largest ``|cosine|`` with another; NaN for one, or more than `MOST`."""
    if not 2 <= len(rows) <= MOST:
        return float("nan")
    unit = nn.functional.normalize(_precise(rows), dim=1)
    return float((unit @ unit.T).abs().fill_diagonal_(0).amax(1).mean())


def ranks(graph: Graph, sample: Sample) -> ByGroup:
    """Effective rank of each group's activations on a sample, per width; none where `MOST` is too few."""
    squares, widths = _Watching(graph).squares(sample), graph.widths()
    found = ((name, squares[name]) for name in graph.groups if name in squares)
    return _finite((name, effective_rank(one) / widths[name]) for name, one in found)


def cosines(graph: Graph) -> ByGroup:
    """The largest cosine of a neuron to another, by group."""
    return _finite((name, largest_cosine(theta(graph.model, group))) for name, group in graph.groups.items())


def norms(graph: Graph, build: Callable[[], nn.Module], generator: torch.Generator) -> ByGroup:
    """Mean norm of each group's rows over a fresh network's.

    Args:
        graph: The network's.
        build: Makes a fresh network of its kind, of the seed's widths.
        generator: Its seed decides the fresh network's parameters.

    Returns:
        Nothing where a network of these widths cannot be drawn.
    """
    try:
        fresh = drawn(graph.model, build, generator)
    except Exception:  # layers of one's own may raise anything, and no run ends by what is only looked at
        return {}
    return _finite(
        (name, _mean_norm(graph.model, group) / (_mean_norm(fresh, group) or float("nan")))
        for name, group in graph.groups.items()
    )


def gradients(graph: Graph, sample: Sample, before: Widths) -> ByGroup:
    """Gradient of newborn neurons over that of the others, for the groups that grew.

    Args:
        graph: Of the network as it has grown.
        sample: Whose loss it is.
        before: Neurons of each group before: those that came are behind them.
    """
    grown = {name: group for name, group in graph.groups.items() if width(graph.model, group) > before[name]}
    slopes = _of_gradients(graph.model, sample) if grown else graph.model
    squares = {name: _precise(theta(slopes, group)).square().sum(1) for name, group in grown.items()}
    return _finite(
        (name, float((one[before[name] :].mean() / one[: before[name]].mean()).sqrt())) for name, one in squares.items()
    )


def _of_gradients(model: nn.Module, sample: Sample) -> nn.Module:
    """A copy of the network with the gradient of the sample's loss in the place of each parameter."""
    twin = copy.deepcopy(model)
    named = dict(twin.named_parameters())
    trained = [one for one in named.values() if one.requires_grad]
    total = [torch.zeros_like(one) for one in trained]
    with evaluation(twin), torch.enable_grad():
        for inputs, targets in sample.batches(TOGETHER):
            loss = sample.loss(twin(inputs), targets) * (len(inputs) / len(sample))
            found = torch.autograd.grad(loss, trained, allow_unused=True, materialize_grads=True)
            torch._foreach_add_(total, found)
    for one, slope in zip(trained, total, strict=True):
        one.data = slope
    return twin


def _mean_norm(model: nn.Module, group: Group) -> float:
    return float(torch.linalg.vector_norm(_precise(theta(model, group)), dim=1).mean())


def _precise(tensor: Tensor) -> Tensor:
    """In float64, on the CPU where the device has none."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def _finite(numbers: Iterator[tuple[str, float]]) -> ByGroup:
    return {name: number for name, number in numbers if isfinite(number)}


class _Watching(Running):
    """Runs a network and adds up ``A^T A`` of what consumers read of each group; ``A A^T`` of a group that is wide.

    Args:
        graph: The network's.
    """

    def __init__(self, graph: Graph) -> None:
        self.model = graph.model
        super().__init__(graph.program, {n: t.detach() for n, t in graph.program.tensors(graph.model).items()})
        self.watched: dict[fx.Node, dict[str, tuple[int, Tensor]]] = {}
        for name, group in graph.groups.items():
            for node in _read(graph, group):
                self.watched.setdefault(node, {})[name] = _places(graph, node, name)
        self.found: dict[str, Tensor] = {}
        self.wide: dict[str, list[Tensor]] = {}

    def squares(self, sample: Sample) -> Mapping[str, Tensor]:
        """By group, square, in float64; without those of which neither is small."""
        with evaluation(self.model), torch.no_grad():
            for inputs, _ in sample.batches(TOGETHER):
                self.run(inputs)
        for name, parts in self.wide.items():
            if sum(map(len, parts)) <= MOST:
                rows = _precise(torch.cat(parts))
                self.found[name] = rows @ rows.T
        return self.found

    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        for name, (dim, places) in self.watched.get(n, {}).items():
            assert isinstance(value, Tensor)
            columns = value.movedim(dim, -1)[..., places.T].reshape(-1, len(places))
            if len(places) <= MOST:
                columns = _precise(columns)
                self.found[name] = self.found.get(name, 0.0) + columns.T @ columns
            elif sum(map(len, parts := self.wide.setdefault(name, []))) <= MOST:
                parts.append(columns)
        return value


def _read(graph: Graph, group: Group) -> set[fx.Node]:
    """What the group's consumers read, their weights apart."""
    moving = set(graph.program.inputs)
    for node in graph.program.nodes.nodes:
        if moving.intersection(node.all_input_nodes):
            moving.add(node)
    weights = {slot.tensor for slot in group.consumers}
    layers = [node for node, layer in graph.layers.items() if layer.weight in weights]
    return {n for node in layers for n in moving.intersection(node.all_input_nodes) if group.name in graph.carried(n)}


def _places(graph: Graph, node: fx.Node, group: str) -> tuple[int, Tensor]:
    """The dimension of what a node makes that carries a group, and each neuron's entries, shape ``(n, block)``."""
    layout = graph.layouts[node][0]
    dim = next(i for i, axis in enumerate(layout) if any(run.group == group for run in axis))
    device = next(graph.model.parameters()).device
    return dim, Slot("", dim, layout[dim]).owned(group, graph.widths()).to(device)
