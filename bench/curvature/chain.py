"""The channel-wise chain of a group as a function, from its producers' outputs to what their consumers read.

``phi(z) = sum_k < g_k, u_k(z) >`` with the gradients ``g_k = dL/du_k`` held constant is what the splitting
matrix takes the second derivative of (bench/MATHS.md, section 2): ``S = J^T (d^2 phi / dz^2) J`` with ``J = dz/dtheta``
linear. Normalisation is frozen, and kinked activations get a surrogate second derivative.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, fx, nn

from bench.curvature.surrogate import per_channel, surrogate
from bench.network.graph import Graph, Group
from bench.network.operations import Kind


@dataclass(frozen=True, eq=False)
class Step:
    """One operation of a chain, or a run of pointwise ones taken together.

    Attributes:
        inputs: Nodes of the chain that it reads.
        output: Node it makes.
        function: What it computes of them.
        form: ``pointwise``, ``linear``, ``product`` (of two tensors) or ``selecting`` (of positions).
        bends: Whether it has a second derivative.
        linear: The function less its bias, where the form is linear.
    """

    inputs: tuple[fx.Node, ...]
    output: fx.Node
    function: Callable[..., Tensor]
    form: Literal["pointwise", "linear", "product", "selecting"]
    bends: bool
    linear: Callable[..., Tensor]


_FORMS: dict[Kind, Literal["linear", "product", "selecting"]] = {
    Kind.AVERAGING: "linear",
    Kind.DEPTHWISE: "linear",
    Kind.FLATTEN: "linear",
    Kind.SUM: "linear",
    Kind.PRODUCT: "product",
    Kind.SELECTING: "selecting",
}
_BENDING = (Kind.CURVED, Kind.KINKED, Kind.PER_CHANNEL, Kind.PRODUCT)


class Chain:
    """The chain of one group.

    Args:
        graph: The graph it belongs to.
        group: The group.
        published: End at the first activation instead of the consumers' inputs: the textbook form of S,
            which leaves out the curvature of what lies behind (bench/MATHS.md, section 2).

    Attributes:
        sources: Nodes of the producers' outputs ``z``.
        inputs: Nodes that the producers read, one per producer.
        ends: Nodes ``u_k`` whose gradients weigh the chain.
        reads: Where the ends leave the chain, as (end, reader). ``g_k`` is the gradient through these alone: what
            an end does through a later step of the chain itself counts at that step's end.
        steps: What lies between, in the order of the forward pass.
        diagonal: Whether ``d^2 phi / dz^2`` is diagonal: no curvature behind a mixing of positions.
        surrogate: Whether a kinked activation got a surrogate second derivative.
    """

    def __init__(self, graph: Graph, group: Group, published: bool = False) -> None:
        self.model = graph.model
        producers, consumers = [p.module for p in group.producers], {c.module for c in group.consumers}
        calls = {str(n.target): n for n in graph.nodes.nodes if n.op == "call_module"}
        self.sources = [calls[name] for name in producers]
        self.inputs = [source.all_input_nodes[0] for source in self.sources]
        ends = dict.fromkeys(calls[name].all_input_nodes[0] for name in consumers)
        steps: list[Step] = []
        self.diagonal, self.surrogate = True, False
        published_ends = self._walk(graph, set(ends), published, steps)
        self.ends: list[fx.Node] = published_ends if published else [n for n in graph.nodes.nodes if n in ends]
        own = {step.output for step in steps}
        self.reads = {(end, user) for end in self.ends for user in end.users if user not in own}
        self.steps = _runs_joined(steps, self.ends)

    def _walk(self, graph: Graph, ends: set[fx.Node], published: bool, steps: list[Step]) -> list[fx.Node]:
        """Fill in the steps; the ends of the published form."""
        published_ends: list[fx.Node] = []
        needed = _between(self.sources, ends)
        mixed: dict[fx.Node, bool] = dict.fromkeys(self.sources, False)
        moved: dict[fx.Node, bool] = dict.fromkeys(self.sources, False)  # positions picked: harmless until joined
        for node in graph.nodes.nodes:
            inputs = [n for n in node.all_input_nodes if n in mixed]
            if node in mixed or node not in needed or not inputs or node not in graph.kinds:
                continue
            kind = graph.kinds[node]
            shifts = any(moved[n] for n in inputs)
            mixes = any(mixed[n] for n in inputs) or (shifts and len(inputs) > 1)
            bends = kind in _BENDING
            self.diagonal &= not (mixes and bends)
            made = {*self.sources, *(step.output for step in steps)}
            steps.append(self._step(node, kind, tuple(n for n in node.all_input_nodes if n in made)))
            if published and (bends or node in ends):
                published_ends.append(node)
            else:
                mixed[node] = mixes or kind in (Kind.AVERAGING, Kind.DEPTHWISE)
                moved[node] = shifts or kind is Kind.SELECTING
        return published_ends + [n for n in self.sources if n in ends]

    def _step(self, node: fx.Node, kind: Kind, inputs: tuple[fx.Node, ...]) -> Step:
        if kind is Kind.FLATTEN:  # whatever sizes it names, they may be read off other tensors
            return Step(inputs[:1], node, _flat, "linear", False, _flat)
        function = self._function(node)

        def on(*tensors: Tensor) -> Tensor:
            values = dict(zip(inputs, tensors, strict=True))
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
            return function(*args, **kwargs)

        linear: Callable[..., Tensor] = _without_bias(function) if isinstance(function, nn.Conv2d) else on
        return Step(inputs, node, on, _FORMS.get(kind, "pointwise"), kind in _BENDING, linear)

    def _function(self, node: fx.Node) -> Callable[..., Tensor]:
        module = self.model.get_submodule(str(node.target)) if node.op == "call_module" else None
        stand_in = surrogate(node, module)
        if stand_in is not None:
            self.surrogate = True
            return lambda z, *_, **__: stand_in(z)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            return _frozen(module)
        if module is not None:
            return module
        if node.op == "call_method":
            return lambda z, *args, **kwargs: getattr(z, str(node.target))(*args, **kwargs)
        assert callable(node.target)
        return node.target

    def __call__(self, zs: Sequence[Tensor]) -> list[Tensor]:
        """``u_k`` from the producers' outputs ``zs``; the model must be in evaluation mode."""
        values = dict(zip(self.sources, zs, strict=True))
        for step in self.steps:
            values[step.output] = step.function(*(values[n] for n in step.inputs))
        return [values[end] for end in self.ends]


def _runs_joined(steps: Sequence[Step], ends: Sequence[fx.Node]) -> list[Step]:
    """The steps, with each run of pointwise ones that nothing else reads as one: f(g(z))."""
    joined: list[Step] = []
    readers = Counter([*(n for step in steps for n in step.inputs), *ends])
    for step in steps:
        last = joined[-1] if joined else step
        pointwise = last.form == step.form == "pointwise" and step.inputs == (last.output,)
        if pointwise and readers[last.output] == 1:
            both = _composed(step.function, last.function)
            joined[-1] = replace(last, output=step.output, function=both, bends=last.bends or step.bends, linear=both)
        else:
            joined.append(step)
    return joined


def _composed(outer: Callable[..., Tensor], inner: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda z: outer(inner(z))


def _without_bias(layer: nn.Conv2d) -> Callable[..., Tensor]:
    return lambda z: layer._conv_forward(z, layer.weight, None)


def _flat(z: Tensor) -> Tensor:
    return z.flatten(1)


def _frozen(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> Callable[[Tensor], Tensor]:
    """Batch normalisation with its running statistics, as the affine map it is."""

    def apply(z: Tensor) -> Tensor:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = torch.rsqrt(norm.running_var + norm.eps)
        shift = -norm.running_mean * scale
        if norm.affine:
            scale, shift = scale * norm.weight.detach(), shift * norm.weight.detach() + norm.bias.detach()
        return torch.addcmul(per_channel(shift, z), z, per_channel(scale, z))

    return apply


def _between(sources: Sequence[fx.Node], ends: set[fx.Node]) -> set[fx.Node]:
    """Nodes from which an end can be reached without passing beyond the ends' ancestors and the sources."""
    needed: set[fx.Node] = set()
    pending = list(ends)
    while pending:
        node = pending.pop()
        if node not in needed:
            needed.add(node)
            pending += [] if node in sources else node.all_input_nodes
    return needed
