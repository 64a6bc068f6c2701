"""What every registered eigensolver owes, found by being there; and the exact ones against each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from bench.core.errors import BenchError, ConfigError
from bench.core.registry import NoOptions
from bench.curvature.eigensolvers import eigensolver, eigensolvers
from bench.curvature.operator import Operator
from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.curvature.spectrum import Ask, Search, Spectrum
from tests.bench.curvature.spectra import CASES, Matrices, check, check_honest, generator, solved, symmetric, together
from tests.nets import NETS, Net, named

ALL = eigensolvers.names()
EXACT = ["dense", "lanczos"]
SEVERAL = [net for net in NETS if len(net.widths) > 1]


def curvature_of(net: Net, examples: int = 8, **options: float) -> Curvature:
    return Curvature(net.graph(), Sample(*net.sample(examples), F.cross_entropy), **options)


def test_the_three_are_registered() -> None:
    assert {"dense", "lanczos", "rayleigh"} <= set(ALL)
    assert not eigensolvers.broken()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("net", NETS, ids=str)
def test_spectra_are_honest_and_within_the_true_ends(net: Net, name: str) -> None:
    curvature = curvature_of(net)
    for group in curvature.graph.groups.values():
        operator = curvature.operator(group)
        found, spent = solved(name, operator), operator.products
        matrices = operator.dense()
        values = torch.linalg.eigvalsh(matrices)
        slack = 1e-10 * values.abs().amax(1)
        for end in (found.lowest, found.highest):
            assert end.shape == (operator.neurons,)
            assert ((values[:, 0] - slack <= end) & (end <= values[:, -1] + slack)).all()
        assert found.lowest_vectors.shape == found.highest_vectors.shape == (operator.neurons, operator.size)
        assert spent > 0
        check_honest(found, matrices)


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_spectrum(name: str) -> None:
    found = []
    for _ in range(2):
        curvature = curvature_of(named("norm"))
        found.append(solved(name, curvature.operator(curvature.graph.groups["0"]), seed=5))
    assert torch.equal(found[0].lowest_vectors, found[1].lowest_vectors)
    assert torch.equal(found[0].highest, found[1].highest)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("net", SEVERAL, ids=str)
def test_searches_that_share_their_passes_find_the_same(net: Net, name: str) -> None:
    """Together over a sample that is not held, and each alone over one that is: to the last bit, in fewer passes."""
    apart, shared = (curvature_of(net, 10, memory=memory) for memory in (2**30, 1))
    apart.batch_size = shared.batch_size = 4
    started = {}
    for seed, (group, at) in enumerate(shared.graph.groups.items()):
        assert apart.fits(at)
        assert not shared.fits(at)
        started[group] = eigensolver(name)(shared.operator(at), generator(seed))
    by_itself = shared.passes > 0  # it takes its batches itself
    found = together(started, shared)
    for seed, (group, at) in enumerate(apart.graph.groups.items()):
        expected = solved(name, apart.operator(at), seed)
        for field in dataclasses.fields(expected):
            one, two = getattr(found[group], field.name), getattr(expected, field.name)
            assert one is two is None or torch.equal(one, two)
        assert shared.operator(shared.graph.groups[group]).products == apart.operator(at).products
    if not by_itself:
        products = [shared.operator(group).products for group in shared.graph.groups.values()]
        assert shared.passes == max(products)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", EXACT)
def test_both_ends_of_known_spectra(case: str, name: str) -> None:
    matrices = symmetric(CASES[case])
    check(solved(name, Matrices(matrices)), matrices, 1e-9)


@pytest.mark.parametrize("net", NETS, ids=str)
def test_the_exact_ones_agree_on_every_net(net: Net) -> None:
    curvature = curvature_of(net)
    for group in curvature.graph.groups.values():
        matrices = curvature.operator(group).dense()
        check(solved("dense", curvature.operator(group)), matrices, 1e-10)
        check(solved("lanczos", curvature.operator(group)), matrices, 1e-9)


def _raises(config: NoOptions, operator: Operator, random: torch.Generator) -> Search:
    yield Ask(torch.ones_like(operator.like))
    raise ZeroDivisionError("by zero")


def _forgets(config: NoOptions, operator: Operator, random: torch.Generator) -> Search:
    yield Ask(torch.ones_like(operator.like))


def _not_a_number(config: NoOptions, operator: Operator, random: torch.Generator) -> Spectrum:
    found = torch.full_like(operator.like, torch.nan)
    return Spectrum(found[:, 0], found, found[:, 0], found, found[:, 0])


def _too_few(config: NoOptions, operator: Operator, random: torch.Generator) -> Spectrum:
    few = operator.like[1:]
    return Spectrum(few[:, 0], few, few[:, 0], few, few[:, 0])


def _no_search(config: NoOptions, operator: Operator, random: torch.Generator) -> Search:
    return None


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (_raises, "ZeroDivisionError: by zero"),
        (_forgets, "found a NoneType; expected a Spectrum"),
        (_no_search, "TypeError: 'NoneType' object is not iterable"),
        (_not_a_number, "0: found eigenpairs that are not finite; try growth.engine=dense, or a lower train.lr"),
        (_too_few, "found (4,); expected numbers of (5,)"),
    ],
)
def test_a_wrong_eigensolver_is_told_by_its_name(
    factory: Callable[..., Search], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    eigensolvers.names()
    monkeypatch.setattr(eigensolvers, "_entries", dict(eigensolvers._entries))
    eigensolvers.register("wrong")(factory)
    curvature = curvature_of(named("mlp"))
    with pytest.raises(BenchError) as caught:
        solved("wrong", curvature.operator(curvature.graph.groups["0"]))
    assert str(caught.value) == f"growth.engine=wrong: {reason}"


def test_options_are_typed_and_named() -> None:
    operator = Matrices(symmetric(CASES["spread"]))
    with pytest.raises(
        ConfigError, match=r"growth\.engine_options\.speed=1: expected one of limit, products, tolerance"
    ):
        solved("lanczos", operator, speed=1)
    with pytest.raises(ConfigError, match=r"growth\.engine_options\.batch=0: expected a whole number of at least 1"):
        solved("rayleigh", operator, batch=0)
    assert dataclasses.asdict(eigensolvers["lanczos"].config()) == {"products": 24, "tolerance": 1e-5, "limit": 256}
    published = {"passes": 10, "lr": 1e-3, "factor": 0.2, "every": 2, "batch": 64, "momentum": 0.9, "alpha": 0.9}
    assert dataclasses.asdict(eigensolvers["rayleigh"].config()) == {**published, "highest": True}
