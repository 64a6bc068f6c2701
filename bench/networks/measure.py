"""One network in a process of its own: ``python -m bench.networks.measure timm:NAME`` prints what is found, as JSON."""

from __future__ import annotations

import sys
import time
import traceback
from dataclasses import dataclass, replace

import msgspec
import torch

from bench.backbones import build
from bench.core.errors import BenchError, one_line
from bench.network.agreement import disturb, outputs
from bench.network.graph import Graph
from bench.network.plan import GrowthPlan, Split
from bench.network.share import causes, share
from bench.network.surgery import apply
from bench.run.environment import end_with_parent

INPUT = (3, 224, 224)
OUTPUTS = 1000
OPTIONS = {"torchvision:inception_v3": {"size": 299}}
"""Of backbones whose default is not the size of images that the network is made for."""


@dataclass(frozen=True)
class Cause:
    """Why so many layers of a network cannot be split: the reason and its place, ``file:line``."""

    layers: int
    reason: str
    where: str


@dataclass(frozen=True)
class Network:
    """What was found of a network.

    Attributes:
        name: ``timm:NAME``.
        failed: Why it is not read, or not grown; None if it is.
        groups: Sets of neurons that can be split.
        heads: Those of them that are attention heads.
        share: Of the parameters in layers that grow, in rows or in columns.
        gap: Largest change of an output by random signed splits, as a share of the largest output, in float64.
        seconds: To read it.
        left: What cannot be split.
    """

    name: str
    failed: str | None = None
    groups: int | None = None
    heads: int | None = None
    share: float | None = None
    gap: float | None = None
    seconds: float | None = None
    left: tuple[Cause, ...] = ()


def measure(name: str) -> Network:
    """Build, read and grow a network; whatever fails is in the result, and on standard error with its traceback."""
    found = Network(name)
    torch.manual_seed(0)
    try:
        model = build({"name": name, **OPTIONS.get(name, {})}, INPUT, OUTPUTS)
        start = time.perf_counter()
        graph = Graph(model, INPUT)
        found = replace(
            found,
            seconds=time.perf_counter() - start,
            groups=len(graph.groups),
            heads=sum(group.kind == "head" for group in graph.groups.values()),
            share=share(graph),
            left=tuple(Cause(len(layers), *cause) for cause, layers in causes(graph).items()),
        )
        return replace(found, gap=gap(graph))
    except BenchError as error:
        return replace(found, failed=str(error))
    except Exception as error:  # a network may fail in any way, and so may our code on it
        traceback.print_exc()
        return replace(found, failed=one_line(error))


def gap(graph: Graph) -> float:
    """How far random signed splits of neurons of every group, all at once, move the outputs.

    Of each group a share between none and a half, and one neuron at least: not the same of all, which would hide where
    groups have to grow alike. In float64 and evaluation mode, as a share of the largest output. The graph's model is
    what is grown.
    """
    random = torch.Generator().manual_seed(0)
    model = graph.model.eval().double()
    disturb(model, random)
    inputs = torch.randn(2, *graph.input_shape, generator=random, dtype=torch.float64)
    before = outputs(model, inputs)
    splits = []
    for name, neurons in graph.widths().items():
        some = 1 + int(neurons / 2 * float(torch.rand((), generator=random)))
        for neuron in torch.randperm(neurons, generator=random)[:some].tolist():
            first = 2 * float(torch.randn((), generator=random))
            splits.append(Split(graph.groups[name], neuron, (first, 1 - first)))
    apply(model, None, GrowthPlan(tuple(splits)), 0.0)
    after = outputs(model, inputs)
    return float((after - before).abs().max() / before.abs().max())


if __name__ == "__main__":
    if sys.argv[2:] == ["worker"]:  # of a survey
        end_with_parent()
    print(msgspec.json.encode(measure(sys.argv[1])).decode())
