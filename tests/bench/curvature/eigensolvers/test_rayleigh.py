"""The published search: that it is one, and that its passes are passes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from bench.curvature.eigensolvers import eigensolver
from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.curvature.solve import together
from bench.curvature.spectrum import Answer, Spectrum
from tests.bench.curvature.spectra import check, generator, solved
from tests.nets import named


def test_it_finds_the_ends_given_enough_steps() -> None:
    """Mini-batches that are all alike: what is left is the search itself."""
    net = named("mlp")
    graph = net.graph()
    inputs, targets = net.sample(12)
    curvature = Curvature(graph, Sample(inputs.repeat(30, 1), targets.repeat(30), F.cross_entropy))
    curvature.batch_size = 12
    for group in graph.groups.values():
        operator = curvature.operator(group)
        check(solved("rayleigh", operator, passes=8, lr=0.02), operator.dense(), 1e-6)


def test_it_finds_them_to_its_tolerance_on_mini_batches_of_a_sample() -> None:
    net = named("mlp")
    graph = net.graph()
    curvature = Curvature(graph, Sample(*net.sample(96), F.cross_entropy))
    curvature.batch_size = 4
    for group in graph.groups.values():
        operator = curvature.operator(group)
        matrices = operator.dense()
        values = torch.linalg.eigvalsh(matrices)
        found = solved("rayleigh", operator, lr=0.05)
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
    curvature.batch_size = 8
    operator = curvature.operator(graph.groups["0"])

    def search():  # type: ignore[no-untyped-def]
        made = eigensolver("rayleigh", passes=3, highest=False)(operator, generator())
        assert not isinstance(made, Spectrum)
        return made

    by_hand = search()
    asked = [next(by_hand)]
    while not asked[-1].whole:
        batches = list(operator.batches())
        for number, batch in enumerate(batches):
            product = operator.on_batch(batch, asked[-1].vectors) / batch.share
            asked.append(by_hand.send(Answer(product, number == len(batches) - 1)))
    assert len(asked) == 3 * -(-examples // 8) + 1
    found = solved("rayleigh", operator, passes=3, highest=False)
    assert torch.equal(found.lowest_vectors, asked[-1].vectors)
    curvature.memory = 1
    assert torch.equal(together({"0": search()}, curvature)["0"].lowest_vectors, asked[-1].vectors)
