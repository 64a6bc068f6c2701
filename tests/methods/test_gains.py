"""Section 3 of bench/MATHS.md: what a split gains, against finite steps, random splits and an optimiser."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from bench.methods.s3d import gains, offspring
from bench.network.graph import Graph
from bench.network.plan import Birth, GrowthPlan, Split, validate
from tests.methods.made import context_of, method
from tests.nets import SMOOTH, Net, named
from tests.reference import loss_after

SCHEMES = ("positive_binary", "negative_binary", "positive_triplet", "negative_triplet", "mixed_triplet", "quartet")
PREDICTING = ("s2d", "s3d", "fast_s2d", "random_split", "tiny", "firefly", "saddle")


def loss(graph: Graph, net: Net, plan: GrowthPlan, epsilon: float) -> float:
    """Loss of a copy of the net after the splits."""
    return loss_after(graph.model, plan, epsilon, *net.sample())


def check_prediction(graph: Graph, net: Net, changes: Sequence[Split | Birth]) -> None:
    """The measured change comes to 1e-3 of the predicted one, and goes on to it like the step, at least."""
    plan = GrowthPlan(
        tuple(one for one in changes if isinstance(one, Split)), tuple(one for one in changes if isinstance(one, Birth))
    )
    validate(plan, graph.model, graph.groups)
    scale = sum(abs(change.gain or 0.0) for change in changes)
    start = loss(graph, net, plan, 0.0)

    def error(step: float) -> float:
        predicted = plan.predicted_change(step)
        assert predicted is not None
        return abs(loss(graph, net, plan, step) - start - predicted) / (step**2 / 2 * scale)

    step = 1e-2  # smaller where third derivatives are large, or where a maximum changes its place
    while error(step) > 1e-3:
        step /= 2
        assert step > 1e-5
    coarse = max(error(step), error(step / 2), error(step / 4))  # one alone may vanish by chance
    rounding = 4e-15 / ((step / 32) ** 2 / 2 * scale)
    assert error(step / 32) < max(coarse / 6, rounding)


@pytest.mark.parametrize("net", SMOOTH, ids=str)
@pytest.mark.parametrize("name", PREDICTING)
def test_the_predicted_change_is_the_measured_one(name: str, net: Net) -> None:
    context = context_of(net)
    plan = method(name).propose(context)
    assert plan.changes or plan.stopped == "nothing left to reach"
    if plan.changes:
        check_prediction(context.graph, net, plan.changes)


@pytest.mark.parametrize("net", SMOOTH, ids=str)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_gains_what_its_formula_says(scheme: str, net: Net) -> None:
    """One neuron of every group at a time."""
    context = context_of(net)
    for group in context.groups:
        spectrum = context.spectrum(group)
        c = 2.5
        a, b = spectrum.lowest.clamp(max=0), spectrum.highest.clamp(min=0)
        gain = gains(a, b, torch.full_like(a, c))[scheme]
        both = (spectrum.lowest < 0) & (spectrum.highest > 0)  # else the formula leaves one end out
        neuron = int(gain.masked_fill(~both, 0).argmin())
        if not both[neuron] or float(gain[neuron]) > -1e-5:
            continue
        weights, directions = offspring(scheme, spectrum.lowest_vectors[neuron], spectrum.highest_vectors[neuron], c)
        check_prediction(context.graph, net, [Split(group, neuron, weights, directions, float(gain[neuron]))])


def test_the_published_form_predicts_nothing_behind_depthwise_convolutions() -> None:
    net = named("depthwise")
    errors = []
    for form in ("definition", "published"):
        context = context_of(net, form=form)
        group = context.groups[0]
        low = context.spectrum(group)
        split = [
            Split(group, i, (0.5, 0.5), torch.stack([v, -v]), float(low.lowest[i]))
            for i, v in enumerate(low.lowest_vectors)
        ]
        plan, step = GrowthPlan(tuple(split)), 1e-3
        change = loss(context.graph, net, plan, step) - loss(context.graph, net, plan, 0.0)
        errors.append(abs(change / (plan.predicted_change(step) or 1.0) - 1))
    assert errors[0] < 1e-3
    assert errors[1] > 0.1


@pytest.mark.parametrize("net", SMOOTH, ids=str)
def test_simultaneous_splits_change_the_loss_by_the_sum_of_their_parts(net: Net) -> None:
    context = context_of(net, ratio=2.5)
    splits = method("random_split").propose(context).splits
    signed = [
        Split(s.group, s.neuron, (1.5, -0.5), torch.stack([s.directions[0] / 3, s.directions[0]]))
        for s in splits
        if s.directions is not None
    ]
    assert len({split.group.name for split in signed}) == len(context.groups)
    excess = []
    for step in (4e-3, 4e-4):
        start = loss(context.graph, net, GrowthPlan(), 0.0)
        parts = sum(loss(context.graph, net, GrowthPlan((split,)), step) - start for split in signed)
        together = loss(context.graph, net, GrowthPlan(tuple(signed)), step) - start
        excess.append(abs(together - parts))
    assert excess[1] < max(excess[0] / 500, 2e-14)


# -- the optimum ----------------------------------------------------------------------------------------------------


def optimum(copies: int, a: float, b: float, c: float) -> float:
    """Section 3's last three lines."""
    p, n = (c + 1) / 2, (c - 1) / 2
    r = n / p
    if copies == 2:
        return min(a, -r * b)
    if copies == 3:
        return min(p * a, -n * b, 2 * c / (c + 1) * a - r * b)
    return p * a - n * b


def feasible(w: Tensor, delta: Tensor) -> Tensor:
    """``delta`` with the weighted mean removed, then shrunk into the unit ball: ``(..., m, d)``."""
    w = w[..., None]
    delta = delta - w * (w * delta).sum(-2, keepdim=True) / (w**2).sum(-2, keepdim=True)
    return delta / torch.linalg.vector_norm(delta, dim=-1, keepdim=True).amax(-2, keepdim=True).clamp(min=1)


def shares(raw: Tensor, signs: Tensor, c: float) -> Tensor:
    """Weights of given signs with ``sum w = 1`` and ``sum |w| <= c``, from free numbers ``(..., m + 1)``."""
    negative = (c - 1) / 2 * torch.sigmoid(raw[..., -1:]) * (signs < 0).any(-1, keepdim=True)
    masked = raw[..., :-1]
    up = torch.softmax(masked.masked_fill(signs < 0, -torch.inf), -1)
    down = torch.nan_to_num(torch.softmax(masked.masked_fill(signs > 0, -torch.inf), -1))
    return up * (1 + negative) - down * negative


def quadratic(w: Tensor, delta: Tensor, values: Tensor) -> Tensor:
    return (w[..., None] * delta**2 * values).sum((-1, -2))


def patterns(copies: int, count: int) -> Tensor:
    """Signs with at least one positive, in turn."""
    table = [[1.0] * (copies - k) + [-1.0] * k for k in range(copies)]
    return torch.tensor(table, dtype=torch.float64).repeat(count // copies + 1, 1)[:count]


SPECTRA = {
    "both signs": [-1.0, -0.3, 0.2, 0.8],
    "mostly positive": [-0.1, 0.5, 3.0],
    "mostly negative": [-2.0, -0.7, 0.05],
    "positive": [0.2, 0.5, 1.0],
    "negative": [-1.0, -0.5, -0.1],
}


@pytest.mark.parametrize("copies", [2, 3, 4, 5])
@pytest.mark.parametrize("c", [1.0, 1.5, 3.0, 6.0])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_no_random_split_beats_the_optimum(spectrum: str, c: float, copies: int) -> None:
    torch.manual_seed(0)
    values = torch.tensor(SPECTRA[spectrum], dtype=torch.float64)
    best = optimum(copies, min(float(values.min()), 0), max(float(values.max()), 0), c)
    w = shares(2 * torch.randn(20000, copies + 1, dtype=torch.float64), patterns(copies, 20000), c)
    delta = feasible(w, torch.randn(20000, copies, len(values), dtype=torch.float64))
    assert w.sum(1).sub(1).abs().max() < 1e-12
    assert w.abs().sum(1).max() <= c + 1e-9
    assert (w[..., None] * delta).sum(1).abs().max() < 1e-9
    assert float(quadratic(w, delta, values).min()) >= best - 1e-9


@pytest.mark.parametrize("copies", [2, 3, 4, 5])
@pytest.mark.parametrize(("spectrum", "c"), [("both signs", 3.0), ("mostly positive", 2.0), ("mostly negative", 5.0)])
def test_an_optimiser_reaches_the_optimum_and_goes_no_further(spectrum: str, c: float, copies: int) -> None:
    torch.manual_seed(0)
    values = torch.tensor(SPECTRA[spectrum], dtype=torch.float64)
    best = optimum(copies, min(float(values.min()), 0), max(float(values.max()), 0), c)
    signs = patterns(copies, 32 * copies)
    raw = torch.randn(len(signs), copies + 1, dtype=torch.float64).requires_grad_()
    free = torch.randn(len(signs), copies, len(values), dtype=torch.float64).requires_grad_()
    optimizer = torch.optim.Adam([raw, free], lr=0.05)
    for step in range(500):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 500)
        optimizer.zero_grad()
        w = shares(raw, signs, c)
        found = quadratic(w, feasible(w, free), values)
        found.sum().backward()
        optimizer.step()
    lowest = float(found.detach().min())
    assert best - 1e-9 <= lowest <= best + 0.02 * abs(best)


@pytest.mark.parametrize("c", [1.0, 1.7, 3.0])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_schemes_are_feasible_and_gain_what_they_say(scheme: str, c: float) -> None:
    values = torch.tensor([-1.3, 0.1, 0.9], dtype=torch.float64)
    low, high = torch.eye(3, dtype=torch.float64)[[0, 2]]
    weights, delta = offspring(scheme, low, high, c)
    w = torch.tensor(weights, dtype=torch.float64)
    assert float(w.sum()) == pytest.approx(1)
    assert float(w.abs().sum()) <= c + 1e-12
    assert float((w[:, None] * delta).sum(0).abs().max()) < 1e-12
    assert float(torch.linalg.vector_norm(delta, dim=1).max()) <= 1 + 1e-12
    a, b = torch.tensor([-1.3]), torch.tensor([0.9])
    claimed = gains(a.double(), b.double(), torch.tensor([c], dtype=torch.float64))
    assert tuple(claimed) == SCHEMES
    assert float(quadratic(w, delta, values)) == pytest.approx(float(claimed[scheme]))
    for copies in (2, 3, 4):
        names = [s for s in SCHEMES if len(offspring(s, low, high, c)[0]) <= copies]
        assert min(float(claimed[s]) for s in names) == pytest.approx(optimum(copies, -1.3, 0.9, c))


@pytest.mark.parametrize("overlap", [0.0, 0.3, -0.9, 1.0])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_directions_stay_within_length_one_where_a_search_was_not_exact(scheme: str, overlap: float) -> None:
    """The Rayleigh search finds each end for itself; its vectors need not be orthogonal."""
    high = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    low = torch.tensor([overlap, math.sqrt(1 - overlap**2), 0.0], dtype=torch.float64)
    weights, directions = offspring(scheme, low, high, 3.0)
    assert torch.linalg.vector_norm(directions, dim=1).max() <= 1 + 1e-12
    assert sum(weights) == pytest.approx(1)
    assert (torch.tensor(weights, dtype=torch.float64) @ directions).abs().max() < 1e-12
