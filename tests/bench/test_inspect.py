"""What ``python -m bench.inspect`` prints and writes, against the graph itself."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench import inspect
from bench.backbones import build
from bench.network.cost import cost_models
from bench.network.graph import Graph
from bench.network.groups import theta
from bench.network.overview import shortened
from bench.network.share import causes, share

NET = """
import torch
from torch import nn
from torch.nn import functional as F


class ALayerWhoseNameIsLongerThanAnyColumn(nn.Module):
    def __init__(self):
        super().__init__()
        self.a_projection_with_a_name_that_nobody_would_want_to_type_twice = nn.Conv2d(1, 8, 3)
        self.grouped = nn.Conv2d(8, 8, 3, groups=4)
        self.outputs = nn.Linear(8, 10)

    def forward(self, images):
        hidden = self.a_projection_with_a_name_that_nobody_would_want_to_type_twice(images)
        return self.outputs(F.relu(self.grouped(F.relu(hidden))).mean((2, 3)))


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 6)
        self.middle = nn.ModuleList(nn.Linear(6, 6) for _ in range(5))
        self.norms = nn.ModuleList(nn.LayerNorm(6) for _ in range(6))
        self.wide, self.last = nn.Linear(6, 12), nn.Linear(12, 10)

    def forward(self, images):
        hidden = self.norms[0](self.first(images.flatten(1)))
        for layer, norm in zip(self.middle, self.norms[1:]):
            hidden = norm(layer(hidden))
        return self.last(torch.relu(self.wide(hidden)))


class Spectral(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(64, 6), nn.Linear(6, 10)
        self.recurrent = nn.GRU(8, 8, batch_first=True)

    def forward(self, images):
        waves = torch.fft.fft(self.recurrent(images.flatten(1, 2))[0]).real + torch.fft.fft(images.flatten(1, 2)).real
        return self.last(torch.tanh(self.first(waves.flatten(1))))


class Unreadable(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, images):
        if images.sum() > 0:
            return self.layer(images.flatten(1))
        return -self.layer(images.flatten(1))


def long(input_shape, outputs):
    return ALayerWhoseNameIsLongerThanAnyColumn()


def normed(input_shape, outputs):
    return Normed()


def spectral(input_shape, outputs):
    return Spectral()


def unreadable(input_shape, outputs):
    return Unreadable()
"""


@pytest.fixture(autouse=True)
def _in_a_folder_with_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "networks_to_inspect.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "networks_to_inspect", raising=False)
    monkeypatch.setenv("COLUMNS", "80")


def printed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["bench.inspect", *arguments])
    inspect.main()
    return capfd.readouterr().out


@pytest.mark.parametrize(
    "backbone",
    ["mlp", "mobilenet_v2", "resnet18", "import:networks_to_inspect:long", "import:networks_to_inspect:normed"],
)
def test_it_fits_eighty_columns_and_shows_every_group(
    backbone: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = printed(monkeypatch, capfd, f"backbone={backbone}").splitlines()
    assert max(map(len, lines)) <= 80
    _, *readers = [i for i, line in enumerate(lines) if line.startswith(" > ")]
    graph = graph_of(backbone)
    assert len(readers) == len(graph.groups)
    for at, group in zip(readers, graph.groups.values(), strict=True):
        above, below = lines[at - 1], lines[at].split()
        assert above.split()[0] == group.name or "…" in above.split()[0]
        assert below[1] == group.consumers[0].layer or "…" in below[1]
        kind, _, rest = group.kind.partition(", ")
        assert f" {kind}" in above
        assert lines[at].endswith(rest) or f" {rest} " in lines[at]
        assert f" {graph.widths()[group.name]} " in above
        assert f" {theta(graph.model, group).shape[1]} " in above
        added = cost_models(graph)["params"]
        number = added.marginal(added.vector(graph.widths()))[list(graph.groups).index(group.name)]
        assert f" {number:,.0f} " in above


@pytest.mark.parametrize("backbone", ["lenet", "import:networks_to_inspect:long"])
def test_it_fits_sixty_columns(
    backbone: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = printed(monkeypatch, capfd, f"backbone={backbone}", "growth.cost=energy").splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 60
    words = " ".join(lines).split()
    assert [words.count(name) for name in ("+params", "+macs", "+energy")] == [1, 1, 1]


def test_a_wide_terminal_shows_names_in_full(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    long = "a_projection_with_a_name_that_nobody_would_want_to_type_twice"
    monkeypatch.setenv("COLUMNS", "80")
    assert long not in printed(monkeypatch, capfd, "backbone=import:networks_to_inspect:long")
    monkeypatch.setenv("COLUMNS", "160")
    assert long in printed(monkeypatch, capfd, "backbone=import:networks_to_inspect:long")


def test_names_lose_their_middle() -> None:
    assert shortened("model.blocks.0.attn.proj", 24) == "model.blocks.0.attn.proj"
    assert shortened("model.blocks.0.attn.proj", 15) == "mode….attn.proj"
    assert all(len(shortened("model.blocks.0.attn.proj", width)) == width for width in range(2, 24))


def test_what_cannot_be_split_is_grouped_by_cause(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shown = " ".join(printed(monkeypatch, capfd, "backbone=import:networks_to_inspect:normed").split())
    found = causes(graph_of("import:networks_to_inspect:normed"))
    assert {layer for layers in found.values() for layer in layers} == {
        "first",
        *(f"middle.{i}" for i in range(5)),
        "last",
    }
    assert len(found) < 7
    for (reason, where), layers in found.items():
        assert f"{len(layers)} x {reason}" + (f" ({where})" if where else "") in shown
    many = max(found.values(), key=len)
    assert f"{', '.join(many[:3])}, {len(many) - 3} more" in shown


@pytest.mark.parametrize("backbone", ["lenet", "mobilenet_v2", "import:networks_to_inspect:normed"])
def test_the_same_as_json(
    backbone: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shown = printed(monkeypatch, capfd, f"backbone={backbone}", "out=new/found.json")
    assert shown.endswith("written: new/found.json\n")
    found = json.loads((tmp_path / "new" / "found.json").read_text())
    graph = graph_of(backbone)
    models, widths = cost_models(graph), graph.widths()
    assert (found["backbone"], found["data"], found["input_shape"]) == (backbone, "digits", [1, 8, 8])
    assert found["share"] == share(graph)
    assert found["total"] == {name: pytest.approx(model.of(widths)) for name, model in models.items()}
    assert found["total"]["params"] == sum(p.numel() for p in graph.model.parameters())
    assert [group["name"] for group in found["groups"]] == list(graph.groups)
    for one, group in zip(found["groups"], graph.groups.values(), strict=True):
        assert (one["kind"], one["neurons"]) == (group.kind, widths[group.name])
        assert one["theta"] == theta(graph.model, group).shape[1]
        assert one["readers"] == list(dict.fromkeys(slot.layer for slot in group.consumers))
        more = {**widths, group.name: widths[group.name] + 1}
        assert one["cost"] == {n: pytest.approx(m.of(more) - m.of(widths), rel=1e-6) for n, m in models.items()}
    refused = [(cause["reason"], cause["where"], layer) for cause in found["refused"] for layer in cause["layers"]]
    assert Counter(refused) == Counter((one.reason, one.where, one.name) for one in graph.unsplittable)


def test_it_names_what_multiply_adds_leave_out(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shown = printed(monkeypatch, capfd, "backbone=import:networks_to_inspect:spectral", "out=found.json")
    place = f"networks_to_inspect.py:{1 + NET[: NET.index('torch.fft')].count(chr(10))}"
    assert "multiply-adds leave out those of fft_fft (" + place + ")" in " ".join(shown.split())
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["uncounted"] == [f"fft_fft ({place})"]
    assert found["total"]["macs"] == 8 * 3 * 8 * (8 + 8) + 64 * 6 + 6 * 10
    assert "leave out" not in printed(monkeypatch, capfd, "backbone=mlp")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out=."], r"^error: out=\.: expected a file, not a folder$"),
        (["out=networks_to_inspect.py/found.json"], r"^error: cannot write networks_to_inspect\.py/found\.json: "),
        (["out=[1]"], r"^error: out=\[1\]: expected a text or null$"),
        (
            ["backbone=import:networks_to_inspect:unreadable"],
            r"^error: the model cannot be read on inputs of shape \(1, 8, 8\): its code depends on values that tensors "
            r"have: if images\.sum\(\) > 0: \(networks_to_inspect\.py:\d+\)$",
        ),
        (
            ["backbone=import:networks_to_inspect:spectral", "growth.cost=macs"],
            r"^error: growth\.cost=macs: expected a cost without multiply-adds, as params; multiply-adds leave out "
            r"those of fft_fft \(networks_to_inspect\.py:\d+\)$",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_and_a_failure(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=message) as caught:
        printed(monkeypatch, capfd, *arguments)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


class Shares(nn.Module):
    """Of its 4 layers the norm's 12 parameters and the first layer's 30 cannot grow, nor can what it holds itself."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(5))
        self.first, self.norm = nn.Linear(5, 6, bias=False), nn.LayerNorm(6)
        self.wide, self.last = nn.Linear(6, 4), nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden: Tensor = self.norm(self.first(inputs + self.offset))
        outputs: Tensor = self.last(torch.relu(self.wide(hidden)))
        return outputs


def test_the_share_counts_layers_whose_weight_grows_in_rows_or_columns() -> None:
    graph = Graph(Shares(), (5,))
    assert list(graph.groups) == ["wide"]
    growing = 6 * 4 + 4 + 4 * 3 + 3
    assert share(graph) == growing / (5 + 5 * 6 + 2 * 6 + growing)
    assert share(Graph(nn.Sequential(nn.Linear(5, 3)), (5,))) == 0


def graph_of(backbone: str) -> Graph:
    return Graph(build({"name": backbone}, (1, 8, 8), 10), (1, 8, 8))
