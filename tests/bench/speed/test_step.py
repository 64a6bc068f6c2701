"""Whole growth steps: each in a process of its own, with its time and its memory."""

import pytest
import torch
from torch.nn import functional as F

from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.network.graph import Graph
from bench.speed import step
from bench.speed.machine import Machine
from bench.speed.step import random_images, scaling, steps

HERE = Machine("cpu", 1, 0)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of their own, which take seconds to start, have their tests in test_machine."""
    monkeypatch.setattr(step, "apart", lambda function, *args: function(*args))


def test_steps_of_the_three_engines_and_of_a_plan():
    rows = steps(random_images(), [{"name": "convnet", "width": 3}], 24, HERE)
    assert [row["engine"] for row in rows] == ["dense", "lanczos", "rayleigh", "lanczos, a plan"]
    for row in rows:
        assert (row["backbone"], row["width"], row["sample"]) == ("convnet", 3, 24)
        assert row["of epoch"] == pytest.approx(row["seconds"] / row["epoch s"])
        assert min(row["seconds"], row["epoch s"], row["products"], row["operations of epoch"]) > 0
        assert 0.05 < row["peak GiB"] < 8
    assert [row["timed on"] for row in rows] == [16, 24, 24, 24]
    assert rows[0]["products"] == 27  # d of the slowest layer: each column is one
    assert rows[2]["products"] == 22  # ten passes and one for the residual, for each end


def test_lanczos_by_width_and_by_sample():
    rows = scaling(random_images(), HERE, widths=(3, 4), samples=(8, 16))
    assert [(row["layer"], row["sample"]) for row in rows] == [
        ("conv 3x3 3->3, 8x8", 8),
        ("conv 3x3 4->4, 8x8", 8),
        ("conv 3x3 3->3, 8x8", 16),
    ]
    assert all(row["ms a product"] == pytest.approx(1e3 * row["seconds"] / row["products"]) for row in rows)


def test_dense_is_scaled_without_its_decomposition(monkeypatch):
    """Forming S grows with the sample; decomposing it does not."""
    clock = iter([0.0, 3.0, 3.5])
    monkeypatch.setattr(Machine, "now", lambda machine: next(clock))
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh(), torch.nn.Linear(2, 2))
    graph = Graph(model, (3,))
    curvature = Curvature(graph, Sample(torch.randn(5, 3), torch.tensor([0, 1, 0, 1, 1]), F.cross_entropy))
    found, seconds = step._timed(curvature, [graph.groups["0"]], "dense", 64, HERE)
    assert seconds == 64 * 3 + 0.5
    assert found == {"0"}
    assert curvature.products == 4  # S was formed once
