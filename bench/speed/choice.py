"""How few examples, and how few products, choose the same splits.

A network is trained as the configured run would train its seed. S2D then makes its plan for a rung of the usual ratio
on samples of several sizes and with several searches; each plan is compared with the one that Lanczos with its defaults
makes on many other examples. A plan from so many other examples that is not the same shows what chance alone does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bench.core.options import Options
from bench.curvature.eigensolvers import eigensolver
from bench.curvature.passes import Curvature
from bench.data.base import Dataset
from bench.network.graph import Graph
from bench.network.plan import GrowthPlan
from bench.speed.machine import Machine
from bench.speed.step import RATIO, curvature_on, planned
from bench.speed.tables import Row

REFERENCE = 8192
"""Examples that plans are judged on; half of the training set where that is fewer."""
SAMPLES = (64, 256, 1024, 4096, 8192)
SEARCHES: tuple[tuple[str, str, Options], ...] = (
    ("lanczos", "lanczos", {}),
    ("lanczos, 12 products", "lanczos", {"limit": 12}),
    ("lanczos, 6 products", "lanczos", {"limit": 6}),
    ("lanczos, 3 products", "lanczos", {"limit": 3}),
    ("rayleigh", "rayleigh", {}),
)
"""What each is called, the eigensolver and its options."""


def choices(graph: Graph, data: Dataset, machine: Machine, samples: Sequence[int] = SAMPLES) -> list[Row]:
    """A row for each search and sample: ``engine``, ``sample``, ``products`` of the slowest layer, ``seconds``,
    ``splits``, ``same``, the share of the reference's neurons that it splits as well, and ``gain``: what its splits
    gain on the reference's examples, as a share of what the reference's do.

    Args:
        graph: A trained network.
        data: On its device.
        machine: Where it is measured.
        samples: Sizes; those that the training set does not hold beside the reference's are left out.
    """
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(machine.seed))
    order = order.to(data.train.inputs.device)
    held = _held(data)
    judge = curvature_on(graph, data, order[:held])
    reference, _ = planned(judge, eigensolver("lanczos"), machine)
    best, wanted = _gain(judge, reference), _neurons(reference)
    rows: list[Row] = []
    for size in (size for size in samples if size <= len(order) - held):
        for name, engine, options in SEARCHES:
            curvature = curvature_on(graph, data, order[held : held + size])
            plan, seconds = planned(curvature, eigensolver(engine, **options), machine)
            row: Row = {"engine": name, "sample": size, "seconds": seconds}
            row["products"] = max(curvature.operator(group).products for group in graph.groups.values())
            row["splits"] = len(plan.splits)
            row["same"] = len(wanted & _neurons(plan)) / len(wanted) if wanted else None
            row["gain"] = _gain(judge, plan) / best if best else None
            rows.append(row)
    return rows


def title(data: Dataset, backbone: str) -> str:
    """What the table is called."""
    held = f"{_held(data):,} other examples of {data.name}"
    return f"S2D's choice for a rung of ratio {RATIO}, judged on {held}; {backbone}"


def _held(data: Dataset) -> int:
    return min(REFERENCE, len(data.train) // 2)


def _neurons(plan: GrowthPlan) -> set[tuple[str, int]]:
    return {(split.group.name, split.neuron) for split in plan.splits}


def _gain(judge: Curvature, plan: GrowthPlan) -> float:
    """``v^T S v`` of all splits' directions on the judge's examples, summed."""
    total = 0.0
    for name, group in judge.graph.groups.items():
        own = [(s.neuron, s.directions[0]) for s in plan.splits if s.group.name == name and s.directions is not None]
        if own:
            neurons, vectors = torch.tensor([n for n, _ in own]), torch.stack([v for _, v in own])
            total += float((judge.operator(group)(vectors, neurons) * vectors).sum())
    return total
