"""Extreme eigenpairs of every neuron's splitting matrix at once, by three engines behind one interface.

* `dense` forms S and decomposes it: exact, memory ``n d^2``.
* `lanczos` needs products only: both ends of the spectrum with a residual per neuron, batched over neurons.
* `rayleigh` is the published stochastic search of fast S2D (arXiv 1910.03103), one end per run.

Each is the oracle of the others (bench/MATHS.md, section 4).

An engine is a search that asks for products and is sent them (`dense` makes its own). So one search can have its
layer's products from batches that lie in memory, and many searches can share each pass over a sample that does not
fit (`together`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.curvature.operator import Curvature, Operator
from bench.network.graph import Group


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Both ends of the spectrum of each of n neurons' S.

    Attributes:
        lowest: Smallest eigenvalues, shape ``(n,)``.
        lowest_vectors: Their unit eigenvectors, shape ``(n, d)``.
        highest: Largest eigenvalues, shape ``(n,)``.
        highest_vectors: Their unit eigenvectors, shape ``(n, d)``.
        residual: Larger ``||S v - lambda v||`` of the two ends, as a share of the larger ``|lambda|``; shape ``(n,)``.
        products: Products with S over the whole sample that the slowest neuron took.
    """

    lowest: Tensor
    lowest_vectors: Tensor
    highest: Tensor
    highest_vectors: Tensor
    residual: Tensor
    products: float


@dataclass(frozen=True, eq=False)
class Ask:
    """A product that a search asks for.

    Attributes:
        vectors: One direction per neuron, shape ``(n, d)``.
        neurons: Indices of the neurons that the rows belong to; None for all.
        whole: Whether over the whole sample, or on the next batch, as an estimate of that.
    """

    vectors: Tensor
    neurons: Tensor | None = None
    whole: bool = True


@dataclass(frozen=True, eq=False)
class Answer:
    """The product, shaped as the vectors, and whether a pass over the sample ends with it."""

    product: Tensor
    last: bool


Search = Generator[Ask, Answer, Spectrum]


@dataclass(frozen=True)
class Engine:
    """Finds both ends of the spectrum of every neuron of an operator: ``engine(operator, generator, **options)``.

    Attributes:
        search: Starts a search, from the same arguments. It reads shapes off the operator and leaves products to
            whoever carries it out.
    """

    search: Callable[..., Search]

    def __call__(self, operator: Operator, generator: torch.Generator, **options: Any) -> Spectrum:
        """Carry out the search on the operator's own batches."""
        search = self.search(operator, generator, **options)
        try:
            ask = next(search)
            while True:
                if ask.whole:
                    ask = search.send(Answer(operator(ask.vectors, ask.neurons), True))
                else:
                    ask = _pass(operator, search, ask)
        except StopIteration as end:
            found: Spectrum = end.value
            return found


def _pass(operator: Operator, search: Search, ask: Ask) -> Ask:
    """One pass over the sample, an answer for each batch; what is asked next."""
    operator.products += 1
    done = 0.0
    for batch in operator.batches():
        done += batch.share
        product = operator.on_batch(batch, ask.vectors, ask.neurons) / batch.share
        ask = search.send(Answer(product, done > 1 - 1e-9))
    return ask


def together(searches: Mapping[str, Search], curvature: Curvature) -> dict[str, Spectrum]:
    """Carry out searches in several groups, sharing each pass over the sample.

    Args:
        searches: By the group's name.
        curvature: Makes the batches.
    """
    asks: dict[str, Ask] = {}
    found: dict[str, Spectrum] = {}

    def send(name: str, answer: Answer | None) -> None:
        try:
            asks[name] = next(searches[name]) if answer is None else searches[name].send(answer)
        except StopIteration as end:
            found[name] = end.value
            asks.pop(name, None)

    for name in searches:
        send(name, None)
    while asks:
        whole = {name: torch.zeros_like(ask.vectors) for name, ask in asks.items() if ask.whole}
        done = 0.0
        for batches in curvature.batches(list(asks)):
            share = next(iter(batches.values())).share
            done += share
            for name, batch in batches.items():
                ask, operator = asks.get(name), curvature.operator(curvature.graph.groups[name])
                if ask is None:
                    continue
                product = operator.on_batch(batch, ask.vectors, ask.neurons)
                if name in whole:
                    whole[name] += product
                else:
                    send(name, Answer(product / share, done > 1 - 1e-9))
        for name in list(batches):
            curvature.operator(curvature.graph.groups[name]).products += 1
        for name, product in whole.items():
            send(name, Answer(product, True))
    return found


STEPS = 24
"""Products that most searches take: what a search holds is estimated by them."""


def solve(
    engine: Callable[[Operator, torch.Generator], Spectrum],
    curvature: Curvature,
    group: Group,
    open_groups: Sequence[Group],
    generator: torch.Generator,
) -> dict[str, Spectrum]:
    """The spectra of a group, and of those open groups that can share its passes over the sample.

    Groups are solved together where the sample does not fit into memory, as many as there is memory for their searches.

    Args:
        engine: An `Engine`, or any function that finds a group's spectrum by itself.
        curvature: The operators.
        group: Whose spectrum is wanted.
        open_groups: Groups not yet solved, the wanted one among them.
        generator: Draws the starting vectors, on the CPU.
    """
    if curvature.fits(group) or not isinstance(engine, Engine):
        return {group.name: engine(curvature.operator(group), generator)}
    left, chosen = curvature.memory, [group]
    for other in (g for g in open_groups if g is not group and not curvature.fits(g)):
        left -= STEPS * curvature.operator(other).like.nbytes
        if left > 0:
            chosen.append(other)
    return together({g.name: engine.search(curvature.operator(g), generator) for g in chosen}, curvature)


def _dense(operator: Operator, generator: torch.Generator) -> Search:
    """Form S and decompose it in float64 (``torch.linalg.eigh``). The generator is not used."""
    matrix = operator.dense()
    values, vectors = torch.linalg.eigh(matrix.cpu().double() if matrix.device.type == "mps" else matrix.double())
    values, vectors = values.to(matrix), vectors.to(matrix)
    low, high = vectors[:, :, 0], vectors[:, :, -1]
    products = [torch.einsum("nij,nj->ni", matrix, v) for v in (low, high)]
    yield from ()
    return _spectrum(values[:, 0], low, products[0], values[:, -1], high, products[1], operator.size)


def _lanczos(
    operator: Operator, generator: torch.Generator, products: int = STEPS, tolerance: float = 1e-5, limit: int = 256
) -> Search:
    """Lanczos with full re-orthogonalisation, all neurons at once.

    Stops when both ends of every neuron have a residual below ``tolerance``. Neurons that have not got there after
    ``products`` steps go on alone, up to ``limit`` steps; a neuron stops at breakdown, when its Krylov space is
    exhausted and its eigenpairs are exact. The error of an eigenvalue is of the order of the residual's square.

    Args:
        operator: The splitting operator.
        generator: Draws the starting vectors, on the CPU.
        products: Steps for all neurons together.
        tolerance: Residual at which a neuron is done, as a share of its larger ``|lambda|``.
        limit: Steps at most for any neuron.
    """
    n, d = operator.neurons, operator.size
    state = _Lanczos(operator, generator, min(limit, d), tolerance)
    for step in range(min(limit, d)):
        answer = yield state.ask()
        state.step(answer.product)
        if (step + 1) % 4 == 0:
            state.settle(shrink_to=1.0 if step + 1 >= products else 0.5)
        if not len(state.active):
            break
    values, vectors, residual = state.ends(torch.arange(n))
    return Spectrum(
        values[:, 0], vectors[:, 0], values[:, 1], vectors[:, 1], residual.to(values), float(state.steps.max())
    )


class _Lanczos:
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
        _, _, residual = self.ends(self.active)
        done = residual <= self.tolerance
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

    def ends(self, neurons: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ritz values ``(n, 2)``, vectors ``(n, 2, d)`` and relative residuals ``(n,)`` of both ends."""
        like = self.like
        values = like.new_zeros(len(neurons), 2)
        vectors = like.new_zeros(len(neurons), 2, self.size)
        residual = torch.zeros(len(neurons), dtype=torch.float64)
        rows = {int(neuron): row for row, neuron in enumerate(self.active)}
        for m in sorted(set(self.steps[neurons].tolist())):
            where = (self.steps[neurons] == m).nonzero().flatten()
            chosen = neurons[where]
            off = torch.diag_embed(self.beta[chosen, : m - 1], offset=1)
            tridiagonal = torch.diag_embed(self.alpha[chosen, :m]) + off + off.transpose(1, 2)
            ritz, small = torch.linalg.eigh(tridiagonal)
            pair = [0, m - 1]
            last = (self.beta[chosen, m - 1, None] * small[:, -1, pair]).abs()
            residual[where] = last.amax(1) / ritz[:, pair].abs().amax(1).clamp(min=1e-300)
            there = where.to(like.device)
            values[there] = (ritz[:, pair] / self.scale[chosen.to(like.device), None].cpu()).to(like)
            bases = torch.stack(
                [self.finished[i] if i in self.finished else self.basis[rows[i], :m] for i in chosen.tolist()]
            )
            vectors[there] = torch.einsum("nkd,nke->ned", bases, small[:, :, pair].to(like))
        return values, torch.nn.functional.normalize(vectors, dim=2), residual


def _rayleigh(
    operator: Operator, generator: torch.Generator, passes: int = 10, lr: float = 1e-3, highest: bool = True
) -> Search:
    """The published search: descend the Rayleigh quotient by RMSprop on mini-batches of the sample.

    ``R(v) = v^T S v / v^T v`` with ``grad R = 2 (S v - R v) / ||v||^2``; RMSprop with momentum 0.9 and alpha 0.9, v
    from U(-0.1, 0.1) and renormalised after each step, the rate times 0.2 every second pass; lambda and v
    are averages over the last pass. The largest eigenvalue is the smallest of -S, found in a second run.

    Args:
        operator: The splitting operator; its batches are the mini-batches.
        generator: Draws the starting vectors, on the CPU.
        passes: Passes over the sample.
        lr: First learning rate.
        highest: Whether to search the largest eigenvalue too; zeros otherwise.
    """
    low, low_vectors = yield from _descend(operator, generator, passes, lr, 1.0)
    low_product = (yield Ask(low_vectors)).product
    if not highest:
        zero = torch.zeros_like(low)
        return _spectrum(low, low_vectors, low_product, zero, low_vectors, zero[:, None] * low_vectors, passes + 1)
    high, high_vectors = yield from _descend(operator, generator, passes, lr, -1.0)
    high_product = (yield Ask(high_vectors)).product
    return _spectrum(low, low_vectors, low_product, -high, high_vectors, high_product, 2 * (passes + 1))


def _descend(
    operator: Operator, generator: torch.Generator, passes: int, lr: float, sign: float
) -> Generator[Ask, Answer, tuple[Tensor, Tensor]]:
    start = torch.rand(operator.neurons, operator.size, generator=generator, dtype=torch.float64) * 0.2 - 0.1
    v = torch.nn.functional.normalize(start, dim=1).to(operator.like).requires_grad_()
    optimizer = torch.optim.RMSprop([v], lr=lr, alpha=0.9, momentum=0.9)
    total_value, total_vector, count = torch.zeros_like(v[:, 0]), torch.zeros_like(v), 0
    for number in range(passes):
        optimizer.param_groups[0]["lr"] = lr * 0.2 ** (number // 2)
        last = False
        while not last:
            answer = yield Ask(v.detach(), whole=False)
            last = answer.last
            with torch.no_grad():
                product = sign * answer.product
                quotient = (v * product).sum(1)
                v.grad = 2 * (product - quotient[:, None] * v)
                optimizer.step()
                v.copy_(torch.nn.functional.normalize(v, dim=1))
                if number == passes - 1:
                    total_value, total_vector, count = total_value + quotient, total_vector + v, count + 1
    return total_value / count, torch.nn.functional.normalize(total_vector, dim=1)


def _spectrum(
    low: Tensor,
    low_vectors: Tensor,
    low_product: Tensor,
    high: Tensor,
    high_vectors: Tensor,
    high_product: Tensor,
    products: float,
) -> Spectrum:
    """A `Spectrum` with its residuals, from the product at each end."""
    miss = torch.linalg.vector_norm(low_product - low[:, None] * low_vectors, dim=1)
    miss_high = torch.linalg.vector_norm(high_product - high[:, None] * high_vectors, dim=1)
    scale = torch.maximum(low.abs(), high.abs()).clamp(min=torch.finfo(low.dtype).tiny)
    return Spectrum(low, low_vectors, high, high_vectors, torch.maximum(miss, miss_high) / scale, float(products))


dense, lanczos, rayleigh = Engine(_dense), Engine(_lanczos), Engine(_rayleigh)
ENGINES: dict[str, Engine] = {"dense": dense, "lanczos": lanczos, "rayleigh": rayleigh}
