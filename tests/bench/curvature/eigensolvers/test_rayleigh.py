"""The published search: that it is one, and that its passes are passes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from bench.core.errors import ConfigError
from bench.curvature.eigensolvers import eigensolver
from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.curvature.spectrum import Answer, Spectrum
from tests.bench.curvature.spectra import CASES, Matrices, check, generator, solved, symmetric, together
from tests.nets import named


def test_it_finds_the_ends_given_enough_steps() -> None:
    """Mini-batches that are all alike: what is left is the search itself."""
    net = named("mlp")
    graph = net.graph()
    inputs, targets = net.sample(12)
    curvature = Curvature(graph, Sample(inputs.repeat(30, 1), targets.repeat(30), F.cross_entropy))
    for group in graph.groups.values():
        operator = curvature.operator(group)
        check(solved("rayleigh", operator, passes=8, lr=0.02, batch=12), operator.dense(), 1e-6)


def test_it_finds_them_to_its_tolerance_on_mini_batches_of_a_sample() -> None:
    net = named("mlp")
    graph = net.graph()
    curvature = Curvature(graph, Sample(*net.sample(96), F.cross_entropy))
    for group in graph.groups.values():
        operator = curvature.operator(group)
        matrices = operator.dense()
        values = torch.linalg.eigvalsh(matrices)
        found = solved("rayleigh", operator, lr=0.05, batch=4)
        scale = values.abs().amax(1)
        assert ((found.lowest - values[:, 0]).abs() < 0.3 * scale).all()
        assert ((found.highest - values[:, -1]).abs() < 0.3 * scale).all()
        low = found.lowest_vectors
        miss = torch.linalg.vector_norm(operator(low) - found.lowest[:, None] * low, dim=1)
        ends = torch.maximum(found.lowest.abs(), found.highest.abs())
        assert (found.residual >= miss / ends - 1e-9).all()


def test_one_end_is_half_the_search() -> None:
    net = named("norm")
    graph = net.graph()
    operator = Curvature(graph, Sample(*net.sample(), F.cross_entropy)).operator(graph.groups["3"])
    values = torch.linalg.eigvalsh(operator.dense())
    before = operator.products
    both = solved("rayleigh", operator, passes=2, lr=0.05)
    assert operator.products - before == 6
    once = solved("rayleigh", operator, passes=2, lr=0.05, highest=False)
    assert operator.products - before == 9
    assert torch.equal(once.lowest, both.lowest)
    assert not once.highest.any()
    assert (both.residual >= 0).all()
    assert (both.lowest >= values[:, 0] - 1e-12).all()  # a Rayleigh quotient of the whole sample


@pytest.mark.parametrize("examples", [8, 9, 13])
def test_a_pass_is_all_batches(examples: int) -> None:
    """However few examples the last batch has, a pass ends with it."""
    net = named("mlp")
    graph = net.graph()
    curvature = Curvature(graph, Sample(*net.sample(examples), F.cross_entropy))
    operator = curvature.operator(graph.groups["0"])

    def search():  # type: ignore[no-untyped-def]
        made = eigensolver("rayleigh", passes=3, batch=8, highest=False)(operator, generator())
        assert not isinstance(made, Spectrum)
        return made

    by_hand = search()
    asked = [next(by_hand)]
    while asked[-1].examples is not None:
        batches = list(operator.batches(8))
        for number, batch in enumerate(batches):
            product = operator.on_batch(batch, asked[-1].vectors) / batch.share
            asked.append(by_hand.send(Answer(product, number == len(batches) - 1)))
    assert len(asked) == 3 * -(-examples // 8) + 1
    found = solved("rayleigh", operator, passes=3, batch=8, highest=False)
    assert torch.equal(found.lowest_vectors, asked[-1].vectors)
    curvature.memory = 1
    assert torch.equal(together({"0": search()}, curvature)["0"].lowest_vectors, asked[-1].vectors)


@pytest.mark.parametrize("memory", [2**30, 1])
@pytest.mark.parametrize("size", [1, 5, 12, 100])
def test_neither_the_devices_batches_nor_memory_matter(size: int, memory: float) -> None:
    """Mini-batches are of the option's size, however many examples the device takes at once."""
    net = named("norm")
    graph, (inputs, targets) = net.graph(), net.sample(50)
    usual = Curvature(graph, Sample(inputs, targets, F.cross_entropy))
    other = Curvature(graph, Sample(inputs, targets, F.cross_entropy), memory=memory)
    other.batch_size = size
    search, groups = eigensolver("rayleigh", batch=12), graph.groups.items()
    expected, found = (
        together({name: search(one.operator(at), generator()) for name, at in groups}, one) for one in (usual, other)
    )
    for name in graph.groups:
        torch.testing.assert_close(found[name].lowest, expected[name].lowest, rtol=1e-9, atol=0)
        torch.testing.assert_close(found[name].highest_vectors, expected[name].highest_vectors, rtol=0, atol=1e-9)
        torch.testing.assert_close(found[name].residual, expected[name].residual, rtol=1e-7, atol=0)


def test_the_mini_batch_is_what_makes_the_difference() -> None:
    net = named("norm")
    curvature = Curvature(net.graph(), Sample(*net.sample(50), F.cross_entropy))
    operator = curvature.operator(curvature.graph.groups["0"])
    one, two = (solved("rayleigh", operator, batch=batch) for batch in (12, 25))
    assert not torch.allclose(one.lowest, two.lowest)


def test_the_rates_are_the_released_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []

    class Watched(torch.optim.RMSprop):
        def step(self, closure: None = None) -> None:
            rates.append(self.param_groups[0]["lr"])
            super().step(closure)

    monkeypatch.setattr(torch.optim, "RMSprop", Watched)
    solved("rayleigh", Matrices(symmetric(CASES["spread"])), highest=False)
    assert rates == [1e-3 * 0.2**exponent for exponent in (0, 1, 1, 2, 2, 3, 3, 4, 4, 5)]


@pytest.mark.parametrize("name", ["momentum", "alpha"])
def test_what_forgets_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"growth\.engine_options\.{name}=1.0: expected a number in \[0, 1\)"):
        eigensolver("rayleigh", **{name: 1.0})
    eigensolver("rayleigh", **{name: 0.0})
