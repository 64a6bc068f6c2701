"""The chain of a group as a function, from its producers' outputs to what their consumers read.

``phi(z) = sum_k < g_k, u_k(z) >`` with the gradients ``g_k = dL/du_k`` held constant is what the splitting
matrix takes the second derivative of (bench/MATHS.md, section 2): ``S = J^T (d^2 phi / dz^2) J`` with ``J = dz/dtheta``
linear. Normalisation is frozen, and kinks get a surrogate second derivative. The steps are the operations that the
network runs; how each acts is the table's word (`bench.network.operations`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, Literal

import torch
from torch import Tensor, fx

from bench.curvature.surrogate import kink, per_channel
from bench.network.graph import Graph
from bench.network.groups import Group
from bench.network.operations import Form, Picks, entry, kinks_of
from bench.network.program import arguments, at_batch, call, operation, sizes

Given = Mapping[fx.Node, Tensor]
"""Tensors of a batch that a chain does not make itself."""
Function = Callable[[Sequence[Tensor], Given], Tensor]


@dataclass(frozen=True, eq=False)
class Step:
    """One operation of a chain, or a run of pointwise ones taken together.

    Attributes:
        inputs: Nodes of the chain that it reads.
        output: Node it makes.
        function: What it computes of them.
        form: ``pointwise``, ``linear``, ``product`` (of two tensors), ``selecting`` (of positions) or ``general``.
        bends: Whether it has a second derivative.
        linear: The function less what it adds, where the form is linear.
        picks: What it selects from; None for other forms.
        width: Of the bump that stands in for the second derivative of its ties; 0 leaves them out.
    """

    inputs: tuple[fx.Node, ...]
    output: fx.Node
    function: Function
    form: Literal["pointwise", "linear", "product", "selecting", "general"]
    bends: bool
    linear: Function
    picks: Picks | None = None
    width: float = 0.0


_SUMS = ("add", "sub", "rsub", "cat", "stack")


class Chain:
    """The chain of one group.

    Args:
        graph: The graph it belongs to.
        group: The group.
        published: End at the first activation instead of the consumers' inputs: the textbook form of S,
            which leaves out the curvature of what lies behind (bench/MATHS.md, section 2).
        ties: Whether ties of maxima bend (`bench.curvature.ties`); the published form knows none.

    Attributes:
        sources: Nodes of the producers' outputs ``z``.
        inputs: Nodes that the producers read, one per producer.
        ends: Nodes ``u_k`` whose gradients weigh the chain.
        reads: Where the ends leave the chain, as (end, reader). ``g_k`` is the gradient through these alone: what
            an end does through a later step of the chain itself counts at that step's end.
        given: Other nodes whose tensors the steps read.
        steps: What lies between, in the order of the forward pass.
        diagonal: Whether ``d^2 phi / dz^2`` is diagonal: no curvature behind a mixing of positions, and no ties.
        kinked: Whether a kink got a surrogate second derivative.
        cut: Whether the published form leaves out something that bends or selects.
    """

    def __init__(self, graph: Graph, group: Group, published: bool = False, ties: bool = False) -> None:
        self.graph, self.group, self._ties = graph, group, ties and not published
        uses = {layer.weight: node for node, layer in graph.layers.items()}
        self.sources = [uses[producer.weight.tensor] for producer in group.producers]
        self.inputs = [_read_by(source) for source in self.sources]
        ends = {_read_by(uses[consumer.tensor]) for consumer in group.consumers}
        self._tensors = {name: tensor.detach() for name, tensor in graph.program.tensors(graph.model).items()}
        steps: list[Step] = []
        given: dict[fx.Node, None] = {}
        self.diagonal, self.kinked, self.cut = True, False, False
        published_ends = self._walk(ends, published, steps, given)
        self.ends: list[fx.Node] = published_ends if published else [n for n in graph.program.nodes.nodes if n in ends]
        own = {step.output for step in steps}
        self.given = list(given)
        self.reads = {(end, user) for end in self.ends for user in end.users if user not in own}
        self.steps = _runs_joined(steps, self.ends)

    def _walk(
        self, ends: set[fx.Node], published: bool, steps: list[Step], given: dict[fx.Node, None]
    ) -> list[fx.Node]:
        """Fill in the steps and what they read; the ends of the published form."""
        published_ends: list[fx.Node] = []
        needed = _between(self.sources, ends)
        mixed: dict[fx.Node, bool] = dict.fromkeys(self.sources, False)
        moved: dict[fx.Node, bool] = dict.fromkeys(self.sources, False)  # positions picked: harmless until joined
        for node in self.graph.program.nodes.nodes:
            made_of = self._operated(node)
            inputs = [n for n in made_of.all_input_nodes if n in mixed]
            if node in mixed or node not in needed or not inputs or self.group.name not in self.graph.carried(node):
                continue
            if not isinstance(node.meta["val"], Tensor):
                continue  # several tensors, each of which is a step
            own = {*self.sources, *(step.output for step in steps)}
            inputs = [n for n in made_of.all_input_nodes if n in own]
            step, form = self._step(node, made_of, tuple(inputs)), entry(made_of.target).form
            shifts = any(moved.get(n) for n in inputs)
            mixes = any(mixed.get(n) for n in inputs) or (shifts and len(inputs) > 1)
            self.diagonal &= not (step.form in ("general", "selecting") and step.bends) and not (mixes and step.bends)
            steps.append(step)
            names = self.graph.program.names
            given |= dict.fromkeys(
                n
                for n in made_of.all_input_nodes
                if n not in own and n not in names and isinstance(n.meta["val"], Tensor)
            )
            if published and (step.bends or node in ends):
                published_ends.append(node)
            else:
                mixed[node] = mixes or form is Form.MIX or (form is Form.GENERAL and step.form == "linear")
                moved[node] = shifts or form in (Form.SELECT, Form.MOVE)
        if published:
            behind = _between(published_ends, ends) - set(published_ends)
            carrying = [n for n in needed if n.op == "call_function" and self.group.name in self.graph.carried(n)]
            made = {n: entry(self._operated(n).target) for n in carrying}
            self.cut = any(how.picks is not None or (how.bends and n in behind) for n, how in made.items())
        return published_ends + [n for n in self.sources if n in ends]

    def _operated(self, node: fx.Node) -> fx.Node:
        """The operation that makes a tensor: behind a piece of several, what made these."""
        source = node.args[0] if node.args else None
        piece = operation(node.target) == "getitem" and isinstance(source, fx.Node)
        return source if piece and isinstance(source, fx.Node) else node

    def _step(self, node: fx.Node, made_of: fx.Node, inputs: tuple[fx.Node, ...]) -> Step:
        form, bends = self._form(node, made_of, inputs)
        function, linear = self._functions(made_of, inputs)
        if made_of is not node:
            function, linear = (_picked(of, node.args[1]) for of in (function, linear))
        picks = entry(made_of.target).picks
        if picks is None:
            return Step(inputs, node, function, form, bends, linear)
        found = picks(arguments(made_of), sizes(inputs[0]))
        return Step(inputs, node, function, form, self._ties and found.places.shape[1] > 1, linear, found)

    def _form(self, node: fx.Node, made_of: fx.Node, inputs: Sequence[fx.Node]) -> tuple[Any, bool]:
        """How a node acts on what it reads of the chain, and whether it bends."""
        table, name, alone = entry(made_of.target), operation(made_of.target), len(inputs) == 1
        square = alone and sum(argument is inputs[0] for argument in made_of.args) > 1
        kept = alone and self.graph.layouts[node][0] == self.graph.layouts[inputs[0]][0]
        if table.form is Form.SELECT:
            return "selecting", False
        if name in ("div", "true_divide") and alone and made_of.args[0] is inputs[0] and not square:
            return ("pointwise" if kept else "linear"), False
        if table.form is Form.PRODUCT:
            if square:
                return "pointwise", True
            return ("product", True) if not alone else ("pointwise" if kept else "linear", False)
        if table.form is Form.AFFINE:
            return ("pointwise" if kept and not square else "linear"), False
        if table.form is Form.CURVED:
            return ("pointwise" if kept else "general"), True
        if table.form in (Form.MOVE, Form.MIX) or (name in ("matmul", "mm", "bmm") and alone and not square):
            return "linear", False
        return "general", True

    def _functions(self, node: fx.Node, inputs: Sequence[fx.Node]) -> tuple[Function, Function]:
        """What an operation computes, and the same less what it adds."""
        name = operation(node.target)
        if name == "batch_norm":
            return (frozen := self._frozen(node)), frozen
        function = self._on(node, inputs, _WRITTEN_OUT.get(name))
        if kinked := self._kinked(node, inputs, function):
            return kinked, kinked
        adds = name in _SUMS or name.startswith(("linear", "conv"))
        return function, self._on(node, inputs, adds=False) if adds else function

    def _kinked(self, node: fx.Node, inputs: Sequence[fx.Node], function: Function) -> Function | None:
        """A function with the surrogate for its kinks; None if it has none."""
        names = self.graph.program.names
        held = {n: self._tensors[names[n]] for n in node.all_input_nodes if n in names}
        places = kinks_of(node, entry(node.target).kinks, held)
        if not places:
            return None
        self.kinked = True
        first = arguments(node)["self"]

        def on(zs: Sequence[Tensor], given: Given) -> Tensor:
            values = {**held, **given, **dict(zip(inputs, zs, strict=True))}
            found, z = function(zs, given), values[first]
            for place, change in places:
                at = values[place] if isinstance(place, fx.Node) else place
                size = per_channel(change, z) if isinstance(change, Tensor) else change
                found = found + size * kink(z - at)
            return found

        return on

    def _on(
        self,
        node: fx.Node,
        inputs: Sequence[fx.Node],
        target: Callable[..., Tensor] | None = None,
        adds: bool = True,
    ) -> Function:
        """An operation, or what stands in for it, as a function of what it reads; or less what it adds."""
        names, tensors, name = self.graph.program.names, self._tensors, operation(node.target)
        args, kwargs = node.args, node.kwargs
        if not adds and name.startswith(("linear", "conv")):
            args = (*args[:2], None, *args[3:])
        if not adds and name in ("add", "sub", "rsub"):
            args = tuple(a if isinstance(a, fx.Node) else 0 for a in args)

        def on(zs: Sequence[Tensor], given: Given) -> Tensor:
            values = dict(zip(inputs, zs, strict=True))

            def value(n: fx.Node) -> Any:
                if n in values:
                    return values[n]
                if not isinstance(n.meta["val"], Tensor):
                    return at_batch(n.meta["val"], inputs[0], zs[0])
                held = tensors[names[n]] if n in names else given[n]
                return held if adds or name not in _SUMS else torch.zeros_like(held)

            found, options = fx.node.map_arg((args, kwargs), value)
            made: Tensor = call(node.target, found, options) if target is None else target(*found, **options)
            return made

        return on

    def _frozen(self, norm: fx.Node) -> Function:
        """Batch normalisation with its running statistics, as the affine map it is."""
        names, by_name = self.graph.program.names, arguments(norm)
        found = {
            name: self._tensors[names[node]]
            for name, node in by_name.items()
            if isinstance(node, fx.Node) and node in names
        }
        scale = torch.rsqrt(found["running_var"] + by_name["eps"])
        shift = -found["running_mean"] * scale
        if "weight" in found:
            scale, shift = scale * found["weight"], shift * found["weight"]
        shift = shift + found["bias"] if "bias" in found else shift
        return lambda zs, _: torch.addcmul(per_channel(shift, zs[0]), zs[0], per_channel(scale, zs[0]))

    @property
    def kept(self) -> list[fx.Node]:
        """Nodes whose tensors of a batch products need: what the producers read and make, and what else is read."""
        return [*self.inputs, *self.sources, *self.given]

    @property
    def ties(self) -> list[Step]:
        """Steps that select, and whose ties bend."""
        return [step for step in self.steps if step.form == "selecting" and step.bends]

    def widen(self, widths: Mapping[fx.Node, float]) -> None:
        """Set the widths of the bumps that stand in for ties, by the step's output."""
        self.steps = [replace(s, width=widths[s.output]) if s.output in widths else s for s in self.steps]

    def values(self, zs: Sequence[Tensor], given: Given | None = None) -> dict[fx.Node, Tensor]:
        """The tensors of all steps, from the producers' outputs ``zs`` and what the chain takes as given."""
        values = dict(zip(self.sources, zs, strict=True))
        for step in self.steps:
            values[step.output] = step.function([values[n] for n in step.inputs], given or {})
        return values

    def __call__(self, zs: Sequence[Tensor], given: Given | None = None) -> list[Tensor]:
        """``u_k`` from the producers' outputs ``zs`` and what the chain takes as given."""
        values = self.values(zs, given)
        return [values[end] for end in self.ends]


def _read_by(layer: fx.Node) -> fx.Node:
    """What a layer reads."""
    found = layer.args[1 if operation(layer.target) == "addmm" else 0]
    assert isinstance(found, fx.Node)
    return found


def _picked(function: Function, piece: Any) -> Function:
    return lambda zs, given: function(zs, given)[piece]


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


def _composed(outer: Function, inner: Function) -> Function:
    return lambda zs, given: outer([inner(zs, given)], given)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    dropout: float = 0.0,
    causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(q k^T / sqrt(d)) v``, written out so that it can be differentiated twice."""
    if enable_gqa:
        key, value = (t.repeat_interleave(query.shape[-3] // t.shape[-3], -3) for t in (key, value))
    scores = query @ key.transpose(-2, -1) * (1 / sqrt(query.shape[-1]) if scale is None else scale)
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype is torch.bool else scores + mask
    return torch.softmax(scores, dim=-1) @ value


def _hardsigmoid(z: Tensor) -> Tensor:
    return torch.nn.functional.relu6(z + 3) / 6


_WRITTEN_OUT: dict[str, Callable[..., Tensor]] = {
    "scaled_dot_product_attention": _attention,
    "hardsigmoid": _hardsigmoid,
}
"""Operations as functions that can be differentiated twice, where PyTorch's own cannot."""


def _between(sources: Collection[fx.Node], ends: set[fx.Node]) -> set[fx.Node]:
    """Nodes from which an end can be reached without passing beyond the ends' ancestors and the sources."""
    needed: set[fx.Node] = set()
    pending = list(ends)
    while pending:
        node = pending.pop()
        if node not in needed:
            needed.add(node)
            pending += [] if node in sources else node.all_input_nodes
    return needed
