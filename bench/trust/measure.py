"""One network: trained briefly, its neurons split by S2D layer by layer and all at once, and the loss measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from statistics import median

import torch
from torch import nn

from bench.core.errors import BenchError, one_line
from bench.curvature.sample import Sample
from bench.data import load
from bench.data.base import Dataset
from bench.growth.config import GrowthConfig
from bench.growth.event import GrowthEvent
from bench.growth.method import GrowthContext, Trained
from bench.methods.s2d import candidates, plan
from bench.network.cost import cost_models
from bench.network.graph import Graph
from bench.network.groups import theta
from bench.network.plan import GrowthPlan
from bench.train.loss import loss_function
from bench.trust.cases import Case

STEPS = 40
"""Training steps of Adam, at a learning rate of 0.003."""
EXAMPLES = 256
"""Examples that curvature and loss are measured on; half of them for torchvision's networks."""
BATCH = 64
"""Examples of a training step; half of them for torchvision's networks."""
EPSILON = 1e-2
LAYERS = 8
"""Layers of a network that are split at most, evenly over its depth."""
NUMBERS = 300_000
"""Parameters of the neurons of a layer that is split, at most."""


@dataclass(frozen=True)
class Found:
    """What was found of a case.

    Attributes:
        case: The case.
        failed: Why there is nothing; None if there is.
        trust: What its prediction is said to be (`bench.core.record.GrowthRecord.trust`).
        ratios: Measured over predicted change of the loss, by layer; those within rounding are left out.
        whole: The same of all layers at once.
        predicted: Fall of the loss, of all layers at once.
        seconds: What it took.
    """

    case: Case
    failed: str | None = None
    trust: str = ""
    ratios: dict[str, float] | None = None
    whole: float | None = None
    predicted: float | None = None
    seconds: float = 0.0

    @property
    def middle(self) -> float | None:
        """Median ratio over layers."""
        return median(self.ratios.values()) if self.ratios else None

    @property
    def worst(self) -> float | None:
        """The ratio that is furthest from 1."""
        return max(self.ratios.values(), key=lambda ratio: abs(ratio - 1)) if self.ratios else None


class Halves:
    """In each of some layers, the half of the neurons with the most negative curvature is split, as S2D does it."""

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Take them, whatever they cost."""
        small = [group for group in context.groups if theta(context.graph.model, group).numel() <= NUMBERS]
        taken = {round(i * (len(small) - 1) / (LAYERS - 1)) for i in range(LAYERS)}
        chosen = [small[i] for i in sorted(taken)] if small else []
        context.left_out = frozenset(context.widths) - {group.name for group in chosen}
        found = candidates(context)
        half = []
        for group in chosen:
            own = sorted((c for c in found if c.group is group), key=lambda c: c.gain)
            half += own[: max(1, context.widths[group.name] // 2)]
        return plan(context, half, stable=not half)


def measure(case: Case) -> Found:
    """Train, split and measure; whatever fails is in the result."""
    started = time.perf_counter()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            found = _measured(case)
    except BenchError as error:
        found = Found(case, failed=str(error))
    except Exception as error:  # a network may fail in any way
        found = Found(case, failed=one_line(error))
    return replace(found, seconds=time.perf_counter() - started)


def _measured(case: Case) -> Found:
    data = load(case.data, 0)
    model = case.build(data.input_shape, data.outputs)
    loss = loss_function(data.task)
    part_of = 2 if case.is_torchvisions else 1
    train(model, data, BATCH // part_of)
    part = data.sample(EXAMPLES // part_of, 0)
    graph = Graph(model.eval(), data.input_shape, data.input_dtype)
    if not graph.groups:
        return Found(case, failed="; ".join(map(str, graph.unsplittable)))
    costs, widths = cost_models(graph), graph.widths()
    event = GrowthEvent(
        graph=graph,
        optimizers=[torch.optim.SGD(model.parameters(), lr=0.1)],
        method=Halves(),
        name="s2d",
        config=GrowthConfig(epsilon=EPSILON),
        costs=costs,
        sample=Sample(part.inputs, part.targets, loss, data.normalised),
        lineage={},
        seed_widths=widths,
        history=[Trained(costs["macs"].of(widths), 1)],
        epochs=1,
        generator=torch.Generator().manual_seed(0),
    )
    whole = event.propose(inf)
    if not whole.changes:
        return Found(case, failed="no curvature is negative")
    before = event.measure(GrowthPlan(), 0.0)[0]
    rounding = torch.finfo(torch.float32).eps * abs(before)

    def ratio(one: GrowthPlan) -> float | None:
        predicted = one.predicted_change(EPSILON)
        measured = event.measure(one, EPSILON)[0] - before
        return measured / predicted if predicted and max(abs(predicted), abs(measured)) > rounding else None

    ratios = {name: ratio(whole.of({name})) for name in whole.groups}
    return Found(
        case,
        trust=event.curvature().trust(whole.groups),
        ratios={name: found for name, found in ratios.items() if found is not None},
        whole=ratio(whole),
        predicted=-(whole.predicted_change(EPSILON) or 0.0),
    )


def train(model: nn.Module, data: Dataset, batch: int) -> None:
    """Some steps of Adam."""
    loss, random = loss_function(data.task), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    model.train()
    for _ in range(STEPS):
        inputs, targets = data.batch(data.train, torch.randint(len(data.train), (batch,), generator=random))
        optimizer.zero_grad()
        torch.autograd.backward(loss(model(inputs), targets))
        optimizer.step()


def all_of(found: Sequence[Found]) -> list[float]:
    """The ratios of all layers."""
    return [ratio for one in found for ratio in (one.ratios or {}).values()]
