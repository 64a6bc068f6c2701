"""A plan decided with as much of the spectra as it depends on is the plan of complete spectra."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from bench.backbones import build
from bench.curvature.eigensolvers import eigensolver
from bench.curvature.operator import Batch
from bench.curvature.passes import Curvature
from bench.curvature.solve import Running
from bench.growth.decide import decided
from bench.growth.method import GrowthContext, GrowthMethod, is_monotone
from bench.methods import registry
from bench.network.graph import Graph
from bench.network.groups import Group
from bench.network.plan import GrowthPlan, Split
from tests.bench.curvature.spectra import CASES, Matrices, generator, symmetric
from tests.methods.made import context_of, method
from tests.nets import NETS, Net, grow_context

MONOTONE: list[tuple[str, dict[str, object]]] = [
    ("s2d", {}),
    ("s2d", {"rank": "gain_per_cost"}),
    ("s3d", {}),
    ("s3d", {"c": 3.0, "cap": 4.0, "rank": "gain_per_cost"}),
    ("fast_s2d", {}),
    ("fast_s2d", {"cap": 1.5}),
    ("saddle", {}),
    ("compose", {"where": "curvature", "how": "split"}),
    ("compose", {"where": "proportional", "how": "split"}),
]
IDS = [f"{name}-{'-'.join(map(str, options.values()))}" for name, options in MONOTONE]


class Counted(Matrices):
    """Matrices that count the rows multiplied."""

    rows = 0

    def on_batch(self, batch: Batch, vectors: Tensor, neurons: Tensor | None = None) -> Tensor:
        self.rows += len(vectors)
        return super().on_batch(batch, vectors, neurons)


class Planted(Curvature):
    """S of every group as given."""

    planted: dict[str, Counted]

    def operator(self, group: Group) -> Counted:
        return self.planted[group.name]

    def fits(self, group: Group) -> bool:
        return True


def planted(*values: Tensor, ratio: float = 1.3, seed: int = 0, dtype: torch.dtype = torch.float64) -> GrowthContext:
    """A context of a chain of layers, whose neurons have these eigenvalues, shape ``(n, d)`` for each layer."""
    widths = [len(own) for own in values]
    layers = [nn.Sequential(nn.Linear(i, o), nn.SiLU()) for i, o in zip([4, *widths], widths, strict=False)]
    graph = Graph(nn.Sequential(*layers, nn.Linear(widths[-1], 3)).double().eval(), (4,))
    inputs = torch.randn(6, 4, generator=generator(), dtype=torch.float64)
    context = grow_context(graph, inputs, torch.arange(6) % 3, ratio=ratio, engine="lanczos", seed=seed)
    made = Planted(graph, context.curvature.sample)
    pairs = zip(graph.groups, values, strict=True)
    made.planted = {name: Counted(symmetric(own, seed).to(dtype)) for name, own in pairs}
    context.curvature = made
    return context


def same(one: GrowthPlan, two: GrowthPlan, tolerance: float = 1e-6) -> bool:
    """Whether plans split the same neurons alike, along the same directions up to their sign."""
    assert one.stopped == two.stopped
    assert [(s.group.name, s.neuron, s.weights) for s in one.splits] == [
        (s.group.name, s.neuron, s.weights) for s in two.splits
    ]
    for a, b in zip(one.splits, two.splits, strict=True):
        assert a.gain == pytest.approx(b.gain, rel=tolerance)
        torch.testing.assert_close(second_moment(a), second_moment(b), rtol=0, atol=1e-3)
    for name, value in one.notes.items():
        assert two.notes[name] == pytest.approx(value, rel=1e-6, abs=1e-9)
    return True


def second_moment(split: Split) -> Tensor:
    """``sum_j w_j delta_j delta_j^T``, which is the same for eigenvectors of either sign."""
    assert split.directions is not None
    weights = torch.tensor(split.weights, dtype=split.directions.dtype)
    return torch.einsum("j,ja,jb->ab", weights, split.directions, split.directions)


def both(made: GrowthMethod, context: Callable[[], GrowthContext]) -> tuple[GrowthContext, GrowthContext]:
    """Contexts after a plan of complete spectra and a decided one, which are the same."""
    complete, lazy = context(), context()
    assert same(made.propose(complete), decided(made, lazy))
    return complete, lazy


@pytest.mark.parametrize(("name", "options"), MONOTONE, ids=IDS)
@pytest.mark.parametrize("net", NETS, ids=str)
def test_the_plan_is_that_of_complete_spectra_on_every_net(net: Net, name: str, options: dict[str, object]) -> None:
    for ratio in (1.3, 3.0):
        both(method(name, **options), lambda ratio=ratio: context_of(net, engine="lanczos", ratio=ratio))


@pytest.mark.parametrize("backbone", ["mobilenet_v1", "vgg11_bn", "resnet20"])
def test_the_plan_is_that_of_complete_spectra_on_backbones(backbone: str) -> None:
    model, inputs = backbones(backbone)
    graph, targets = Graph(model, (3, 32, 32)), torch.arange(len(inputs)) % 10
    rungs = [("params", 1.2), ("macs", 2.0)]
    known = grow_context(graph, inputs, targets, engine="lanczos")
    for group in known.groups:
        known.spectrum(group)
    for name, options in MONOTONE:
        made = method(name, **options)
        for metric, ratio in rungs[: 2 if name == "s2d" else 1]:
            context = partial(grow_context, graph, inputs, targets, ratio=ratio, metric=metric, engine="lanczos")
            complete = dataclasses.replace(context(), _searches=known._searches)
            assert same(made.propose(complete), decided(made, lazy := context()))
            assert 0 < lazy.searched <= complete.searched == sum(lazy.widths.values())


_BUILT: dict[str, tuple[nn.Module, Tensor]] = {}


def backbones(name: str) -> tuple[nn.Module, Tensor]:
    """A narrow one, untrained, and images of noise."""
    if name not in _BUILT:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = build({"name": name, "width": 4}, (3, 32, 32), 10)
            _BUILT[name] = model.double().eval(), torch.randn(4, 3, 32, 32, dtype=torch.float64)
    return _BUILT[name]


SLOW = torch.linspace(-1, 1, 300)
FAST = torch.cat([torch.tensor([-0.98]), torch.zeros(298), torch.tensor([0.9])])


@pytest.mark.parametrize("name", ["s2d", "s3d", "fast_s2d"])
def test_ritz_values_that_rank_the_neurons_wrongly_do_not_decide(name: str) -> None:
    """After 6 products the first neuron's value is still above the second's, whose own is below."""

    def context() -> GrowthContext:
        values = torch.stack([SLOW, FAST, 0.1 * SLOW, 0.1 * FAST])
        return planted(values, ratio=1.28)  # room for one

    first = context()
    search = Running(first.eigensolver(operator := first.operator(first.groups[0]), generator()), operator, waits=True)
    while search.is_under_way:
        for batch in operator.batches():
            search.on(batch)
    early = search.spectrum().lowest
    assert early[1] < early[0]
    plan = decided(method(name), lazy := context())
    assert [split.neuron for split in plan.splits] == [0]
    assert same(method(name).propose(context()), plan)
    assert lazy.searched < 4


@pytest.mark.parametrize("name", ["s2d", "s3d", "fast_s2d", "compose"])
@pytest.mark.parametrize("seed", range(4))
def test_it_takes_fewer_products(name: str, seed: int) -> None:
    """Neurons of all sizes, most of them far from being chosen."""
    sizes = torch.rand(2, 16, 1, generator=generator(seed), dtype=torch.float64) ** 3
    values = sizes * torch.randn(2, 16, 120, generator=generator(seed + 9), dtype=torch.float64)
    options = {"where": "curvature"} if name == "compose" else {}
    complete, lazy = both(method(name, **options), lambda: planted(*values, ratio=1.3, seed=seed))
    rows = [sum(context.operator(group).rows for group in context.groups) for context in (complete, lazy)]
    assert rows[1] < 0.7 * rows[0]
    assert lazy.searched < complete.searched == 32
    assert lazy.residual is not None
    assert lazy.residual <= 1e-5
    assert lazy.unconverged == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["s2d", "s3d", "fast_s2d"])
def test_planted_spectra_of_all_kinds(name: str, case: str, dtype: torch.dtype) -> None:
    """Degenerate, of low rank, of one sign, zero, and so small that a Krylov space is exhausted at once."""
    for ratio in (1.3, 4.0):
        complete, lazy = (planted(CASES[case], ratio=ratio, dtype=dtype) for _ in range(2))
        assert same(method(name).propose(complete), decided(method(name), lazy), 1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_optimistic_spectra_reach_beyond_the_true_ends(case: str, dtype: torch.dtype) -> None:
    scale = CASES[case].abs().amax(1).clamp(min=1e-30)
    operator = Matrices(symmetric(CASES[case]).to(dtype))
    for seed in range(5):
        search = Running(eigensolver("lanczos")(operator, generator(seed)), operator, waits=True)
        while search.is_under_way:
            for batch in operator.batches():
                search.on(batch)
        widest = search.optimistic(())
        assert (widest.lowest <= CASES[case].amin(1) + 2e-5 * scale).all()
        assert (widest.highest >= CASES[case].amax(1) - 2e-5 * scale).all()
        assert torch.equal(search.optimistic(range(len(scale))).lowest, search.spectrum().lowest)


@pytest.mark.parametrize("name", ["s2d", "s3d", "fast_s2d"])
def test_stable_networks_stop_and_say_so(name: str) -> None:
    values = torch.linspace(0.1, 1, 80).expand(5, -1)
    plan = decided(method(name, **({"c": 1.0} if name == "s3d" else {})), planted(values, ratio=3.0))
    assert (plan.splits, plan.stopped) == ((), "stable")


def test_where_nothing_fits_the_reason_is_that_of_complete_spectra() -> None:
    for values in (SLOW.expand(4, -1), (SLOW + 1.5).expand(4, -1)):
        both(method("s2d"), lambda values=values: planted(values, ratio=1.0))


def test_layers_that_do_not_fit_share_their_passes_and_wait_too() -> None:
    model, inputs = backbones("vgg11_bn")
    graph, targets = Graph(model, (3, 32, 32)), torch.arange(len(inputs)) % 10

    def context(memory: float) -> GrowthContext:
        made = grow_context(graph, inputs, targets, ratio=1.3, engine="lanczos")
        made.curvature.memory = memory
        return made

    needed = sum(24 * context(1).operator(group).like.nbytes for group in context(1).groups)
    complete, lazy = both(method("s2d"), lambda: context(needed))
    assert lazy.can_wait
    assert not all(lazy.curvature.fits(group) for group in lazy.groups)
    assert lazy.searched < complete.searched
    assert lazy.curvature.passes <= complete.curvature.passes + 8
    both(method("s2d"), lambda: context(needed - 1))
    decided(method("s2d"), little := context(needed - 1))
    assert not little.can_wait
    assert little.searched == sum(little.widths.values())


def test_who_is_asked_this_way() -> None:
    assert all(is_monotone(method(name, **options)) for name, options in MONOTONE)
    for name in set(registry.names()) - {name for name, _ in MONOTONE}:
        assert not is_monotone(registry[name].make({}))
    for options in ({"solver": "relaxed"}, {"preset": "published"}):
        assert not is_monotone(method("fast_s2d", **options))
    for where, how in (("random", "split"), ("curvature", "fresh"), ("pair", "split")):
        assert not is_monotone(method("compose", where=where, how=how))


def test_a_method_that_does_not_say_so_has_complete_spectra() -> None:
    class Asks:
        """Looks at everything once."""

        asked = 0

        def propose(self, context: GrowthContext) -> GrowthPlan:
            self.asked += 1
            for group in context.groups:
                context.spectrum(group)
            return GrowthPlan()

    made, context = Asks(), planted(SLOW.expand(4, -1))
    decided(made, context)
    assert (made.asked, context.searched, context.missing) == (1, 4, set())
