"""The second derivative of a chain as a product: ``H t = (d^2 phi / dz^2) t`` for any tangent t of the same batch.

``phi(z) = sum_k < g_k, u_k(z) >`` (`bench.chain`) is a composition of steps, so its second derivative is a sum over
the steps that bend: with ``t_s`` the tangent that reaches step s and ``b_s`` the step's second derivative times
``d phi / d (its output)``,

    < t, H t > = sum_s < t_s, b_s t_s >.

``b_s``, and the slopes by which tangents pass on, are the same for every t. They are computed once; a product then
takes one multiplication per pointwise step, forward and back, and whatever linear maps lie between. Behind a
depthwise convolution D that is ``H t = b_1 t + a D^T (b_2 D (a t))``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from bench.chain import Chain, Step


@dataclass(frozen=True, eq=False)
class _Factors:
    """What one step needs on one batch.

    Attributes:
        bend: Second derivative times ``d phi / d output``; of a product, that gradient alone. None where it is zero.
        slopes: Derivatives by each input of a pointwise step or a product, where tangents pass on.
        graph: Of a selecting step: its input, its output, a cotangent and the cotangent's image at the input.
    """

    bend: Tensor | None = None
    slopes: tuple[Tensor, ...] = ()
    graph: tuple[Tensor, ...] = ()


class ChainHessian:
    """``d^2 phi / dz^2`` on one batch.

    Args:
        chain: The chain; its model must be in evaluation mode.
        zs: The producers' outputs, shape ``(N, n, ...)`` each.
        gradients: ``g_k = dL/du_k``, one per end.
    """

    def __init__(self, chain: Chain, zs: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        self.sources = chain.sources
        self.steps = passed_on(chain)
        onward = {step.output: further for step, further in self.steps}
        values = {n: z.detach() for n, z in zip(chain.sources, zs, strict=True)}
        taped: list[tuple[Step, list[Tensor], Tensor]] = []
        with torch.enable_grad():
            for step in chain.steps:
                leaves = [values[n].detach().requires_grad_() for n in step.inputs]
                taped.append((step, leaves, step.function(*leaves)))
                values[step.output] = taped[-1][2].detach()
            weights: dict[fx.Node, Tensor] = {}
            _add(weights, chain.ends, gradients)
            factors = {}
            for step, leaves, output in reversed(taped):
                weight = weights.pop(step.output, None)
                given, found = _factors(step, onward.get(step.output, False), leaves, output, weight)
                _add(weights, step.inputs, given)
                factors[step.output] = found
        self.factors = [factors[step.output] for step, _ in self.steps]

    def product(self, tangents: Sequence[Tensor]) -> list[Tensor]:
        """``H t``.

        Args:
            tangents: t, one tensor per producer, shaped as its output.

        Returns:
            One tensor per producer, shaped alike.
        """
        reached = dict(zip(self.sources, tangents, strict=True))
        local: dict[fx.Node, tuple[list[Tensor], Tensor]] = {}
        for (step, onward), factors in zip(self.steps, self.factors, strict=True):
            if onward:
                reached[step.output] = _forward(step, factors, [reached[n] for n in step.inputs], local)
        back: dict[fx.Node, Tensor] = {}
        for (step, onward), factors in zip(reversed(self.steps), reversed(self.factors), strict=True):
            cotangent = back.get(step.output) if onward else None
            given = _backward(step, factors, [reached[n] for n in step.inputs], cotangent, local)
            _add(back, step.inputs, given)
        return [back.get(n, torch.zeros_like(t)) for n, t in zip(self.sources, tangents, strict=True)]


def passed_on(chain: Chain) -> list[tuple[Step, bool]]:
    """The steps up to the last that bends on each path, and whether tangents pass on beyond each."""
    wanted: set[fx.Node] = set()
    steps = []
    for step in reversed(chain.steps):
        onward = step.output in wanted
        if step.bends or onward:
            wanted.update(step.inputs)
            steps.append((step, onward))
    return steps[::-1]


def held(chain: Chain) -> list[fx.Node]:
    """Nodes whose tensors' sizes are those of what a `ChainHessian` keeps, one for each tensor."""
    nodes: list[fx.Node] = []
    for step, onward in passed_on(chain):
        if step.form == "selecting":
            nodes += 2 * [step.output, *step.inputs]
        elif step.form != "linear":
            nodes += [step.output] * step.bends + [*step.inputs] * onward
    return nodes


def _add(sums: dict[fx.Node, Tensor], nodes: Sequence[fx.Node], terms: Sequence[Tensor | None]) -> None:
    for node, term in zip(nodes, terms, strict=True):
        if term is not None:
            sums[node] = sums[node] + term if node in sums else term


def _factors(
    step: Step, onward: bool, leaves: list[Tensor], output: Tensor, weight: Tensor | None
) -> tuple[Sequence[Tensor | None], _Factors]:
    """``d phi`` by a step's inputs, from ``weight`` by its output (None for zero); and what it needs for products."""
    nothing = [None] * len(leaves)
    if step.form == "product":
        one, two = (leaf.detach() for leaf in leaves)
        given = nothing if weight is None else torch.autograd.grad(output, leaves, weight)
        return given, _Factors(weight, (two, one) if onward else ())
    if step.form == "pointwise" and (step.bends or onward):
        (x,) = leaves
        ones = output.new_ones(()).expand_as(output)
        (slope,) = torch.autograd.grad(output, x, ones, create_graph=step.bends)
        slopes = (slope.detach(),) if onward else ()
        if weight is None:
            return nothing, _Factors(None, slopes)
        bend = torch.autograd.grad(slope, x, weight)[0] if slope.requires_grad else None
        return [slope.detach() * weight], _Factors(bend, slopes)
    graph: tuple[Tensor, ...] = ()
    if step.form == "selecting" and onward:
        cotangent = torch.zeros_like(output, requires_grad=True)
        graph = (leaves[0], output, cotangent, *torch.autograd.grad(output, leaves, cotangent, create_graph=True))
    given = nothing if weight is None else torch.autograd.grad(output, leaves, weight, retain_graph=bool(graph))
    return given, _Factors(graph=graph)


def _forward(
    step: Step, factors: _Factors, tangents: list[Tensor], local: dict[fx.Node, tuple[list[Tensor], Tensor]]
) -> Tensor:
    """The tangent of a step's output."""
    if step.form == "linear":
        with torch.enable_grad():
            leaves = [t.detach().requires_grad_() for t in tangents]
            local[step.output] = leaves, step.linear(*leaves)
        return local[step.output][1].detach()
    if step.form == "selecting":
        _, _, cotangent, image = factors.graph
        return torch.autograd.grad(image, cotangent, tangents[0], retain_graph=True)[0]
    terms = [slope * t for slope, t in zip(factors.slopes, tangents, strict=True)]
    return terms[0] if len(terms) == 1 else terms[0] + terms[1]


def _backward(
    step: Step,
    factors: _Factors,
    tangents: list[Tensor],
    cotangent: Tensor | None,
    local: dict[fx.Node, tuple[list[Tensor], Tensor]],
) -> Sequence[Tensor | None]:
    """A step's share of ``H t`` at each of its inputs: by its own bend, and by what lies beyond it."""
    if step.form == "product":
        given: list[Tensor | None] = [None, None]
        for i, t in enumerate(tangents):
            terms = [] if factors.bend is None else [factors.bend * tangents[1 - i]]
            terms += [] if cotangent is None else [cotangent * factors.slopes[i]]
            parts = [term.sum_to_size(t.shape) for term in terms]
            given[i] = parts[0] + parts[1] if len(parts) == 2 else parts[0] if parts else None
        return given
    if step.form == "pointwise":
        own = None if factors.bend is None else factors.bend * tangents[0]
        if cotangent is None:
            return [own]
        (slope,) = factors.slopes
        return [slope * cotangent if own is None else own.addcmul_(slope, cotangent)]
    if cotangent is None:
        return [None] * len(tangents)
    if step.form == "linear":
        leaves, output = local.pop(step.output)
        return torch.autograd.grad(output, leaves, cotangent)
    x, y, _, _ = factors.graph
    return torch.autograd.grad(y, x, cotangent, retain_graph=True)
