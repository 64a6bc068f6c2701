"""Lanczos with full re-orthogonalisation, all neurons at once."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from bench.core.errors import require
from bench.curvature.eigensolvers.base import eigensolvers
from bench.curvature.operator import Operator
from bench.curvature.spectrum import STEPS, Answer, Ask, Estimate, Search, Spectrum, rounding_share

ESTIMATED = 6
"""Products after which a search says what it knows."""

MISSED = 0.2
"""Share of a spectrum's width that may lie beyond an end that is not settled, however small its residual: a start that
is nearly orthogonal to an eigenvector sees it late. Of 1,472 neurons of trained networks 0.15 at most."""

DOUBT = 10.0
"""Residuals within which the end of a spectrum is taken to lie."""


@dataclass(frozen=True)
class LanczosConfig:
    """When to stop.

    Attributes:
        products: Steps for all neurons together.
        tolerance: Residual at which a neuron is done, as a share of its larger ``|lambda|``.
        limit: Steps at most for any neuron.
    """

    products: int = STEPS
    tolerance: float = 1e-5
    limit: int = 256

    def __post_init__(self) -> None:
        for name in ("products", "limit"):
            value = getattr(self, name)
            require(value >= 1, f"growth.engine_options.{name}", value, "a whole number of at least 1")
        require(0 <= self.tolerance < 1, "growth.engine_options.tolerance", self.tolerance, "a number in [0, 1)")


@eigensolvers.register("lanczos", LanczosConfig)
def lanczos(config: LanczosConfig, operator: Operator, generator: torch.Generator) -> Search:
    """Both ends by products alone.

    Stops when both ends of every neuron have a residual below ``tolerance``, and it is clear on which side of zero each
    lies: a smallest eigenvalue that is still above, by less than ten times its residual, may yet be below. Neurons that
    have not got there after ``products`` steps go on alone, up to ``limit`` steps; a neuron stops at breakdown, when
    its Krylov space is exhausted and its eigenpairs are exact. The error of an eigenvalue is of the order of the
    residual's square.

    After `ESTIMATED` steps it says what it knows. Where it is then told with which neurons to go on, each of these goes
    on alone until it is done, and the others wait.
    """
    limit = min(config.limit, operator.size)
    state = _State(operator, generator, limit, config.tolerance)
    for step in range(1, limit + 1):
        answer: Answer = yield state.ask()
        state.step(answer.product)
        if step % 4 == 0:
            state.settle(shrink_to=1.0 if step >= config.products else 0.5)
        if not len(state.active):
            break
        if step == ESTIMATED and (wanted := (yield state.estimate())) is not None:
            yield from _of_some(state, wanted)
            break
    return state.spectrum()


def _of_some(state: _State, wanted: Tensor) -> Generator[Ask | Estimate, object, None]:
    """Go on with those neurons that are wanted, until all are done or nothing more is."""
    state.wait()
    while True:
        state.take_up(wanted)
        while len(state.active):
            answer = yield state.ask()
            assert isinstance(answer, Answer)
            state.step(answer.product)
            if state.basis.shape[1] % 2:
                state.settle(shrink_to=1.0)
        if not len(state.waiting):
            return
        told = yield state.estimate()
        wanted = told if isinstance(told, Tensor) else state.waiting


class _Ends(NamedTuple):
    """Both ends of n spectra as Krylov spaces have them.

    Attributes:
        values: Ritz values, shape ``(n, 2)``.
        vectors: Unit Ritz vectors, shape ``(n, 2, d)``.
        misses: Residuals ``||S v - lambda v||``, shape ``(n, 2)``.
        residual: The larger as a share of the larger ``|lambda|``, shape ``(n,)``.
        decided: Whether it is clear on which side of zero each end lies, shape ``(n,)``.
    """

    values: Tensor
    vectors: Tensor
    misses: Tensor
    residual: Tensor
    decided: Tensor


class _State:
    """The Krylov bases and tridiagonal matrices of all neurons.

    Attributes:
        active: Neurons that products are asked for; `basis` holds theirs.
        waiting: Neurons that were left, all after the same step; `left` holds their bases.
        finished: Bases of the neurons that are done.
    """

    def __init__(self, operator: Operator, generator: torch.Generator, limit: int, tolerance: float) -> None:
        n, d = operator.neurons, operator.size
        self.neurons, self.size, self.like, self.tolerance = n, d, operator.like, tolerance
        start = torch.randn(n, d, generator=generator, dtype=torch.float64)
        start /= torch.linalg.vector_norm(start, dim=1, keepdim=True)
        self.basis = start.to(self.like)[:, None]  # (n, steps, d)
        self.next = self.basis[:, 0]
        self.alpha = torch.zeros(n, limit, dtype=torch.float64)
        self.beta = torch.zeros(n, limit, dtype=torch.float64)
        self.steps = torch.zeros(n, dtype=torch.long)
        self.active = torch.arange(n)
        self.waiting, self.left = self.active[:0], self.basis[:0]
        self.finished: dict[int, Tensor] = {}
        self.scale = torch.ones_like(self.like[:, 0])

    def ask(self) -> Ask:
        """The last basis vectors of the neurons still active."""
        q = self.basis[:, -1]
        return Ask(q, None if len(self.active) == self.neurons else self.active.to(q.device))

    def step(self, w: Tensor) -> None:
        """Go on by the product of what was asked."""
        k, active = self.basis.shape[1] - 1, self.active
        here = active.to(w.device)
        if k == 0:  # powers of two, lest squares of tiny products vanish in float32
            self.scale = torch.exp2(-torch.frexp(w.abs().amax(1)).exponent.to(w.dtype)).clamp(max=2.0**120)
        q, w = self.basis[:, k], w * self.scale[here, None]
        alpha = (w * q).sum(1)
        for _ in range(2):  # once is not enough in floating point ("twice is enough", Kahan and Parlett)
            w = w - torch.einsum("nkd,nk->nd", self.basis, torch.einsum("nkd,nd->nk", self.basis, w))
        beta = torch.linalg.vector_norm(w, dim=1)
        self.alpha[active, k], self.beta[active, k] = alpha.cpu().double(), beta.cpu().double()
        self.steps[active] = k + 1
        scale = (self.alpha[active].abs() + self.beta[active]).amax(1)
        broken = self.beta[active, k] <= 10 * torch.finfo(w.dtype).eps * scale
        self.next = w / beta.clamp(min=torch.finfo(w.dtype).tiny)[:, None]
        if broken.any() or k + 1 == self.alpha.shape[1]:
            self._leave(broken | (k + 1 == self.alpha.shape[1]))
        self.basis = torch.cat([self.basis, self.next[:, None]], dim=1)

    def settle(self, shrink_to: float) -> None:
        """Let neurons leave that are done, if no more than a share ``shrink_to`` would stay."""
        done = self._done(self.ends(self.active))
        if done.any() and (~done).sum() <= shrink_to * len(done):
            self._leave(done)

    def _done(self, ends: _Ends) -> Tensor:
        return (ends.residual <= self.tolerance) & ends.decided

    def wait(self) -> None:
        """Leave all neurons that are still active where they are, but for those that are done."""
        self.settle(shrink_to=1.0)
        self.waiting, self.left = self.active, self.basis
        self.active, self.basis = self.active[:0], self.basis[:0]

    def take_up(self, wanted: Tensor) -> None:
        """Go on with some of the neurons that wait."""
        chosen = torch.isin(self.waiting, wanted)
        for_basis = chosen.to(self.left.device)
        self.active, self.basis = self.waiting[chosen], self.left[for_basis]
        self.waiting, self.left = self.waiting[~chosen], self.left[~for_basis]

    def _leave(self, leaving: Tensor) -> None:
        stay = (~leaving).nonzero().flatten()
        for row in leaving.nonzero().flatten().tolist():
            neuron = int(self.active[row])
            self.finished[neuron] = self.basis[row, : int(self.steps[neuron])].clone()
        self.active = self.active[stay]
        here = stay.to(self.basis.device)
        self.basis, self.next = self.basis[here], self.next[here]

    def spectrum(self) -> Spectrum:
        """What has been found."""
        return self._spectrum(self.ends(torch.arange(self.neurons)))

    def _spectrum(self, ends: _Ends) -> Spectrum:
        values, vectors = ends.values, ends.vectors
        return Spectrum(values[:, 0], vectors[:, 0], values[:, 1], vectors[:, 1], ends.residual.to(values))

    def estimate(self) -> Estimate:
        """What has been found, and how far the spectra may reach beyond it."""
        ends = self.ends(torch.arange(self.neurons))
        settled = self._done(ends)
        settled[list(self.finished)] = True
        width = (ends.values[:, 1] - ends.values[:, 0])[:, None]
        slack = torch.maximum(DOUBT * ends.misses.to(width), MISSED * width)
        slack[settled.to(slack.device)] = 0
        return Estimate(self._spectrum(ends), slack, settled)

    def ends(self, neurons: Tensor) -> _Ends:
        """Both ends of some neurons' spectra."""
        like = self.like
        values = like.new_zeros(len(neurons), 2)
        vectors = like.new_zeros(len(neurons), 2, self.size)
        misses = torch.zeros(len(neurons), 2, dtype=torch.float64)
        residual = torch.zeros(len(neurons), dtype=torch.float64)
        decided = torch.ones(len(neurons), dtype=torch.bool)
        held = {int(neuron): self.basis[row] for row, neuron in enumerate(self.active)}
        held |= {int(neuron): self.left[row] for row, neuron in enumerate(self.waiting)} | self.finished
        for m in sorted(set(self.steps[neurons].tolist())):
            where = (self.steps[neurons] == m).nonzero().flatten()
            chosen = neurons[where]
            off = torch.diag_embed(self.beta[chosen, : m - 1], offset=1)
            tridiagonal = torch.diag_embed(self.alpha[chosen, :m]) + off + off.transpose(1, 2)
            ritz, small = torch.linalg.eigh(tridiagonal)
            pair = [0, m - 1]
            last = (self.beta[chosen, m - 1, None] * small[:, -1, pair]).abs()
            scale = ritz[:, pair].abs().amax(1).clamp(min=1e-300)
            residual[where] = last.amax(1) / scale
            inside = ritz[:, pair] * torch.tensor([1.0, -1.0])  # Ritz values lie within the spectrum
            open_ended = (inside > rounding_share(like) * scale[:, None]) & (inside < DOUBT * last)
            decided[where] = ~open_ended.any(1)
            there, unscaled = where.to(like.device), self.scale[chosen.to(like.device), None].cpu()
            values[there], misses[where] = (ritz[:, pair] / unscaled).to(like), last / unscaled
            bases = torch.stack([held[i][:m] for i in chosen.tolist()])
            vectors[there] = torch.einsum("nkd,nke->ned", bases, small[:, :, pair].to(like))
        return _Ends(values, torch.nn.functional.normalize(vectors, dim=2), misses, residual, decided)
