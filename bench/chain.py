"""The channel-wise chain of a group as a function, from its producers' outputs to what their consumers read.

``phi(z) = sum_k < g_k, u_k(z) >`` with the gradients ``g_k = dL/du_k`` held constant is what the splitting
matrix takes the second derivative of (bench/MATHS.md, section 2): ``S = J^T (d^2 phi / dz^2) J`` with ``J = dz/dtheta``
linear. Normalisation is frozen, and kinked activations get a surrogate second derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from bench.graph import Graph, Group
from bench.operations import Kind

SURROGATE = "softplus3"
"""Second derivative given to ReLU: that of softplus with beta = 3, ``3 s(3z) (1 - s(3z))``, as in the
released code of S2D. Forward and first derivative stay ReLU's."""


class _Step(torch.autograd.Function):
    """``z > 0`` with the derivative of the logistic function ``s(3z)``."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return (z > 0).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        s = torch.sigmoid(3 * z)
        return gradients[0] * 3 * s * (1 - s)


class _Relu(torch.autograd.Function):
    """ReLU whose backward pass is differentiable by way of `_Step`."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return z.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        return gradients[0] * surrogate_step(z)


def surrogate_step(z: Tensor) -> Tensor:
    """Derivative of ReLU, itself with the surrogate's derivative."""
    return _Step.apply(z)  # type: ignore[no-any-return]


def surrogate_relu(z: Tensor) -> Tensor:
    """ReLU in value and first derivative, softplus with beta = 3 in the second."""
    return _Relu.apply(z)  # type: ignore[no-any-return]


def _surrogate(node: fx.Node, module: nn.Module | None) -> Callable[[Tensor], Tensor] | None:
    """The stand-in for a kinked activation, or None where none is needed."""
    name = type(module).__name__ if module is not None else str(getattr(node.target, "__name__", node.target))
    if name in ("ReLU", "relu"):
        return surrogate_relu
    if name in ("ReLU6", "relu6"):
        return lambda z: surrogate_relu(z) - surrogate_relu(z - 6)
    if name in ("LeakyReLU", "leaky_relu"):
        slope: Any = node.kwargs.get("negative_slope", node.args[1] if len(node.args) > 1 else 0.01)
        a = float(slope if module is None else module.negative_slope)  # type: ignore[arg-type]
        return lambda z: a * z + (1 - a) * surrogate_relu(z)
    if isinstance(module, nn.PReLU):
        slopes = module.weight.detach()
        return lambda z: _per_channel(slopes, z) * z + (1 - _per_channel(slopes, z)) * surrogate_relu(z)
    if isinstance(module, nn.Hardtanh):
        low, high = module.min_val, module.max_val
        return lambda z: low + surrogate_relu(z - low) - surrogate_relu(z - high)
    if isinstance(module, nn.Hardsigmoid):
        return lambda z: (surrogate_relu(z + 3) - surrogate_relu(z - 3)) / 6
    return None


def _per_channel(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(1, -1, *[1] * (like.dim() - 2))


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
        self._steps: list[tuple[fx.Node, Callable[..., Tensor], tuple[Any, ...], dict[str, Any]]] = []
        self.diagonal, self.surrogate = True, False
        self._published_ends: list[fx.Node] = []
        self._walk(graph, set(ends), published)
        self.ends: list[fx.Node] = self._published_ends if published else [n for n in graph.nodes.nodes if n in ends]
        own = {step[0] for step in self._steps}
        self.reads = {(end, user) for end in self.ends for user in end.users if user not in own}

    def _walk(self, graph: Graph, ends: set[fx.Node], published: bool) -> None:
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
            bends = kind in (Kind.CURVED, Kind.KINKED, Kind.PER_CHANNEL)
            self.diagonal &= not (mixes and bends)
            if kind is Kind.FLATTEN:  # whatever sizes it names, they may be read off other tensors
                self._steps.append((node, _flat, (inputs[0],), {}))
            else:
                self._steps.append((node, self._function(node), node.args, node.kwargs))
            if published and (bends or node in ends):
                self._published_ends.append(node)
            else:
                mixed[node] = mixes or kind in (Kind.AVERAGING, Kind.DEPTHWISE)
                moved[node] = shifts or kind is Kind.SELECTING
        if published:
            self._published_ends += [n for n in self.sources if n in ends]

    def _function(self, node: fx.Node) -> Callable[..., Tensor]:
        module = self.model.get_submodule(str(node.target)) if node.op == "call_module" else None
        surrogate = _surrogate(node, module)
        if surrogate is not None:
            self.surrogate = True
            return lambda z, *_, **__: surrogate(z)
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
        values: dict[fx.Node, Any] = dict(zip(self.sources, zs, strict=True))
        for node, function, args, kwargs in self._steps:
            given = fx.node.map_arg(args, values.__getitem__), fx.node.map_arg(kwargs, values.__getitem__)
            values[node] = function(*given[0], **given[1])
        return [values[end] for end in self.ends]

    def gradient(self, zs: Sequence[Tensor], gradients: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """``d phi / dz`` for each z, differentiable once more; zeros where phi is linear."""
        phi = sum((g * u).sum() for g, u in zip(gradients, self(zs), strict=True))
        assert isinstance(phi, Tensor)
        return torch.autograd.grad(phi, list(zs), create_graph=True, allow_unused=True, materialize_grads=True)

    def hessian_product(
        self, zs: Sequence[Tensor], gradients: Sequence[Tensor], tangents: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """``(d^2 phi / dz^2) t``, one tensor per producer.

        Args:
            zs: The producers' outputs, detached.
            gradients: ``g_k = dL/du_k``, one per end.
            tangents: ``t``, shaped as ``zs``.
        """
        with torch.enable_grad():
            leaves = [z.detach().requires_grad_() for z in zs]
            first = self.gradient(leaves, gradients)
            if not any(d.requires_grad for d in first):
                return tuple(torch.zeros_like(z) for z in zs)
            inner = sum((d * t).sum() for d, t in zip(first, tangents, strict=True) if d.requires_grad)
            assert isinstance(inner, Tensor)
            return torch.autograd.grad(inner, leaves, allow_unused=True, materialize_grads=True)


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
        return z * _per_channel(scale, z) + _per_channel(shift, z)

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
