"""The three engines against each other and against what they claim."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from bench.curvature.eigen import ENGINES, Answer, Spectrum, dense, lanczos, rayleigh, together
from bench.curvature.operator import Curvature
from bench.curvature.sample import Sample
from bench.network.graph import Graph
from tests.nets import NETS, Net, grow_context, named


class Matrices:
    """Given matrices in the place of an `bench.curvature.operator.Operator`."""

    def __init__(self, matrices: Tensor) -> None:
        self.matrices, self.like = matrices, matrices[:, 0]
        self.neurons, self.size = self.like.shape
        self.products = self.common = 0

    def __call__(self, vectors: Tensor, neurons: Tensor | None = None) -> Tensor:
        self.products += 1
        self.common += neurons is None
        chosen = self.matrices if neurons is None else self.matrices[neurons]
        return torch.einsum("nij,nj->ni", chosen, vectors)

    def dense(self) -> Tensor:
        self.products += self.size
        return self.matrices


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def symmetric(values: Tensor, seed: int = 0) -> Tensor:
    """Matrices with these eigenvalues, shape ``(n, d)``, in random bases."""
    n, d = values.shape
    bases = torch.linalg.qr(torch.randn(n, d, d, generator=generator(seed), dtype=torch.float64)).Q
    return torch.einsum("nij,nj,nkj->nik", bases, values.double(), bases)


def check(spectrum: Spectrum, matrices: Tensor, tolerance: float, slack: float = 1e-12) -> None:
    """Values within ``tolerance`` of the largest, unit vectors, and a residual no smaller than the true one."""
    values = torch.linalg.eigvalsh(matrices)
    scale = values.abs().amax(1).clamp(min=1e-300)
    assert ((spectrum.lowest - values[:, 0]).abs() <= tolerance * scale).all()
    assert ((spectrum.highest - values[:, -1]).abs() <= tolerance * scale).all()
    true = torch.zeros(len(values), dtype=torch.float64)
    for value, vector in (
        (spectrum.lowest, spectrum.lowest_vectors),
        (spectrum.highest, spectrum.highest_vectors),
    ):
        assert torch.allclose(torch.linalg.vector_norm(vector, dim=1), torch.ones_like(value))
        miss = torch.einsum("nij,nj->ni", matrices, vector) - value[:, None] * vector
        true = torch.maximum(true, torch.linalg.vector_norm(miss, dim=1))
    ends = torch.maximum(spectrum.lowest.abs(), spectrum.highest.abs()).clamp(min=1e-300)
    torch.testing.assert_close(spectrum.residual.double(), true / ends, rtol=1e-3, atol=slack)


CASES: dict[str, Tensor] = {
    "spread": torch.linspace(-1, 2, 40).expand(3, -1),
    "rank one": torch.tensor([[0.0] * 9 + [2.0], [-3.0] + [0.0] * 9]),
    "rank two": torch.tensor([[-1.0] + [0.0] * 20 + [1.0]]),
    "zero": torch.zeros(3, 6),
    "some zero": torch.stack([torch.zeros(12), torch.linspace(-1, 1, 12)]),
    "one dimension": torch.tensor([[-2.0], [0.0], [3.0]]),
    "two dimensions": torch.tensor([[-2.0, 1.0], [1.0, 1.0]]),
    "identical": torch.full((2, 30), -0.7),
    "two values": torch.cat([torch.full((2, 15), -1.0), torch.full((2, 15), 0.5)], 1),
    "definite": torch.linspace(0.1, 1, 20).expand(2, -1),
    "tiny": 1e-9 * torch.linspace(-1, 2, 20).expand(2, -1),
    "huge": 1e9 * torch.linspace(-1, 2, 20).expand(2, -1),
    "mixed speeds": torch.stack([torch.tensor([-9.0, *[0.0] * 48, 9.0]), torch.linspace(-1, 1, 50)]),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("engine", ["dense", "lanczos"])
def test_both_ends_of_known_spectra(name: str, engine: str) -> None:
    matrices = symmetric(CASES[name])
    check(ENGINES[engine](Matrices(matrices), generator()), matrices, 1e-9)


@pytest.mark.parametrize("name", CASES)
def test_both_ends_in_single_precision(name: str) -> None:
    matrices = symmetric(CASES[name])
    found = lanczos(Matrices(matrices.float()), generator())
    scale = CASES[name].abs().amax(1).clamp(min=1e-30)
    assert ((found.lowest - CASES[name].amin(1)).abs() <= 2e-5 * scale).all()
    assert ((found.highest - CASES[name].amax(1)).abs() <= 2e-5 * scale).all()
    assert found.residual.isfinite().all()


@settings(max_examples=40)
@given(
    n=st.integers(1, 5), d=st.integers(1, 30), rank=st.integers(0, 30), seed=st.integers(0, 10**6), repeat=st.booleans()
)
def test_lanczos_on_random_spectra(n: int, d: int, rank: int, seed: int, repeat: bool) -> None:
    values = torch.randn(n, d, generator=generator(seed))
    values[:, rank:] = 0
    values = values.round() if repeat else values
    matrices = symmetric(values, seed)
    check(lanczos(Matrices(matrices), generator(seed)), matrices, 1e-9)


def test_lanczos_stops_at_breakdown() -> None:
    """A Krylov space of rank r + 1 is exhausted after r + 1 steps, and no more products are spent on it."""
    operator = Matrices(symmetric(CASES["rank two"]))
    found = lanczos(operator, generator())
    assert found.products <= 3
    assert lanczos(Matrices(symmetric(CASES["zero"])), generator()).products == 1
    assert lanczos(Matrices(symmetric(CASES["identical"])), generator()).products <= 2


def test_lanczos_spends_common_products_first_then_goes_on_with_the_slow_ones() -> None:
    values = torch.cat([torch.tensor([[-1.0, *[0.0] * 198, 1.0]]).expand(9, -1), torch.linspace(-1, 1, 200)[None]])
    operator = Matrices(symmetric(values))
    found = lanczos(operator, generator(), products=24)
    assert operator.common <= 24
    assert operator.products == found.products > 24
    check(found, operator.matrices, 1e-9)


def test_lanczos_says_how_far_it_got_when_it_is_cut_short() -> None:
    matrices = symmetric(torch.linspace(-1, 1, 200).expand(2, -1))
    found = lanczos(Matrices(matrices), generator(), limit=8)
    assert found.products == 8
    assert found.residual.min() > 1e-3
    check(found, matrices, 0.2)


@pytest.mark.parametrize("net", NETS, ids=str)
def test_engines_agree_on_every_net(net: Net) -> None:
    graph = net.graph()
    curvature = Curvature(graph, Sample(*net.sample(), F.cross_entropy))
    for group in graph.groups.values():
        matrices = curvature.operator(group).dense()
        check(dense(curvature.operator(group), generator()), matrices, 1e-10)
        check(lanczos(curvature.operator(group), generator()), matrices, 1e-9)


def test_lanczos_on_a_trained_net_within_24_common_products() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU(), nn.Conv2d(8, 12, 3, bias=False)]
    model = nn.Sequential(
        *layers, nn.BatchNorm2d(12), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 3)
    )
    inputs = torch.randn(60, 2, 7, 7)
    targets = (inputs[:, 0, :3].mean((1, 2)) > 0).long() + (inputs[:, 1].mean((1, 2)) > 0).long()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(15):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    model.double().eval()
    graph = Graph(model, (2, 7, 7))
    curvature = Curvature(graph, Sample(inputs.double(), targets, F.cross_entropy))
    for group in graph.groups.values():
        operator = Counted(curvature.operator(group))
        found = lanczos(operator, generator())
        assert operator.common <= 24
        check(found, curvature.operator(group).dense(), 1e-5)


class Counted:
    """An operator that counts its products with all neurons."""

    def __init__(self, operator: Any) -> None:
        self.operator, self.common = operator, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.operator, name)

    def __call__(self, vectors: Tensor, neurons: Tensor | None = None) -> Tensor:
        self.common += neurons is None
        return self.operator(vectors, neurons)


def test_rayleigh_finds_the_ends_given_enough_steps() -> None:
    """Mini-batches that are all alike: what is left is the search itself."""
    net = named("mlp")
    graph = net.graph()
    inputs, targets = net.sample(12)
    curvature = Curvature(graph, Sample(inputs.repeat(30, 1), targets.repeat(30), F.cross_entropy))
    curvature.batch_size = 12
    for group in graph.groups.values():
        operator = curvature.operator(group)
        check(rayleigh(operator, generator(), passes=8, lr=0.02), operator.dense(), 1e-6)


def test_rayleigh_to_its_tolerance_on_mini_batches_of_a_sample() -> None:
    net = named("mlp")
    graph = net.graph()
    curvature = Curvature(graph, Sample(*net.sample(96), F.cross_entropy))
    curvature.batch_size = 4
    for group in graph.groups.values():
        operator = curvature.operator(group)
        matrices = operator.dense()
        values = torch.linalg.eigvalsh(matrices)
        found = rayleigh(operator, generator(), lr=0.05)
        scale = values.abs().amax(1)
        assert ((found.lowest - values[:, 0]).abs() < 0.3 * scale).all()
        assert ((found.highest - values[:, -1]).abs() < 0.3 * scale).all()
        low = found.lowest_vectors
        miss = torch.linalg.vector_norm(operator(low) - found.lowest[:, None] * low, dim=1)
        ends = torch.maximum(found.lowest.abs(), found.highest.abs())
        assert (found.residual >= miss / ends - 1e-9).all()


def test_rayleigh_converges_on_whole_batches() -> None:
    net = named("norm")
    graph = net.graph()
    operator = Curvature(graph, Sample(*net.sample(), F.cross_entropy)).operator(graph.groups["3"])
    matrices = operator.dense()
    values = torch.linalg.eigvalsh(matrices)
    short = rayleigh(operator, generator(), passes=2, lr=0.05)
    before = operator.products
    once = rayleigh(operator, generator(), passes=2, lr=0.05, highest=False)
    assert torch.equal(once.lowest, short.lowest)
    assert not once.highest.any()
    assert operator.products - before == 3
    assert (short.residual >= 0).all()
    assert (short.lowest >= values[:, 0] - 1e-12).all()  # a Rayleigh quotient of the whole sample


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_seed_gives_the_same_spectrum(engine: str) -> None:
    net = named("norm")
    graph = net.graph()
    found = [
        ENGINES[engine](
            Curvature(graph, Sample(*net.sample(), F.cross_entropy)).operator(graph.groups["0"]), generator(5)
        )
        for _ in range(2)
    ]
    assert torch.equal(found[0].lowest_vectors, found[1].lowest_vectors)
    assert torch.equal(found[0].highest, found[1].highest)


@pytest.mark.parametrize("examples", [8, 9, 13])
def test_a_pass_of_the_rayleigh_search_is_all_batches(examples: int) -> None:
    """However few examples the last batch has, a pass ends with it."""
    net = named("mlp")
    graph = net.graph()
    curvature = Curvature(graph, Sample(*net.sample(examples), F.cross_entropy))
    curvature.batch_size = 8
    operator = curvature.operator(graph.groups["0"])
    search = ENGINES["rayleigh"].search(operator, generator(), passes=3, highest=False)
    asked = [next(search)]
    lasts = []
    while not asked[-1].whole:
        batches = list(operator.batches())
        for number, batch in enumerate(batches):
            lasts.append(number == len(batches) - 1)
            product = operator.on_batch(batch, asked[-1].vectors) / batch.share
            asked.append(search.send(Answer(product, lasts[-1])))
    assert len(asked) == 3 * -(-examples // 8) + 1
    by_hand = asked[-1].vectors
    found = rayleigh(curvature.operator(graph.groups["0"]), generator(), passes=3, highest=False)
    assert torch.equal(found.lowest_vectors, by_hand)
    curvature.memory = 1
    again = ENGINES["rayleigh"].search(operator, generator(), passes=3, highest=False)
    assert torch.equal(together({"0": again}, curvature)["0"].lowest_vectors, by_hand)


@pytest.mark.parametrize("power", [-100, -60, 60])
def test_the_size_of_the_numbers_does_not_matter(power: int) -> None:
    """An untrained deep network has matrices of 1e-30: in float32 their squares are zero."""
    matrices = symmetric(torch.linspace(-1, 2, 12).repeat(3, 1)).float()
    expected, found = (lanczos(Matrices(m), generator()) for m in (matrices, matrices * 2.0**power))
    assert torch.equal(found.lowest, expected.lowest * 2.0**power)
    assert torch.equal(found.highest_vectors, expected.highest_vectors)
    assert torch.equal(found.residual, expected.residual)


@pytest.mark.parametrize("engine", list(ENGINES))
@pytest.mark.parametrize("net", [n for n in NETS if len(n.widths) > 1], ids=str)
def test_searches_that_share_their_passes_find_the_same(net: Net, engine: str) -> None:
    """Together over a sample that is not held, and each alone over one that is: to the last bit, in fewer passes."""
    graph, sample = net.graph(), net.sample(10)
    alone, shared = (Curvature(graph, Sample(*sample, F.cross_entropy), memory=memory) for memory in (2**30, 1))
    alone.batch_size = shared.batch_size = 4
    searches = {}
    for seed, (name, group) in enumerate(graph.groups.items()):
        assert alone.fits(group)
        assert not shared.fits(group)
        searches[name] = ENGINES[engine].search(shared.operator(group), generator(seed))
    found = together(searches, shared)
    for seed, (name, group) in enumerate(graph.groups.items()):
        expected = ENGINES[engine](alone.operator(group), generator(seed))
        for one, two in zip(vars(found[name]).values(), vars(expected).values(), strict=True):
            assert one == two if isinstance(one, float) else torch.equal(one, two)
        assert shared.operator(group).products == alone.operator(group).products
    if engine != "dense":  # which takes its batches itself
        assert shared.passes == max(spectrum.products for spectrum in found.values())


def test_a_context_shares_passes_where_the_sample_does_not_fit() -> None:
    net = named("norm")
    for memory, together_fit in ((2**30, None), (100_000, True), (1, False)):  # for the searches themselves, too
        context = grow_context(net.graph(), *net.sample(300), engine="lanczos")
        context.curvature.memory = memory
        for group in context.groups:
            assert context.curvature.fits(group) == (together_fit is None)
            assert context.spectrum(group).lowest.shape == (net.widths[group.name],)
        products = [context.operator(group).products for group in context.groups]
        expected = {None: 1, True: max(products), False: sum(products)}[together_fit]
        assert context.curvature.passes == expected
