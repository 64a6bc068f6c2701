"""ViT and GPT: they grow in heads and hidden units, and do what was predicted."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from bench.backbones import build
from bench.core.record import RunState
from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.methods import registry
from bench.network.graph import Graph
from bench.network.plan import GrowthPlan, Split
from bench.network.surgery import apply
from bench.run.load import load_network
from bench.run.protocol import Run
from tests.runs import prepared

KINDS = [
    ["backbone=vit", "data=digits", "backbone.patch=2", "backbone.width=8"],
    ["backbone=gpt", "data=text", "data.train_size=300", "data.validation=1", "data.length=8", "backbone.width=8"],
]


def _named(one: str | list[str]) -> str:
    return one if isinstance(one, str) else one[0].removeprefix("backbone=")


each = pytest.mark.parametrize("kind", KINDS, ids=_named)


@pytest.mark.parametrize("name", ["vit", "gpt"])
def test_every_block_has_heads_and_hidden_units(name: str) -> None:
    options = {"name": name, "depth": 3, "heads": 3, "head_size": 5, "hidden": 7}
    model = build(options, (16,) if name == "gpt" else (1, 8, 8), 10)
    graph = Graph(model, (16,) if name == "gpt" else (1, 8, 8), torch.int64 if name == "gpt" else torch.float32)
    blocks = [f"blocks.{i}" for i in range(3)]
    heads = {f"{block}.attention.qkv": 3 for block in blocks}
    units = {f"{block}.mlp.0": 7 for block in blocks}
    assert graph.widths() == heads | units
    assert {group for group, one in graph.groups.items() if one.kind == "head"} == set(heads)
    assert graph.unsplittable
    for one in graph.unsplittable:  # all are the stream, or end in the outputs
        assert "norm" in one.reason or "output" in one.reason, one


@pytest.mark.parametrize(("method", "kind"), list(zip(registry.names(), cycle(KINDS), strict=False)), ids=_named)
def test_every_method_grows_one_of_them(method: str, kind: list[str], tmp_path: Path) -> None:
    options = ("backbone.depth=1", "train.optimizer=adamw", "train.lr=0.01", "growth.sample=64", "growth.stages=1")
    made = prepared(tmp_path, f"method={method}", *kind, *options)
    record = made.execute()
    assert record.status is RunState.DONE
    widths = [stage.widths for stage in record.stages]
    grown = {record.layers[name] for name in widths[0] if widths[-1][name] > widths[0][name]}
    if method not in ("s2d", "fast_s2d", "s3d", "senn"):  # those choose among both by their gain
        assert grown == {"head", "Linear"}
    assert grown
    events = [stage.growth for stage in record.stages if stage.growth is not None and stage.growth.added_neurons]
    assert events
    assert all(event.function_gap is not None and event.function_gap < 1e-12 for event in events)
    inputs, _ = made.data.batch(made.data.test, torch.arange(9))
    model = load_network(made.folder.path)
    made.model.eval()
    assert torch.equal(model(inputs), made.model(inputs))


@each
@pytest.mark.parametrize("kinds", [("Linear",), ("head",), ("Linear", "head")])
def test_the_measured_drop_is_the_predicted_one(kinds: tuple[str, ...], kind: list[str], tmp_path: Path) -> None:
    """Trained, in float64, step 1e-2, three neurons of each layer along their smallest eigenvectors."""
    made = _trained(tmp_path, kind)
    model = made.model.double().eval()
    inputs, targets = made.data.batch(made.data.train, torch.arange(100))
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    graph = Graph(model, made.data.input_shape, inputs.dtype)
    curvature = Curvature(graph, Sample(inputs, targets, F.cross_entropy))
    step, splits = 1e-2, []
    for group in graph.groups.values():
        if group.kind not in kinds:
            continue
        values, vectors = torch.linalg.eigh(curvature.operator(group).dense())
        for neuron in values[:, 0].argsort()[:3].tolist():
            value, direction = float(values[neuron, 0]), vectors[neuron, :, 0]
            if value < 0:
                splits.append(Split(group, neuron, (0.5, 0.5), torch.stack([direction, -direction]), value))
    assert splits
    predicted = -(step**2) / 2 * sum(split.gain or 0.0 for split in splits)
    with torch.no_grad():
        before = F.cross_entropy(model(inputs), targets)
        apply(model, None, GrowthPlan(tuple(splits)), step)
        after = F.cross_entropy(model(inputs), targets)
    assert float(before - after) == pytest.approx(predicted, rel=0.02)


def _trained(folder: Path, kind: list[str]) -> Run:
    made = prepared(
        folder, *kind, "method=static", "train.optimizer=adamw", "train.lr=0.01", "train.seed_epochs=10",
        "growth.stages=0",
    )  # fmt: skip
    made.execute()
    return made


@each
def test_static_starts_a_grown_ladder_afresh(kind: list[str], tmp_path: Path) -> None:
    record: Any = prepared(tmp_path, *kind, "method=static", "train.epochs=0").execute()
    params = [stage.params for stage in record.stages]
    assert params == sorted(set(params))
    assert all(stage.params <= stage.target_cost for stage in record.stages)
