"""Who carries a search out: one on held batches, or many that share their passes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.curvature.operator import Operator
from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.curvature.solve import alone, search_bytes, solve
from bench.curvature.spectrum import Ask, End, Search, Spectrum, between
from tests.bench.curvature.spectra import generator
from tests.nets import grow_context, named


def curvature(memory: float = 2**30) -> Curvature:
    made = Curvature(named("norm").graph(), Sample(*named("norm").sample(7), F.cross_entropy), memory=memory)
    made.batch_size = 3
    return made


def ones(operator: Operator) -> Tensor:
    return torch.ones_like(operator.like)


def end(product: Tensor) -> End:
    """Any end of these products."""
    return End(product[:, 0], product, product)


def test_batches_are_estimates_and_the_whole_is_their_sum() -> None:
    """Batches of 3, 3 and 1 examples, of 7."""
    made = curvature()
    operator = made.operator(made.graph.groups["0"])
    heard: list[tuple[Tensor, bool]] = []

    def search() -> Search:
        for examples in (3, 3, 3, None, None):
            answer = yield Ask(ones(operator), examples=examples)
            heard.append((answer.product, answer.last))
        return between(end(heard[3][0]), end(heard[4][0]))

    expected = operator(ones(operator))
    before = operator.products
    alone(search(), operator)
    assert [last for _, last in heard] == [False, False, True, True, True]
    assert torch.equal(heard[3][0], expected)
    assert torch.equal(heard[4][0], expected)
    mean = (3 * heard[0][0] + 3 * heard[1][0] + heard[2][0]) / 7
    torch.testing.assert_close(mean, expected)
    assert operator.products - before == 3


@pytest.mark.parametrize("shared", [False, True])
def test_what_is_asked_of_the_whole_in_the_middle_of_a_pass_waits_for_the_next(shared: bool) -> None:
    made = curvature(memory=1 if shared else 2**30)
    group = made.graph.groups["0"]
    operator = made.operator(group)
    heard: list[Tensor] = []

    def search() -> Search:
        for examples in (3, None, 3):
            heard.append((yield Ask(ones(operator), examples=examples)).product)
        return between(end(heard[0]), end(heard[0]))

    assert made.fits(group) != shared
    solve(lambda *_: search(), made, group, [group], generator())
    assert torch.equal(heard[1], operator(ones(operator)))
    assert torch.equal(heard[2], heard[0])
    assert not torch.equal(heard[1], heard[0])


@pytest.mark.parametrize("memory", [2**30, 1])
def test_an_eigensolver_may_find_its_spectrum_by_itself(memory: float) -> None:
    made = curvature(memory)
    asked: list[int] = []

    def eigensolver(operator: Operator, random: torch.Generator) -> Spectrum:
        asked.append(operator.neurons)
        product = operator(ones(operator))
        return between(End(product[:, 0], product, product), End(product[:, 1], product, product))

    groups = list(made.graph.groups.values())
    found = solve(eigensolver, made, groups[0], groups, generator())
    assert next(iter(found)) == groups[0].name
    assert torch.equal(
        found[groups[0].name].spectrum().lowest, made.operator(groups[0])(ones(made.operator(groups[0])))[:, 0]
    )
    assert asked == [4]  # with so little memory no other search is begun


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


def test_searches_are_begun_for_which_there_is_memory_beside_the_wanted_one() -> None:
    net = named("norm")
    made = Curvature(net.graph(), Sample(*net.sample(300), F.cross_entropy))
    groups = list(made.graph.groups.values())
    sizes = [search_bytes(made, group) for group in groups]
    assert len(groups) == 2
    for memory, expected in ((sum(sizes) - 1, 1), (sum(sizes) + 1, 2)):
        made.memory = memory
        assert not any(made.fits(group) for group in groups)
        found = solve(lambda operator, _: lone(operator), made, groups[0], groups, generator())
        assert len(found) == expected


def lone(operator: Operator) -> Search:
    """One product."""
    found = end((yield Ask(ones(operator))).product)
    return between(found, found)
