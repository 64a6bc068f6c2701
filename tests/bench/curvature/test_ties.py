"""Ties of maxima: who competes in a window, their share of the second derivative, and what that is good for."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.curvature.chain import Chain
from bench.curvature.hessian import ChainHessian
from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.curvature.surrogate import WIDTH, bump, kink
from bench.curvature.ties import contest, flat, moved, unflat
from bench.data import load
from bench.growth.config import GrowthConfig
from bench.growth.grower import Grower
from bench.growth.trial import NETWORKS, trial
from bench.methods.s2d import S2D
from bench.methods.s2d import Config as S2DConfig
from bench.network.graph import Graph
from bench.network.groups import theta
from bench.network.operations import Picks, entry
from bench.network.plan import GrowthPlan, Split
from bench.network.program import arguments
from tests.bench.curvature.spectra import close, matrices
from tests.bench.curvature.test_hessian import double_backward
from tests.reference import loss_after


class Pooled(nn.Module):
    """Channels that are picked from."""

    def __init__(self, pool: Callable[[Tensor], Tensor], rank: int = 2) -> None:
        super().__init__()
        kind: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
        self.one, self.pool, self.head = kind(2, 3, 3), pool, nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(F.silu(self.one(x))).flatten(2).mean(2))


POOLS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "plain": (lambda x: F.max_pool2d(x, 2), 2),
    "overlapping and padded": (lambda x: F.max_pool2d(x, 3, 2, 1), 2),
    "unequal": (lambda x: F.max_pool2d(x, (2, 3), (1, 2), (0, 1)), 2),
    "dilated": (lambda x: F.max_pool2d(x, 2, 1, 1, 2), 2),
    "with remainders": (lambda x: F.max_pool2d(x, 3, 2, 0, 1, ceil_mode=True), 2),
    "with padded remainders": (lambda x: F.max_pool2d(x, 2, 2, 1, 1, ceil_mode=True), 2),
    "with indices": (lambda x: F.max_pool2d(x, 2, return_indices=True)[0], 2),
    "in one dimension": (lambda x: F.max_pool1d(x, 3, 2), 1),
    "in three": (lambda x: F.max_pool3d(x, 2), 3),
    "adaptive": (lambda x: F.adaptive_max_pool2d(x, (2, 3)), 2),
    "adaptive in one": (lambda x: F.adaptive_max_pool1d(x, 4), 1),
    "adaptive in three": (lambda x: F.adaptive_max_pool3d(x, 2), 3),
    "global": (lambda x: F.adaptive_max_pool2d(x, 1), 2),
    "amax": (lambda x: x.amax((2, 3), keepdim=True), 2),
    "amax of one": (lambda x: x.amax(2), 2),
    "amin": (lambda x: x.amin((2, 3), keepdim=True), 2),
    "max along one": (lambda x: x.max(dim=3).values, 2),
    "min along one": (lambda x: x.min(2)[0], 2),
}


def graph_of(name: str) -> Graph:
    pool, rank = POOLS[name]
    torch.manual_seed(0)
    return Graph(Pooled(pool, rank).double().eval(), (2, *[9, 8, 7][:rank]))


def brute(x: Tensor, picks: Picks) -> tuple[Tensor, Tensor]:
    """The largest and the gap to the next, window by window."""
    entries = picks.sign * flat(x, picks)
    best, gaps = [], []
    for places in picks.places.tolist():
        inside = [entries[..., p] for p in places if p >= 0]
        ordered = torch.stack(inside, -1).sort(-1, descending=True).values
        best.append(picks.sign * ordered[..., 0])
        gaps.append(ordered[..., 0] - ordered[..., 1] if len(inside) > 1 else torch.full_like(best[-1], torch.inf))
    return torch.stack(best, -1), torch.stack(gaps, -1)


@pytest.mark.parametrize("name", POOLS)
def test_windows_are_those_of_pytorch(name: str) -> None:
    graph = graph_of(name)
    found = entry_of(graph)
    x = torch.randn(2, 3, *[7, 6, 5][: POOLS[name][1]], dtype=torch.float64)
    best, gaps = brute(x, found)
    own = POOLS[name][0](x)
    assert torch.equal(best.reshape(own.shape), own)
    result = contest(x, found)
    assert torch.equal(result.gap, gaps)
    assert torch.equal(moved(x, found, result)[gaps.isfinite()], gaps[gaps.isfinite()])
    assert not moved(x, found, result)[gaps.isinf()].any()
    assert torch.equal(unflat(flat(x, found), found, x), x)


def entry_of(graph: Graph) -> Picks:
    node = next(n for n in graph.program.nodes.nodes if n.op == "call_function" and entry(n.target).picks)
    picks = entry(node.target).picks
    assert picks is not None
    return picks(arguments(node), tuple(n if isinstance(n, int) else 2 for n in node.args[0].meta["val"].shape))


@pytest.mark.parametrize("name", POOLS)
def test_ties_bend_as_a_kink_in_their_gap_does(name: str) -> None:
    """With the width of activations' kinks, against double backward of the maximum with the kink of the gap added."""
    graph = graph_of(name)
    (group,) = graph.groups.values()
    chain = Chain(graph, group, ties=True)
    (tied,) = chain.ties
    picks = tied.picks
    assert picks is not None
    assert not chain.diagonal
    z = torch.randn(4, 3, *[7, 6, 5][: POOLS[name][1]], dtype=torch.float64)
    (u,) = chain([z])
    g, t = torch.randn_like(u), torch.randn_like(z)

    def with_kink(zs: list[Tensor], _: object) -> list[Tensor]:
        x = F.silu(zs[0])
        found = contest(x, picks)
        gap = moved(x, picks, found)
        kinked = kink(gap.where(found.gap.isfinite(), torch.inf)) * picks.sign
        return [POOLS[name][0](x) + kinked.reshape(u_shape)]

    u_shape = POOLS[name][0](F.silu(z)).shape
    widened = Chain(graph, group, ties=True)
    widened.widen({tied.output: WIDTH})
    following = chain.steps[chain.steps.index(tied) + 1 :]

    def whole(zs: list[Tensor], given: dict[Any, Tensor]) -> list[Tensor]:
        value = with_kink(zs, given)[0]
        for step in following:
            value = step.function([value], given)
        return [value]

    (expected,) = double_backward(whole, [z], [g], [t], {})  # type: ignore[arg-type]
    (found,) = ChainHessian(widened, [z], [g], {}).product([t])
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-12)
    (without,) = ChainHessian(chain, [z], [g], {}).product([t])
    assert not torch.allclose(found, without, rtol=1e-3)


def test_a_bump_has_area_one() -> None:
    u = torch.linspace(-50, 50, 200001, dtype=torch.float64)
    for width in (0.05, WIDTH, 1.0):
        assert float(torch.trapezoid(bump(u, width), u)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("name", ["plain", "amin", "in one dimension"])
def test_bumps_are_as_wide_as_steps_move_gaps(name: str, relative: bool) -> None:
    """Against the gradients of all gaps, by plain automatic differentiation."""
    graph, step = graph_of(name), 1e-3
    graph.model.one.weight.data[0] *= 5
    (group,) = graph.groups.values()
    inputs = torch.randn(40, *graph.input_shape, dtype=torch.float64)
    sample = Sample(inputs, torch.arange(40) % 4, F.cross_entropy)
    curvature = Curvature(graph, sample, step=step, relative=relative)
    curvature.batch_size = 7
    next(iter(curvature.operator(group).batches()))
    (width,) = (tied.width for tied in curvature.chains[group.name].ties)
    layer: Any = graph.model.one
    picks = entry_of(graph)
    gap = contest(F.silu(layer(inputs)).detach(), picks).gap
    norms = []
    for index in torch.randperm(gap.numel(), generator=torch.Generator().manual_seed(0))[:400].tolist():
        x = F.silu(layer(inputs))
        one = moved(x, picks, contest(x, picks)).flatten()[index]
        slopes = torch.cat([p.reshape(len(p), -1) for p in torch.autograd.grad(one, list(layer.parameters()))], dim=1)
        longer = torch.linalg.vector_norm(theta(graph.model, group), dim=1) if relative else 1.0
        norms.append(float((slopes.square().sum(1) * longer**2).sum()))
    expected = step * sqrt(sum(norms) / len(norms)) / 2
    assert width == pytest.approx(expected, rel=0.25)  # of one random direction per neuron, and some of the windows
    other = Curvature(graph, sample, step=2 * step, relative=relative)
    next(iter(other.operator(group).batches()))
    assert next(tied.width for tied in other.chains[group.name].ties) == pytest.approx(2 * width, rel=1e-2)


def test_without_a_step_and_in_the_published_form_ties_are_left_out() -> None:
    graph = graph_of("plain")
    sample = Sample(torch.randn(9, *graph.input_shape, dtype=torch.float64), torch.arange(9) % 4, F.cross_entropy)
    limit, with_ties = Curvature(graph, sample), Curvature(graph, sample, step=0.01)
    assert (limit.surrogate, with_ties.surrogate) == (None, "ties")
    assert not close(matrices(limit)["one"], matrices(with_ties)["one"], 1e-3)
    published = Curvature(graph, sample, "published", step=0.01)
    assert published.surrogate is None
    assert close(matrices(published)["one"], matrices(limit)["one"])
    assert with_ties.trust(["one"]) == "max pooling"
    assert published.trust(["one"]) == "textbook form"


@pytest.mark.parametrize("memory", [2.0, 1e-9])
def test_dense_and_products_agree_with_ties(memory: float) -> None:
    event, _ = trial(S2D(S2DConfig()), NETWORKS["norm, pooling and flatten"](), 1.7, GrowthConfig(memory=memory))
    curvature = event.curvature()
    for group in event.graph.groups.values():
        operator = curvature.operator(group)
        dense = operator.dense()
        v = torch.randn_like(operator.like)
        assert torch.allclose(operator(v), torch.einsum("nij,nj->ni", dense, v), rtol=1e-9, atol=1e-13)
        assert torch.allclose(dense, dense.mT, atol=1e-13)


def test_a_trained_network_does_what_is_predicted_behind_max_pooling() -> None:
    """S2D's splits of the convolution before a pool at the published step, with ties and without."""
    torch.manual_seed(0)
    data = load({"name": "digits"}, 0)
    part = data.sample(1000, 0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 3, padding=1), nn.SiLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.SiLU()),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32, 10)),
    )
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    inputs = data.normalised(part.inputs)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), part.targets).backward()
        optimizer.step()
    graph = Graph(model.double(), data.input_shape)
    sample = Sample(inputs.double(), part.targets, F.cross_entropy)
    ratios = {}
    for step in (0.0, 0.01):
        curvature = Curvature(graph, sample, step=step)
        for name in ("0", "3"):
            values, vectors = torch.linalg.eigh(curvature.operator(graph.groups[name]).dense())
            lowest = zip(values[:, 0].tolist(), vectors[:, :, 0], strict=True)
            splits = [
                Split(graph.groups[name], i, (0.5, 0.5), torch.stack([v, -v]), a) for i, (a, v) in enumerate(lowest)
            ]
            plan = GrowthPlan(tuple(splits))
            change = loss(model, plan, sample) - loss(model, GrowthPlan(), sample)
            ratios[name, step] = change / (plan.predicted_change(0.01) or 0.0)
    assert all(0.6 < ratios[name, 0.01] < 1.6 for name in ("0", "3")), ratios
    assert not all(0.5 < ratios[name, 0.0] < 2 for name in ("0", "3")), ratios


def loss(model: nn.Module, plan: GrowthPlan, sample: Sample) -> float:
    """After the splits of a plan, by a step of 0.01."""
    return loss_after(model, plan, 0.01, sample.inputs, sample.targets)


@pytest.mark.parametrize("scale", [0.2, 5.0])
def test_a_step_relative_to_long_and_short_neurons_does_what_is_predicted_behind_max_pooling(scale: float) -> None:
    """S2D's splits of a trained convolution whose neurons were made longer or shorter afterwards."""
    torch.manual_seed(0)
    inputs = torch.randn(256, 1, 12, 12)
    targets = (inputs[:, 0, :6].mean((1, 2)) > inputs[:, 0, 6:].mean((1, 2))).long()
    layers = nn.Conv2d(1, 6, 3), nn.SiLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(150, 2)
    model = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    with torch.no_grad():
        for parameter in layers[0].parameters():
            parameter *= scale
    grower = Grower(model, inputs[:1], "s2d", epsilon=0.02, epsilon_relative=True)
    growth = grower.grow(inputs, targets, F.cross_entropy, ratio=1.5)
    assert growth.predicted_drop == pytest.approx(growth.measured_drop, rel=0.25)
