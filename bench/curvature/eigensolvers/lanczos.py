"""Lanczos with full re-orthogonalisation, all neurons at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.errors import require
from bench.curvature.eigensolvers.base import eigensolvers
from bench.curvature.operator import Operator
from bench.curvature.spectrum import STEPS, Ask, Search, Spectrum, rounding_share


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
    """
    limit = min(config.limit, operator.size)
    state = _State(operator, generator, limit, config.tolerance)
    for step in range(1, limit + 1):
        answer = yield state.ask()
        state.step(answer.product)
        if step % 4 == 0:
            state.settle(shrink_to=1.0 if step >= config.products else 0.5)
        if not len(state.active):
            break
    values, vectors, residual, _ = state.ends(torch.arange(operator.neurons))
    return Spectrum(values[:, 0], vectors[:, 0], values[:, 1], vectors[:, 1], residual.to(values))


class _State:
    """The Krylov bases and tridiagonal matrices of all neurons."""

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
        _, _, residual, decided = self.ends(self.active)
        done = (residual <= self.tolerance) & decided
        if done.any() and (~done).sum() <= shrink_to * len(done):
            self._leave(done)

    def _leave(self, leaving: Tensor) -> None:
        stay = (~leaving).nonzero().flatten()
        for row in leaving.nonzero().flatten().tolist():
            neuron = int(self.active[row])
            self.finished[neuron] = self.basis[row, : int(self.steps[neuron])].clone()
        self.active = self.active[stay]
        here = stay.to(self.basis.device)
        self.basis, self.next = self.basis[here], self.next[here]

    def ends(self, neurons: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Ritz values ``(n, 2)``, vectors ``(n, 2, d)`` and relative residuals ``(n,)`` of both ends; and whether it is
        clear on which side of zero each lies, ``(n,)``."""
        like = self.like
        values = like.new_zeros(len(neurons), 2)
        vectors = like.new_zeros(len(neurons), 2, self.size)
        residual = torch.zeros(len(neurons), dtype=torch.float64)
        decided = torch.ones(len(neurons), dtype=torch.bool)
        rows = {int(neuron): row for row, neuron in enumerate(self.active)}
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
            open_ended = (inside > rounding_share(like) * scale[:, None]) & (inside < 10 * last)
            decided[where] = ~open_ended.any(1)
            there = where.to(like.device)
            values[there] = (ritz[:, pair] / self.scale[chosen.to(like.device), None].cpu()).to(like)
            bases = torch.stack(
                [self.finished[i] if i in self.finished else self.basis[rows[i], :m] for i in chosen.tolist()]
            )
            vectors[there] = torch.einsum("nkd,nke->ned", bases, small[:, :, pair].to(like))
        return values, torch.nn.functional.normalize(vectors, dim=2), residual, decided
