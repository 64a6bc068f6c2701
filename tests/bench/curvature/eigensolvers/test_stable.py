"""What counts as zero: planted spectra on which all eigensolvers agree, each neuron judged in its own size."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import BenchError
from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.growth.method import GrowthContext
from bench.network.graph import Graph
from tests.bench.curvature.spectra import Matrices, solved, symmetric
from tests.methods.made import method
from tests.nets import grow_context

ENGINES = ["dense", "lanczos"]
DTYPES = [torch.float64, torch.float32]


def spaced(low: float, high: float, d: int) -> Tensor:
    return torch.linspace(low, high, d, dtype=torch.float64)


def rows(*values: Tensor) -> Tensor:
    return torch.stack([torch.as_tensor(v, dtype=torch.float64) for v in values])


PLANTED: dict[str, tuple[Tensor, int, int]] = {
    "zero is the least": (rows(torch.cat([torch.zeros(1), spaced(0.2, 1, 30)])), 0, 1),
    "zero is the largest": (rows(torch.cat([torch.zeros(1), -spaced(0.2, 1, 30)])), 1, 0),
    "rank of three, above": (rows(torch.cat([spaced(0.2, 1, 3), torch.zeros(40)])), 0, 1),
    "rank of three, both": (rows(torch.cat([torch.tensor([-0.5, 0.3, 1.0]), torch.zeros(40)])), 1, 1),
    "little below zero": (rows(torch.cat([torch.tensor([-1e-3]), spaced(0.2, 1, 30)])), 1, 1),
    "many times the same": (rows(torch.cat([torch.full((15,), -0.5), torch.full((15,), 1.0)])), 1, 1),
    "zero many times": (rows(torch.cat([torch.zeros(15), torch.full((15,), 1.0)])), 0, 1),
    "all the same": (rows(torch.full((20,), -0.7)), 1, 0),
    "nothing": (torch.zeros(3, 12), 0, 0),
    "one dimension": (torch.tensor([[-2.0], [0.0], [3.0], [-1e-20], [1e-20]]), 2, 2),
    "sizes apart": (rows(*(10.0**-k * spaced(-1, 1, 12) for k in (0, 8, 16, 24))), 4, 4),
    "sizes apart, none below": (
        rows(*(10.0**-k * torch.cat([torch.zeros(4), spaced(0.5, 1, 8)]) for k in (0, 8, 16, 24))),
        0,
        4,
    ),
}
"""Eigenvalues, and how many neurons have one below and one above zero."""


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("case", PLANTED)
def test_planted_signs(case: str, name: str, dtype: torch.dtype) -> None:
    values, below, above = PLANTED[case]
    for seed in range(3):
        found = solved(name, Matrices(symmetric(values, seed).to(dtype)), seed)
        assert int((found.negative < 0).sum()) == below
        assert int((found.positive > 0).sum()) == above
        assert found.converged.all()


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("size", [1e-6, 1e-9, 1e-12])
def test_a_tiny_negative_eigenvalue_above_rounding_is_one(size: float, name: str) -> None:
    """In double precision; Lanczos goes on where its residual leaves the sign open."""
    values = rows(*(torch.cat([torch.tensor([least]), spaced(0.1, 1, 60)]) for least in (-size, 0.0)))
    found = solved(name, Matrices(symmetric(values)))
    assert (found.negative < 0).tolist() == [True, False]
    flipped = solved(name, Matrices(-symmetric(values)))
    assert (flipped.positive > 0).tolist() == [True, False]


@pytest.mark.parametrize("case", ["zero is the least", "rank of three, above", "nothing", "one dimension"])
def test_a_converged_rayleigh_search_agrees(case: str) -> None:
    values, below, above = PLANTED[case]
    steps = {"passes": 400, "every": 40, "lr": 0.05}
    found = solved("rayleigh", Matrices(symmetric(values)), **steps)
    assert int((found.negative < 0).sum()) == below
    assert int((found.positive > 0).sum()) == above


def pixels(model: nn.Module, black: int, examples: int, sign: float, dtype: torch.dtype) -> GrowthContext:
    """A context in which the loss falls (or rises) with every activation, on inputs some of which are always zero."""
    torch.manual_seed(0)
    inputs = torch.rand(examples, 3, 7, 7).to(dtype)
    inputs[:, :, :, :black] = 0
    model = model.to(dtype).eval()
    with torch.no_grad():
        for layer in list(model.modules())[2:]:
            if isinstance(layer, nn.Linear | nn.Conv2d):
                layer.weight.abs_()
    graph = Graph(model, (3, 7, 7))
    context = grow_context(graph, inputs, torch.zeros(examples, dtype=torch.long), ratio=3.0, engine="lanczos")
    sample = Sample(inputs, torch.zeros(examples), lambda outputs, _: sign * outputs.sum(1).mean())
    return dataclasses.replace(context, curvature=Curvature(graph, sample), _searches={})


def flat() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(147, 6), nn.Softplus(), nn.Linear(6, 2))


def convolution() -> nn.Module:
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)
    return nn.Sequential(nn.Conv2d(3, 6, 7, padding=1), nn.Softplus(), *head)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("examples", [9, 300])
@pytest.mark.parametrize("build", [flat, convolution])
def test_neurons_whose_curvature_is_nowhere_negative_are_stable_for_all_methods(
    build: type[nn.Module], examples: int, name: str, dtype: torch.dtype
) -> None:
    """Black pixels, or fewer examples than inputs: the least eigenvalue is zero, and what is found is rounding."""
    from bench.curvature.eigensolvers import eigensolver

    context = pixels(build(), 3, examples, 1.0, dtype)
    context.eigensolver = eigensolver(name)
    for group in context.groups:
        assert not context.spectrum(group).negative.any()
        assert (context.spectrum(group).positive > 0).all()
    for one in ("s2d", "fast_s2d"):
        plan = method(one).propose(context)
        assert (plan.splits, plan.stopped) == ((), "stable")
    assert {s.weights[0] > 1 for s in method("s3d", c=2.0).propose(context).splits} == {True}  # by what is above
    mirrored = pixels(build(), 3, examples, -1.0, dtype)
    mirrored.eigensolver = eigensolver(name)
    for group in mirrored.groups:
        assert not mirrored.spectrum(group).positive.any()
        assert (mirrored.spectrum(group).negative < 0).all()


def test_a_shares_bound_that_rounding_lifts_above_one_is_no_gain() -> None:
    """At its cap a lineage leaves c = 1, to rounding; the negative schemes then gain nothing."""
    context = pixels(flat(), 3, 40, 1.0, torch.float64)
    context.lineage = {name: values * (2 - 1e-15) for name, values in context.lineage.items()}
    plan = method("s3d", cap=2.0).propose(context)
    assert (plan.splits, plan.stopped) == ((), "stable")


@pytest.mark.parametrize("name", [*ENGINES, "rayleigh"])
@pytest.mark.parametrize("memory", [2**30, 1])
def test_what_is_not_finite_is_an_error_and_never_stable(name: str, memory: float) -> None:
    from bench.curvature.eigensolvers import eigensolver

    for factor, message in (
        (torch.nan, "the loss on the sample is nan before growing; try a lower train.lr"),
        (torch.inf, "the loss on the sample is inf before growing; try a lower train.lr"),
        (0.0, "1: the splitting matrix is not finite on the sample: gradients or activations overflow; try a lower"),
    ):
        context = pixels(flat(), 3, 9, 1.0, torch.float64)
        inputs = context.curvature.sample.inputs

        def loss(outputs: Tensor, targets: Tensor, factor: float = factor) -> Tensor:
            return (factor * outputs).square().sum().sqrt()  # at 0 its gradient is none

        made = Curvature(context.graph, Sample(inputs, targets=torch.zeros(9), loss=loss), memory=memory)
        broken = dataclasses.replace(context, curvature=made, eigensolver=eigensolver(name), _searches={})
        for one in ("s2d", "fast_s2d", "s3d", "random_split"):
            with pytest.raises(BenchError) as caught:
                method(one).propose(broken)
            assert str(caught.value).startswith(message)
