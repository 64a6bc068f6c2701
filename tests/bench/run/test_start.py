"""Nothing is trained that is frozen whole or starts from what are no numbers; frozen layers stay as they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.backbones.base import backbones
from bench.core.errors import BenchError
from bench.core.output import notice
from bench.core.registry import NoOptions
from bench.data.base import Dataset, Part
from bench.network.graph import Graph
from bench.network.plan import GrowthPlan, Split
from bench.network.surgery import apply
from bench.run.start import note_unseen_classes, require_a_step
from tests.runs import of_options, options, prepared


class Logarithm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.log(x.sigmoid() - 2)


def network(kind: str) -> nn.Sequential:
    """A network that is frozen, or not finite, in one way."""
    layers = nn.Flatten(), nn.Linear(64, 4), nn.SiLU(), nn.Linear(4, 4), nn.SiLU(), nn.Linear(4, 10)
    model = nn.Sequential(*layers, *([Logarithm()] if kind == "loss" else []))
    if kind == "all":
        model.requires_grad_(False)
    elif kind in ("nan", "inf"):
        model[3].bias.data[0] = float(kind)
    elif kind == "first":
        model[1].requires_grad_(False)
    elif kind == "bias":
        model[1].bias.requires_grad_(False)
    elif kind == "reader":
        model[5].requires_grad_(False)
    return model


@pytest.fixture
def offered(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a backbone of this kind."""
    backbones.names()
    backbones.register("tried", NoOptions)(lambda config, shape, outputs: network(request.param))
    yield "tried"
    del backbones._entries["tried"]


@pytest.mark.parametrize(
    ("offered", "message"),
    [
        ("all", "parameters that are trained; all are frozen"),
        ("nan", "finite parameters at the start; 3.bias has NaN or infinite ones"),
        ("inf", "finite parameters at the start; 3.bias has NaN or infinite ones"),
        ("loss", "the loss of backbone=tried on data=digits is nan at the start: the network's outputs are not finite"),
    ],
    indirect=["offered"],
)
def test_it_is_said_before_anything_is_trained(offered: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=message):
        of_options({**options(tmp_path), "backbone": {"name": offered}})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "groups"), [("none", ["1", "3"]), ("first", ["3"]), ("bias", ["3"]), ("reader", ["1", "3"])]
)
def test_frozen_neurons_are_no_group_and_frozen_readers_do_not_matter(kind: str, groups: list[str]) -> None:
    graph = Graph(network(kind), (1, 8, 8))
    assert list(graph.groups) == groups
    assert any("frozen" in str(one) for one in graph.unsplittable) == ("1" not in groups)


def test_a_frozen_reader_stays_frozen_and_the_function_the_same() -> None:
    model, inputs = network("reader").double(), torch.randn(3, 1, 8, 8, dtype=torch.float64)
    graph = Graph(model, (1, 8, 8))
    before = model(inputs)
    apply(model, None, GrowthPlan((Split(graph.groups["3"], 1, (0.7, 0.3)),)), 0.0)
    assert torch.allclose(model(inputs), before, atol=1e-12)
    assert [p.requires_grad for p in model.parameters()] == [True] * 4 + [False] * 2


def written(place: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A module ``strange`` in the working directory."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "strange", raising=False)
    Path("strange.py").write_text(text)


NETS = """
import torch
from torch import nn

def normed(shape, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4), nn.SiLU(), nn.Linear(4, outputs))

class InPlace(nn.Module):
    def forward(self, x):
        y = x.exp()
        return y.mul_(2) if self.training else y * 2

def in_place(shape, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.SiLU(), nn.Linear(4, outputs), InPlace())

def read(shape, outputs, symbols=5):
    width = 4 * shape[0]
    return nn.Sequential(nn.Embedding(symbols, 4), nn.Flatten(), nn.Linear(width, 6), nn.SiLU(), nn.Linear(6, outputs))

def words():
    inputs = torch.arange(600).reshape(100, 6) % 5
    other = inputs.clone()
    other[7, 3] = 5
    return (inputs, torch.arange(100) % 2), (other, torch.arange(100) % 2)
"""


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            ("backbone=import:strange:normed", "train.batch_size=1"),
            r"^train\.batch_size=1: expected batches that backbone=import:strange:normed can be trained on; one of 1 "
            r"fails: ValueError: Expected more than 1 value per channel",
        ),
        (
            ("backbone=import:strange:in_place",),
            r"^backbone=import:strange:in_place: training on \d+ of the data's examples fails: RuntimeError: one of",
        ),
        (
            ("data=import:strange:words", "backbone=import:strange:read"),
            r"^data=import:strange:words: symbols up to 5, which backbone=import:strange:read does not take: Index",
        ),
        (
            ("data=import:strange:words", "backbone=gpt"),
            r"^data=import:strange:words: symbols up to 5, which backbone=gpt does not take: IndexError",
        ),
    ],
)
def test_what_cannot_be_trained_is_said_before(
    chosen: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, monkeypatch, NETS)
    with pytest.raises(BenchError, match=message):
        prepared(tmp_path / "runs", *chosen)
    assert not (tmp_path / "runs").exists()


def test_a_network_that_reads_symbols_alone_is_found_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, monkeypatch, NETS)
    chosen = "data=import:strange:words", "backbone=import:strange:read", "+backbone.options.symbols=6"
    assert prepared(tmp_path / "runs", *chosen).execute().stages[-1].params > 0


def test_a_trial_step_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, monkeypatch, NETS)
    made = prepared(tmp_path / "runs", "backbone=import:strange:normed")
    before = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    drawn = torch.get_rng_state()
    require_a_step(made.model, made.data, made.loss, 64, "normed")
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.model.state_dict().items())
    assert all(parameter.grad is None for parameter in made.model.parameters())
    assert torch.equal(drawn, torch.get_rng_state())


@pytest.mark.parametrize(
    ("validation", "test", "classes", "said"),
    [
        ((0, 1, 2), (0, 1), (), ""),
        ((0, 1), (2, 3), (), "3 (in test)"),
        ((3, 3), (4, 0), tuple("abcde"), "d, e (in validation and test)"),
        ((3, 4, 5, 6), (7, 8, 9), (), "3, 4, 5, 6, 7 and 2 more (in validation and test)"),
    ],
)
def test_classes_that_are_not_learnt_are_said(
    validation: tuple[int, ...],
    test: tuple[int, ...],
    classes: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    notice.cache_clear()

    def part(*targets: int) -> Part:
        return Part(torch.zeros(len(targets), 3), torch.tensor(targets))

    held = {"validation": part(*validation), "test": part(*test)}
    data = Dataset(
        *("mine", "classification", 10, (3,)), part(0, 1, 2, 1), **held, mean=torch.zeros(3), std=torch.ones(3)
    )
    note_unseen_classes(replace(data, classes=classes))
    line = f"data=mine: classes without a training example, so not learnt: {said}\n"
    assert capsys.readouterr().err == (line if said else "")
    note_unseen_classes(replace(data, task="regression"))
    assert capsys.readouterr().err == ""


RARE = """
import torch

def data():
    inputs = torch.linspace(-1, 1, 300).reshape(100, 3)
    return (inputs, torch.arange(100) % 3), (inputs, torch.arange(100) % 3 + (torch.arange(100) == 7) * 2)
"""


def test_they_are_said_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notice.cache_clear()
    written(tmp_path, monkeypatch, RARE)
    prepared(tmp_path / "runs", "data=import:strange:data", "train.seed_epochs=1", "growth.stages=0")
    said = "data=import:strange:data: classes without a training example, so not learnt: 3 (in test)\n"
    assert said in capsys.readouterr().err
