"""The second derivative of a chain as a product: ``H t = (d^2 phi / dz^2) t`` for any tangent t of the same batch.

``phi(z) = sum_k < g_k, u_k(z) >`` (`bench.curvature.chain`) is a composition of steps, so its second derivative is a
sum over the steps that bend: with ``t_s`` the tangent that reaches step s and ``b_s`` the step's second derivative
times ``d phi / d (its output)``,

    < t, H t > = sum_s < t_s, b_s t_s >.

``b_s``, and the slopes by which tangents pass on, are the same for every t. They are computed once; a product then
takes one multiplication per pointwise step, forward and back, and whatever linear maps lie between. Behind a
depthwise convolution D that is ``H t = b_1 t + a D^T (b_2 D (a t))``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, fx

from bench.curvature.chain import Chain, Given, Step
from bench.curvature.surrogate import bump
from bench.curvature.ties import contest, flat, unflat

Terms = Sequence[Tensor | None]
"""One tensor per input of a step; None for zero."""


class ChainHessian:
    """``d^2 phi / dz^2`` on one batch.

    Args:
        chain: The chain.
        zs: The producers' outputs, shape ``(N, n, ...)`` each.
        gradients: ``g_k = dL/du_k``, one per end.
        given: What else the chain reads, by node.
    """

    def __init__(
        self, chain: Chain, zs: Sequence[Tensor], gradients: Sequence[Tensor], given: Given | None = None
    ) -> None:
        self.sources = chain.sources
        values = {n: z.detach() for n, z in zip(chain.sources, zs, strict=True)}
        taped: list[tuple[Step, list[Tensor], Tensor]] = []
        with torch.enable_grad():
            for step in chain.steps:
                leaves = [values[n].detach().requires_grad_() for n in step.inputs]
                taped.append((step, leaves, step.function(leaves, given or {})))
                values[step.output] = taped[-1][2].detach()
            weights: dict[fx.Node, Tensor] = {}
            _add(weights, chain.ends, gradients)
            onward = {step.output: further for step, further in passed_on(chain)}
            self.parts: list[tuple[Step, bool, _Part]] = []
            for step, leaves, output in reversed(taped):
                further, weight = onward.get(step.output, False), weights.pop(step.output, None)
                part = _PARTS[step.form](step, further, leaves, output, weight, given or {})
                if step.output in onward:
                    self.parts.insert(0, (step, further, part))
                _add(weights, step.inputs, part.given)
                part.given = ()

    def product(self, tangents: Sequence[Tensor]) -> list[Tensor]:
        """``H t``.

        Args:
            tangents: t, one tensor per producer, shaped as its output.

        Returns:
            One tensor per producer, shaped alike.
        """
        reached = dict(zip(self.sources, tangents, strict=True))
        for step, onward, part in self.parts:
            if onward:
                reached[step.output] = part.forward([reached[n] for n in step.inputs])
        back: dict[fx.Node, Tensor] = {}
        for step, onward, part in reversed(self.parts):
            cotangent = back.get(step.output) if onward else None
            _add(back, step.inputs, part.backward([reached[n] for n in step.inputs], cotangent))
        return [back[n] if n in back else torch.zeros_like(t) for n, t in zip(self.sources, tangents, strict=True)]


def pushed(step: Step, inputs: Sequence[Tensor], tangents: Sequence[Tensor], given: Given) -> tuple[Tensor, Tensor]:
    """What a step makes of its inputs, and of tangents of these."""
    with torch.enable_grad():
        leaves = [x.detach().requires_grad_() for x in inputs]
        output = step.function(leaves, given)
        part = _PARTS[step.form](step, True, leaves, output, None, given)
    return output.detach(), part.forward(list(tangents)).detach()


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
        if step.form == "general":  # and what lies between, several times
            nodes += 6 * [step.output, *step.inputs]
        elif step.form == "selecting":
            nodes += [step.output] * (5 if step.width else 2)  # indices are of twice the size
        elif step.form != "linear":
            nodes += [step.output] * step.bends + [*step.inputs] * onward
    return nodes


def _add(sums: dict[fx.Node, Tensor], nodes: Sequence[fx.Node], terms: Terms) -> None:
    for node, term in zip(nodes, terms, strict=True):
        if term is not None:
            sums[node] = sums[node] + term if node in sums else term


class _Part(ABC):
    """What one step does to tangents on one batch.

    Made of the step, whether tangents pass on beyond it, its inputs as leaves, its output, ``d phi / d output`` (None
    for zero) and what else the chain reads.

    Attributes:
        given: ``d phi`` by the step's inputs.
    """

    given: Terms

    @abstractmethod
    def __init__(
        self, step: Step, onward: bool, leaves: list[Tensor], output: Tensor, weight: Tensor | None, given: Given
    ) -> None:
        """Take from the batch what products need."""

    @abstractmethod
    def forward(self, tangents: list[Tensor]) -> Tensor:
        """The tangent of the output."""

    @abstractmethod
    def backward(self, tangents: list[Tensor], cotangent: Tensor | None) -> Terms:
        """The step's share of ``H t`` at each input: by its own bend, and by what lies beyond it."""


def _pulled_back(output: Tensor, leaves: list[Tensor], weight: Tensor | None) -> Terms:
    """``d phi`` by the leaves; None for one whose values it does not depend on, as of which the shape alone is read."""
    return [None] * len(leaves) if weight is None else torch.autograd.grad(output, leaves, weight, allow_unused=True)


class _Pointwise(_Part):
    """``y = f(x)``: the bend ``f''(x) d phi/dy`` and the slope ``f'(x)``."""

    def __init__(
        self, step: Step, onward: bool, leaves: list[Tensor], output: Tensor, weight: Tensor | None, given: Given
    ) -> None:
        self.bend: Tensor | None = None
        self.slope: Tensor | None = None
        if not (step.bends or onward):
            self.given = _pulled_back(output, leaves, weight)
        else:
            ones = output.new_ones(()).expand_as(output)
            (slope,) = torch.autograd.grad(output, leaves, ones, create_graph=step.bends)
            if weight is not None and slope.requires_grad:
                (self.bend,) = torch.autograd.grad(slope, leaves, weight)
            self.given = [None if weight is None else slope.detach() * weight]
            self.slope = slope.detach() if onward else None

    def forward(self, tangents: list[Tensor]) -> Tensor:
        assert self.slope is not None
        return self.slope * tangents[0]

    def backward(self, tangents: list[Tensor], cotangent: Tensor | None) -> Terms:
        own = None if self.bend is None else self.bend * tangents[0]
        if cotangent is None:
            return [own]
        assert self.slope is not None
        return [self.slope * cotangent if own is None else own.addcmul_(self.slope, cotangent)]


class _Product(_Part):
    """``y = a b``: the gradient ``d phi/dy`` joins the tangents of a and b, each of which is the other's slope."""

    def __init__(
        self, step: Step, onward: bool, leaves: list[Tensor], output: Tensor, weight: Tensor | None, given: Given
    ) -> None:
        self.given = _pulled_back(output, leaves, weight)
        self.weight = weight
        self.slopes = [leaf.detach() for leaf in reversed(leaves)] if onward else []

    def forward(self, tangents: list[Tensor]) -> Tensor:
        return self.slopes[0] * tangents[0] + self.slopes[1] * tangents[1]

    def backward(self, tangents: list[Tensor], cotangent: Tensor | None) -> Terms:
        given: list[Tensor | None] = []
        for i, t in enumerate(tangents):  # either may have been broadcast
            terms = [] if self.weight is None else [(self.weight * tangents[1 - i]).sum_to_size(t.shape)]
            terms += [] if cotangent is None else [(cotangent * self.slopes[i]).sum_to_size(t.shape)]
            given.append(torch.stack(terms).sum(0) if terms else None)
        return given


class _Linear(_Part):
    """A linear map: what it does to tangents is taped for the way back."""

    def __init__(
        self, step: Step, onward: bool, leaves: list[Tensor], output: Tensor, weight: Tensor | None, given: Given
    ) -> None:
        self.given = _pulled_back(output, leaves, weight)
        self.function, self.held = step.linear, given
        self.taped: tuple[list[Tensor], Tensor] | None = None

    def forward(self, tangents: list[Tensor]) -> Tensor:
        with torch.enable_grad():
            leaves = [t.detach().requires_grad_() for t in tangents]
            self.taped = leaves, self.function(leaves, self.held)
        return self.taped[1].detach()

    def backward(self, tangents: list[Tensor], cotangent: Tensor | None) -> Terms:
        assert self.taped is not None
        (leaves, output), self.taped = self.taped, None
        return _pulled_back(output, leaves, cotangent)


class _Selecting(_Part):
    """The largest entry of each window: tangents pass where it is, and the bump of its gap to the next one bends."""

    def __init__(
        self, step: Step, onward: bool, leaves: list[Tensor], output: Tensor, weight: Tensor | None, given: Given
    ) -> None:
        assert step.picks is not None
        self.given = _pulled_back(output, leaves, weight)
        self.picks, self.shape = step.picks, output.shape
        self.first, self.second, gap = contest(leaves[0].detach(), step.picks)
        self.bend: Tensor | None = None
        if step.width and weight is not None:
            self.bend = step.picks.sign * weight.reshape(gap.shape) * bump(gap, step.width)
        else:
            del self.second

    def forward(self, tangents: list[Tensor]) -> Tensor:
        return flat(tangents[0], self.picks).gather(-1, self.first).reshape(self.shape)

    def backward(self, tangents: list[Tensor], cotangent: Tensor | None) -> Terms:
        entries = flat(tangents[0], self.picks)
        back = torch.zeros_like(entries)
        if self.bend is not None:
            pull = self.bend * (entries.gather(-1, self.first) - entries.gather(-1, self.second))
            back.scatter_add_(-1, self.first, pull).scatter_add_(-1, self.second, -pull)
        if cotangent is not None:
            back.scatter_add_(-1, self.first, cotangent.reshape(self.first.shape))
        return [unflat(back, self.picks, tangents[0])]


class _General(_Part):
    """Any function: its second derivative, and tangents by differentiating its gradient."""

    def __init__(
        self, step: Step, onward: bool, leaves: list[Tensor], output: Tensor, weight: Tensor | None, given: Given
    ) -> None:
        self.leaves, self.output, self.onward = leaves, output, onward
        self.first: Terms = [None] * len(leaves)
        if weight is not None:
            self.first = torch.autograd.grad(output, leaves, weight, create_graph=True, allow_unused=True)
        self.given = [None if g is None else g.detach() for g in self.first]
        if onward:
            self.probe = torch.zeros_like(output, requires_grad=True)
            self.image = torch.autograd.grad(output, leaves, self.probe, create_graph=True, materialize_grads=True)

    def forward(self, tangents: list[Tensor]) -> Tensor:
        return torch.autograd.grad(self.image, self.probe, tangents, retain_graph=True)[0]

    def backward(self, tangents: list[Tensor], cotangent: Tensor | None) -> Terms:
        pairs = [(g, t) for g, t in zip(self.first, tangents, strict=True) if g is not None and g.requires_grad]
        outputs, weights = [g for g, _ in pairs], [t for _, t in pairs]
        if cotangent is not None:
            outputs, weights = [*outputs, self.output], [*weights, cotangent]
        if not outputs:
            return [None] * len(self.leaves)
        return torch.autograd.grad(outputs, self.leaves, weights, retain_graph=True, allow_unused=True)


_PARTS: dict[str, type[_Part]] = {
    "pointwise": _Pointwise,
    "product": _Product,
    "linear": _Linear,
    "selecting": _Selecting,
    "general": _General,
}
