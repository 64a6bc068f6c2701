"""Whatever a backbone's graph calls splittable keeps the function at step zero, for every method, in float64; and new
neurons, which no spectrum enters, lower the loss by what they say."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.backbones import backbones, build
from bench.core.errors import Refused
from bench.curvature.operator import Operator
from bench.curvature.pair import Pair
from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.curvature.spectrum import Spectrum
from bench.growth.method import GrowthContext, Trained
from bench.methods import registry
from bench.network.cost import cost_models
from bench.network.graph import Graph
from bench.network.plan import GrowthPlan
from bench.network.surgery import apply
from tests.bench.backbones.elsewhere import NETWORKS
from tests.reference import loss_after

CASES: list[tuple[dict[str, Any], tuple[int, ...]]] = [
    *(({"name": name}, (3, 32, 32)) for name in backbones.names() if name not in ("mlp", "rbf", "gpt")),
    ({"name": "mlp"}, (3, 8, 8)),
    ({"name": "rbf"}, (1,)),
    ({"name": "gpt"}, (16,)),
    *(({"name": f"torchvision:{name}", "size": 64}, (3, 32, 32)) for name in NETWORKS),
]


PAIRED, FEW = ("firefly", "gradmax", "saddle", "senn", "tiny"), 3
"""Methods that need more than a spectrum of every group they grow, and the groups they are offered here."""
SPLIT = 3
"""Neurons of each group that have any curvature."""


def any_spectrum(operator: Operator, generator: torch.Generator) -> Spectrum:
    """Directions and eigenvalues at random: nothing at step zero depends on what they are."""
    n, d = operator.neurons, operator.size
    low, high = (F.normalize(torch.randn(n, d, generator=generator, dtype=torch.float64), dim=1) for _ in range(2))
    size = torch.rand(n, generator=generator, dtype=torch.float64) + 0.1
    size[SPLIT:] = 0
    return Spectrum(-size, low, size, high, torch.zeros(n))


def lively(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """In float64, with no parameter or statistic left at zero, where a wrong split would not show."""
    model = model.double().eval()
    with torch.no_grad():
        for tensor in (*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())):
            if not tensor.any():
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator, dtype=torch.float64))
    return model


@pytest.mark.parametrize(("options", "shape"), CASES, ids=lambda case: case["name"] if isinstance(case, dict) else "")
def test_every_method_keeps_the_function_at_step_zero(options: dict[str, Any], shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = lively(build(options, shape, 10), generator)
    inputs = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    if options["name"] == "gpt":
        inputs = torch.randint(10, (2, *shape), generator=generator)
    graph = Graph(model, shape, inputs.dtype)
    models, widths = cost_models(graph), graph.widths()
    with torch.no_grad():
        expected = model(inputs)
    curvature = Curvature(graph, Sample(inputs, torch.zeros(2, dtype=torch.long), F.cross_entropy))
    grown, pairs = set[str](), dict[str, Pair]()
    for entry in registry:
        context = GrowthContext(
            graph=graph,
            cost=models["params"],
            macs=models["macs"],
            target=models["params"].of({group: n + 3 * SPLIT for group, n in widths.items()}),
            curvature=curvature,
            eigensolver=any_spectrum,
            generator=generator,
            lineage={group: torch.ones(n, dtype=torch.float64) for group, n in widths.items()},
            seed_widths=widths,
            history=(Trained(models["macs"].of(widths), 1),),
            epochs=1,
            left_out=frozenset(list(widths)[FEW:]) if entry.name in PAIRED else frozenset(),
            _pairs=pairs,
        )
        try:
            plan = entry.factory(entry.config()).propose(context)
        except Refused:
            continue
        if plan.restart:
            continue
        twin = copy.deepcopy(model)
        apply(twin, None, plan, 0.0)
        grown |= {group for group, added in plan.added().items() if added}
        with torch.no_grad():
            assert _gap(twin(inputs), expected) < 1e-10, entry.name
        births = GrowthPlan(births=plan.births[:SPLIT])
        if abs(births.predicted_change(1e-3) or 0.0) > 1e-11:  # else rounding is as large
            _check_prediction(model, births, inputs)
    assert grown == set(widths)


def _check_prediction(model: nn.Module, plan: GrowthPlan, inputs: Tensor) -> None:
    """The change of the loss is within 1 % of the predicted one at some step, in float64."""

    def loss(plan: GrowthPlan, step: float) -> float:
        return loss_after(model, plan, step, inputs, torch.zeros(2, dtype=torch.long))

    before, off = loss(GrowthPlan(), 0.0), []
    for step in (1e-2, 1e-3, 1e-4):
        off.append(abs((loss(plan, step) - before) / (plan.predicted_change(step) or 0.0) - 1))
    assert min(off) < 0.01, off


def _gap(one: Tensor, two: Tensor) -> float:
    return float((one - two).abs().max() / two.abs().max())
