"""One forward and one backward pass of a network on a batch, and what it leaves at chosen nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, fx
from torch.fx.node import Argument

from bench.curvature.chain import Chain
from bench.network.graph import Graph
from bench.network.program import Running

Values = dict[fx.Node, Tensor]


def capture(
    graph: Graph, chains: Sequence[Chain], inputs: Tensor, loss: Callable[[Tensor], Tensor]
) -> tuple[Values, Values]:
    """Run the network and differentiate its loss.

    Args:
        graph: The network's.
        chains: The chains of interest.
        inputs: A batch, shape ``(B, ...)``.
        loss: Of the network's outputs.

    Returns:
        The tensors at the inputs, sources and ends of the chains and those that they take as given, and
        ``g_k = dL/du_k`` at the ends.
    """
    wanted = {n for c in chains for n in (*c.inputs, *c.sources, *c.ends, *c.given)}
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
