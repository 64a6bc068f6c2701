"""Time and memory of one whole growth step: both ends of all neurons' spectra, in every layer.

Each measurement has a process of its own, so that its peak of memory is its own; on a GPU the peak is of what PyTorch
has allocated there. The network is trained for an epoch on a few images first, and a second epoch, timed and scaled to
the size of CIFAR-10's training part, says what an epoch takes.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import functional as F

from bench.backbones import build
from bench.core.errors import BenchError
from bench.curvature.eigen import ENGINES, Spectrum, solve
from bench.curvature.operator import Curvature
from bench.curvature.sample import Sample
from bench.data.base import Dataset, Part
from bench.network.graph import Graph, Group
from bench.run.environment import reset
from bench.speed.layers import Layer, scaled
from bench.train import TrainConfig, make_optimizer, train

NETWORKS: tuple[dict[str, Any], ...] = ({"name": "mobilenet_v1", "width": 32}, {"name": "vgg19_bn", "width": 64})
WIDTHS, SAMPLES = (32, 64, 128, 256), (512, 1024, 2048, 4096, 8192)
IMAGES = 2048
"""Trained on before measuring."""
EPOCH = 45_000
"""Images of an epoch of CIFAR-10, less its validation part."""
DENSE_ON = 16
"""Examples that forming S is timed on; its time is extrapolated from there, as it grows with their number."""
RECIPE = TrainConfig(batch_size=128)

Row = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a process measures."""

    device: str
    threads: int
    seed: int


def steps(data: Dataset, networks: Sequence[Mapping[str, Any]], sample: int, place: Place) -> list[Row]:
    """A row for each network and engine: ``backbone``, ``width``, ``engine``, ``layers``, ``neurons``, ``sample``,
    ``products`` of the slowest layer, ``seconds``, ``epoch s``, ``of epoch``, ``peak GiB`` of the process.

    Args:
        data: Colour images of 32 by 32 pixels.
        networks: Options of backbones.
        sample: Examples.
        place: Where to measure.
    """
    return [
        _alone(_network_step, _few(data, max(sample, IMAGES)), dict(network), engine, sample, place)
        for network in networks
        for engine in ("dense", "lanczos", "rayleigh")
    ]


def scaling(data: Dataset, place: Place, widths: Sequence[int] = WIDTHS, samples: Sequence[int] = SAMPLES) -> list[Row]:
    """Lanczos on one layer by width, at the least sample, and by sample, at the least width.

    Returns:
        Rows with ``layer``, ``sample``, ``products``, ``seconds``, ``ms a product``, ``peak GiB``.
    """
    sizes = [(width, samples[0]) for width in widths] + [(widths[0], sample) for sample in samples[1:]]
    return [
        _alone(_layer_step, _few(data, max(sample, IMAGES)), Layer("conv", width, width, 8), sample, place)
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


def _alone(function: Callable[..., Row], *arguments: Any) -> Row:
    """What the function returns in a process of its own.

    Raises:
        BenchError: The system ended the process, most likely for want of memory.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            raise BenchError("a measurement was ended by the system: too little memory?") from error
        except BaseException:  # Ctrl-C: the process does not hear it
            for child in multiprocessing.active_children():
                child.kill()
            raise


def _network_step(data: Dataset, network: dict[str, Any], engine: str, sample: int, place: Place) -> Row:
    _settle(place)
    data = data.to(place.device)
    model = build(network, data.input_shape, data.outputs).to(place.device)
    optimizer = make_optimizer(model, RECIPE)
    few = replace(data, train=Part(data.train.inputs[:IMAGES], data.train.targets[:IMAGES]))
    epochs = [train(model, optimizer, few, RECIPE, epochs=1, seed=place.seed).seconds for _ in range(2)]
    epoch = epochs[1] * EPOCH / len(few.train)
    graph = Graph(model, data.input_shape)
    measured = DENSE_ON if engine == "dense" else sample
    curvature = _curvature(graph, data, measured)
    products, seconds = 0.0, 0.0
    left = list(graph.groups.values())
    while left:
        found, took = _timed(curvature, left, engine, sample / measured, place)
        products, seconds = max(products, *(one.products for one in found.values())), seconds + took
        left = [group for group in left if group.name not in found]
    return {
        "backbone": network["name"],
        "width": network.get("width"),
        "engine": engine,
        "layers": len(graph.groups),
        "neurons": sum(graph.widths().values()),
        "sample": sample,
        "products": int(products),
        "seconds": seconds,
        "epoch s": epoch,
        "of epoch": seconds / epoch,
        "peak GiB": _peak(place),
        "timed on": measured,
    }


def _layer_step(data: Dataset, layer: Layer, sample: int, place: Place) -> Row:
    _settle(place)
    data = scaled(data, layer.side).to(place.device)
    model = layer.network(data).to(place.device)
    few = replace(data, train=Part(data.train.inputs[:IMAGES], data.train.targets[:IMAGES]))
    train(model, make_optimizer(model, RECIPE), few, RECIPE, epochs=1, seed=place.seed)
    graph = Graph(model, data.input_shape)
    found, seconds = _timed(_curvature(graph, data, sample), [graph.groups["layer"]], "lanczos", 1, place)
    products = found["layer"].products
    return {
        "layer": layer.name,
        "sample": sample,
        "products": int(products),
        "seconds": seconds,
        "ms a product": seconds / products * 1e3,
        "peak GiB": _peak(place),
    }


def _settle(place: Place) -> None:
    reset(place.threads, place.seed)


def _curvature(graph: Graph, data: Dataset, sample: int) -> Curvature:
    inputs, targets = data.train.inputs[:sample], data.train.targets[:sample]
    return Curvature(graph, Sample(inputs, targets, F.cross_entropy, data.normalised))


def _timed(
    curvature: Curvature, groups: Sequence[Group], engine: str, scale: float, place: Place
) -> tuple[dict[str, Spectrum], float]:
    """Spectra of the first group and what is solved with it, and seconds on ``scale`` times the sample at hand."""
    generator = torch.Generator().manual_seed(place.seed)
    started = _now(place)
    if engine == "dense":
        operator = curvature.operator(groups[0])
        matrix = operator.dense()
        formed = _now(place)
        operator.dense = lambda: matrix  # type: ignore[method-assign]
        found = {groups[0].name: ENGINES[engine](operator, generator)}
        return found, scale * (formed - started) + _now(place) - formed
    found = solve(ENGINES[engine], curvature, groups[0], groups, generator)
    return found, _now(place) - started


def _now(place: Place) -> float:
    if place.device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def _peak(place: Place) -> float:
    if place.device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**30
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
