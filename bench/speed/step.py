"""Time and memory of one whole growth step: both ends of all neurons' spectra, in every layer; or as much of them as a
plan depends on, as in a run.

Each measurement has a process of its own, so that its peak of memory is its own. The network is trained for an epoch on
a few images first, and a second epoch, timed and scaled to the size of CIFAR-10's training part, says what an epoch
takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.backbones import build
from bench.core.options import Options
from bench.curvature.eigensolvers import eigensolver
from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.curvature.solve import solve
from bench.curvature.spectrum import Eigensolver
from bench.data.base import Dataset, Part
from bench.growth.decide import decided
from bench.growth.method import GrowthContext, make
from bench.network.cost import cost_models
from bench.network.graph import Graph
from bench.network.groups import Group
from bench.network.plan import GrowthPlan
from bench.speed.layers import Layer, scaled
from bench.speed.machine import Machine, apart
from bench.speed.tables import Row
from bench.train import TrainConfig, make_optimizer, train

NETWORKS: tuple[Options, ...] = ({"name": "mobilenet_v1", "width": 32}, {"name": "vgg19_bn", "width": 64})
ENGINES = ("dense", "lanczos", "rayleigh")
PLAN = "lanczos, a plan"
"""A growth step as a run takes it: S2D's plan for a rung of the usual `RATIO` (`bench.growth.decide`)."""
RATIO = 1.5
WIDTHS, SAMPLES = (32, 64, 128, 256), (512, 1024, 2048, 4096, 8192)
IMAGES = 2048
"""Trained on before measuring."""
EPOCH = 45_000
"""Images of an epoch of CIFAR-10, less its validation part."""
DENSE_ON = 16
"""Examples that forming S is timed on; its time is extrapolated from there, as it grows with their number."""
RECIPE = TrainConfig(batch_size=128)


def steps(data: Dataset, networks: Sequence[Options], sample: int, machine: Machine) -> list[Row]:
    """A row for each network and eigensolver, and for a plan: ``backbone``, ``width``, ``engine``, ``layers``,
    ``neurons``, ``sample``, ``products`` of the slowest layer, ``seconds``, ``epoch s``, ``of epoch``, ``operations of
    epoch``, counted rather than timed, ``peak GiB`` of the process.

    Args:
        data: Colour images of 32 by 32 pixels.
        networks: Options of backbones.
        sample: Examples.
        machine: Where to measure.
    """
    few = _few(data, max(sample, IMAGES))
    return [
        apart(_network_step, few, dict(network), engine, sample, machine)
        for network in networks
        for engine in (*ENGINES, PLAN)
    ]


def scaling(
    data: Dataset, machine: Machine, widths: Sequence[int] = WIDTHS, samples: Sequence[int] = SAMPLES
) -> list[Row]:
    """Lanczos on one layer by width, at the least sample, and by sample, at the least width.

    Returns:
        Rows with ``layer``, ``sample``, ``products``, ``seconds``, ``ms a product``, ``peak GiB``.
    """
    sizes = [(width, samples[0]) for width in widths] + [(widths[0], sample) for sample in samples[1:]]
    return [
        apart(_layer_step, _few(data, max(sample, IMAGES)), Layer("conv", width, width, 8), sample, machine)
        for width, sample in sizes
    ]


def random_images(seed: int = 0) -> Dataset:
    """Noise in the shape of CIFAR-10, for machines that do not have it."""
    generator = torch.Generator().manual_seed(seed)
    count = max(SAMPLES)
    inputs = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    part = Part(inputs, torch.randint(10, (count,), generator=generator))
    half = torch.full((3,), 0.5)
    held = Part(part.inputs[:1], part.targets[:1])
    return Dataset("noise", "classification", 10, (3, 32, 32), part, held, held, half, half / 2, crop=4, flip=True)


def _few(data: Dataset, count: int) -> Dataset:
    """The first training images alone, on the CPU."""

    def first(part: Part, size: int) -> Part:
        return Part(part.inputs[:size].cpu().clone(), part.targets[:size].cpu().clone())

    held = first(data.test, 1)
    small = replace(data, train=first(data.train, count), validation=held, test=held)
    return replace(small, mean=data.mean.cpu(), std=data.std.cpu())


def _network_step(data: Dataset, network: Options, engine: str, sample: int, machine: Machine) -> Row:
    machine.settle()
    data = data.to(machine.device)
    model = build(network, data.input_shape, data.outputs).to(machine.device)
    epoch = _trained(model, data, machine, epochs=2)
    graph = Graph(model, data.input_shape)
    measured = DENSE_ON if engine == "dense" else sample
    curvature = curvature_on(graph, data, slice(measured))
    if engine == PLAN:
        _, seconds = planned(curvature, eigensolver("lanczos"), machine)
    else:
        seconds = _solved(curvature, engine, sample / measured, machine)
    macs = cost_models(graph)["macs"].of(graph.widths())
    return {
        "backbone": network["name"],
        "width": network.get("width"),
        "engine": engine,
        "layers": len(graph.groups),
        "neurons": sum(graph.widths().values()),
        "sample": sample,
        "products": max(curvature.operator(group).products for group in graph.groups.values()),
        "seconds": seconds,
        "epoch s": epoch,
        "of epoch": seconds / epoch,
        "operations of epoch": curvature.flops(macs) * sample / measured / (6 * macs * EPOCH),
        "peak GiB": machine.peak(),
        "timed on": measured,
    }


def _layer_step(data: Dataset, layer: Layer, sample: int, machine: Machine) -> Row:
    machine.settle()
    data = scaled(data, layer.side).to(machine.device)
    model = layer.network(data).to(machine.device)
    _trained(model, data, machine, epochs=1)
    graph = Graph(model, data.input_shape)
    curvature = curvature_on(graph, data, slice(sample))
    _, seconds = _timed(curvature, [graph.groups["layer"]], "lanczos", 1, machine)
    return {
        "layer": layer.name,
        "sample": sample,
        "products": curvature.products,
        "seconds": seconds,
        "ms a product": seconds / curvature.products * 1e3,
        "peak GiB": machine.peak(),
    }


def _trained(model: nn.Module, data: Dataset, machine: Machine, epochs: int) -> float:
    """Train on `IMAGES`; seconds of the last epoch, scaled to `EPOCH`."""
    few = replace(data, train=Part(data.train.inputs[:IMAGES], data.train.targets[:IMAGES]))
    optimizer = make_optimizer(model, RECIPE)
    seconds = [train(model, optimizer, few, RECIPE, epochs=1, seed=machine.seed).seconds for _ in range(epochs)]
    return seconds[-1] * EPOCH / len(few.train)


def curvature_on(graph: Graph, data: Dataset, examples: slice | Tensor) -> Curvature:
    """The splitting operators on some training examples of a data set with classes."""
    inputs, targets = data.train.inputs[examples], data.train.targets[examples]
    return Curvature(graph, Sample(inputs, targets, F.cross_entropy, data.normalised))


def _solved(curvature: Curvature, engine: str, scale: float, machine: Machine) -> float:
    """Seconds that complete spectra take, on ``scale`` times the sample."""
    seconds = 0.0
    left = list(curvature.graph.groups.values())
    while left:
        found, took = _timed(curvature, left, engine, scale, machine)
        seconds += took
        left = [group for group in left if group.name not in found]
    return seconds


def planned(curvature: Curvature, search: Eigensolver, machine: Machine) -> tuple[GrowthPlan, float]:
    """S2D's plan for a rung `RATIO` times as large in parameters, and the seconds that it takes."""
    graph, models = curvature.graph, cost_models(curvature.graph)
    widths = graph.widths()
    context = GrowthContext(
        graph=graph,
        cost=models["params"],
        macs=models["macs"],
        target=RATIO * models["params"].of(widths),
        curvature=curvature,
        eigensolver=search,
        generator=torch.Generator().manual_seed(machine.seed),
        lineage={name: torch.ones(n, dtype=torch.float64) for name, n in widths.items()},
        seed_widths=widths,
    )
    method = make({"name": "s2d"})
    started = machine.now()
    return decided(method, context), machine.now() - started


def _timed(
    curvature: Curvature, groups: Sequence[Group], engine: str, scale: float, machine: Machine
) -> tuple[set[str], float]:
    """Solve the first group; names of all that were solved with it, and seconds on ``scale`` times the sample."""
    generator = torch.Generator().manual_seed(machine.seed)
    operator = curvature.operator(groups[0])
    started = formed = machine.now()
    if engine == "dense":  # only forming S grows with the sample: not its decomposition
        matrix = operator.dense()
        formed = machine.now()
        operator.dense = lambda: matrix  # type: ignore[method-assign]
        eigensolver(engine)(operator, generator)
        found = {groups[0].name}
    else:
        found = set(solve(eigensolver(engine), curvature, groups[0], groups, generator))
    return found, scale * (formed - started) + machine.now() - formed
