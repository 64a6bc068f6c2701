"""One forward and one backward pass of a network on a batch, and what it leaves at chosen nodes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import torch
from torch import Tensor, fx
from torch.fx.node import Argument

from bench.network.graph import Graph
from bench.network.program import Running

Values = dict[fx.Node, Tensor]


class Watched(Protocol):
    """What is kept: the tensors at some nodes, and the loss's gradients at what some readers read, as of a chain."""

    @property
    def kept(self) -> Sequence[fx.Node]:
        """Nodes whose tensors are kept."""

    @property
    def ends(self) -> Sequence[fx.Node]:
        """Nodes at which the loss is differentiated."""

    @property
    def reads(self) -> Collection[tuple[fx.Node, fx.Node]]:
        """Through which readers, as (end, reader)."""


def capture(
    graph: Graph, chains: Sequence[Watched], inputs: Tensor, loss: Callable[[Tensor], Tensor]
) -> tuple[Values, Values]:
    """Run the network and differentiate its loss.

    Args:
        graph: The network's.
        chains: Chains, or what else says what is to be kept.
        inputs: A batch, shape ``(B, ...)``.
        loss: Of the network's outputs.

    Returns:
        The tensors kept and those at the ends, and ``g_k = dL/du_k`` at the ends.
    """
    wanted = {n for c in chains for n in (*c.kept, *c.ends)}
    with torch.enable_grad():
        run = _Run(graph, wanted, {read for c in chains for read in c.reads})
        lost = loss(run.run(inputs))
        read = [value for _, value in run.read]
        found = torch.autograd.grad(lost, read, allow_unused=True, materialize_grads=True)
        gradients: Values = {}
        for (end, _), gradient in zip(run.read, found, strict=True):
            gradients[end] = gradients[end] + gradient if end in gradients else gradient
        values = {n: v.detach() for n, v in run.values.items()}
    for end in (n for c in chains for n in c.ends if n not in gradients):
        gradients[end] = torch.zeros_like(values[end])  # read by its own chain alone
    return values, gradients


class _Run(Running):
    """Runs the network and keeps the values of some nodes, and what some readers read, each apart."""

    def __init__(self, graph: Graph, wanted: set[fx.Node], reads: set[tuple[fx.Node, fx.Node]]) -> None:
        bound = {name: tensor.detach() for name, tensor in graph.program.tensors(graph.model).items()}
        super().__init__(graph.program, bound)
        self.wanted, self.reads = wanted, reads
        self.values: Values = {}
        self.read: list[tuple[fx.Node, Tensor]] = []

    def fetch_args_kwargs_from_env(self, n: fx.Node) -> tuple[tuple[Argument, ...], dict[str, Argument]]:
        def value(source: fx.Node) -> Argument:
            found: Argument = self.env[source]
            if (source, n) in self.reads and isinstance(found, Tensor):
                found = found.view_as(found) if found.requires_grad else found.detach().requires_grad_()
                self.read.append((source, found))
            return found

        return fx.node.map_arg(n.args, value), fx.node.map_arg(n.kwargs, value)

    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        if n in self.wanted:
            self.values[n] = value
        return value
