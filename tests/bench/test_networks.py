"""The table over other people's networks, on small ones."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from torch import nn

from bench.backbones import build
from bench.core.errors import StorageError
from bench.network.graph import Graph
from bench.network.share import share
from bench.networks import __main__ as command
from bench.networks import measure, survey
from bench.networks.measure import Cause, Network, disturb, gap
from bench.networks.names import TIMM, networks

pytest.importorskip("timm")

TINY = ("torchvision:squeezenet1_1", "timm:test_vit")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by the command, over two networks."""
    out = tmp_path_factory.mktemp("networks") / "new"
    arguments = [sys.executable, "-m", "bench.networks", f"out={out}", f"names=[{','.join(TINY)}]"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")  # no progress bar outside a terminal
    assert done.stdout == f"2 networks, 0 of them not read; written: {out}\n"
    return out


def test_the_rows_are_what_the_graphs_say(folder: Path) -> None:
    with (folder / "networks.csv").open() as file:
        rows = {f"{row['library']}:{row['name']}": row for row in csv.DictReader(file)}
    assert tuple(rows) == TINY
    for name, row in rows.items():
        graph = Graph(build({"name": name}, measure.INPUT, measure.OUTPUTS), measure.INPUT)
        assert row["read"] == "yes"
        assert int(row["groups"]) == len(graph.groups)
        assert int(row["heads"]) == sum(group.kind == "head" for group in graph.groups.values())
        assert float(row["share"]) == pytest.approx(share(graph), rel=1e-3)
        assert float(row["gap"]) < 1e-12
        assert float(row["seconds"]) > 0
        left = [part.partition(" x ") for part in row["left"].split("; ")]
        assert sum(int(count) for count, _, _ in left) == len(graph.unsplittable)
        assert {reason for _, _, reason in left} == {one.reason for one in graph.unsplittable}


def test_the_page_has_both_tables_their_means_and_what_is_left(folder: Path) -> None:
    page = (folder / "networks.md").read_text()
    for heading in ("# What can be grown", "## In short", "## timm", "## torchvision", "## What is left"):
        assert f"\n{heading}" in f"\n{page}"
    assert "| test_vit | yes | 12 | 6 | " in page
    (summary,) = (line for line in page.splitlines() if line.startswith("| timm | 1 | 1 | "))
    assert f"{100 * survey.read(folder / 'networks.json', Network)[1].share:.1f} %" in summary
    assert "| 13 | 1 |" in page.partition("## What is left")[2]  # layers under a layer norm, in one network


def test_what_is_there_is_not_measured_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "networks.json").write_bytes((folder / "networks.json").read_bytes())
    asked: list[str] = []

    def isolated(name: str, seconds: float) -> Network:
        asked.append(name)
        return Network(name, failed="broken" if "vit" in name else None)

    monkeypatch.setattr(survey, "isolated", isolated)
    noted: list[str] = []
    names = [*TINY, "timm:test_vit2"]
    assert [one.name for one in survey.survey(names, tmp_path, 1, "none", noted.append)] == names
    assert (asked, noted) == (["timm:test_vit2"], [*names, ""])
    survey.survey(names, tmp_path, 1, "failed", noted.append)
    assert asked == ["timm:test_vit2"] * 2
    survey.survey(names, tmp_path, 1, "all", noted.append)
    assert asked[2:] == names
    assert {one.name for one in survey.read(tmp_path / "networks.json", Network)} == set(names)
    (tmp_path / "networks.json").write_text("[{}]")
    with pytest.raises(StorageError, match=r"^cannot read .*networks\.json: "):
        survey.survey(names, tmp_path, 1, "none", noted.append)


@pytest.mark.parametrize(
    ("code", "failed"),
    [
        ("import time; time.sleep(60)", "not done in 3 s"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "its process was ended by SIGKILL"),
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
        ("import sys; sys.exit(3)", "its process failed"),
    ],
)
def test_a_network_that_ends_its_process_is_a_row(code: str, failed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda command, **options: own([command[0], "-c", code], **options))
    assert survey.isolated("timm:test_vit", 3) == Network("timm:test_vit", failed=failed)


def test_a_network_that_cannot_be_read_or_grown_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "build", lambda *_: nn.Flatten())
    assert "it has no parameters" in (measure.measure("timm:test_vit").failed or "")

    def broken(graph: Graph) -> float:
        raise TypeError("not today")

    monkeypatch.setattr(
        measure, "build", lambda *_: nn.Sequential(nn.Flatten(), nn.Linear(3 * 224**2, 2), nn.Linear(2, 3))
    )
    monkeypatch.setattr(measure, "gap", broken)
    found = measure.measure("timm:test_vit")
    assert (found.failed, found.groups, found.share) == ("TypeError: not today", 1, 1.0)


def test_the_gap_tells_of_surgery_that_changes_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    def graph() -> Graph:
        torch.manual_seed(0)
        return Graph(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)), (5,))

    assert gap(graph()) < 1e-14
    own = measure.Split
    monkeypatch.setattr(
        measure, "Split", lambda group, neuron, shares: own(group, neuron, (shares[0], 1.01 - shares[0]))
    )
    assert gap(graph()) > 1e-5


def test_zeros_and_ones_are_given_values_of_their_own() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    nn.init.zeros_(model[1].weight)
    before = model[0].weight.clone()
    disturb(model, torch.Generator().manual_seed(0))
    assert torch.equal(model[0].weight, before)
    for tensor in (model[1].weight, model[1].bias, model[1].running_mean, model[1].running_var):
        assert len(set(tensor.tolist())) == 4
    assert min(model[1].running_var) >= 1


def test_the_table_is_of_all_of_torchvision_and_of_many_families_of_timm() -> None:
    names = networks([])
    assert len(names) == len(set(names))
    assert sum(name.startswith("torchvision:") for name in names) >= 80
    assert 60 <= len(TIMM) <= 70
    timm = pytest.importorskip("timm")
    assert all(timm.is_model(name) for name in TIMM)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "names=timm:test_vitt",
            r"^error: names=timm:test_vitt: expected timm:NAME or .*\(did you mean timm:test_vit\?\)$",
        ),
        ("names=[mlp]", r"^error: names=mlp: expected timm:NAME or torchvision:NAME of a classification network"),
        ("seconds=0", r"^error: seconds=0\.0: expected a number above 0$"),
        ("rerun=some", r"^error: rerun=some: expected one of none, failed, all$"),
        ("nams=x", r"^error: nams: no such option; expected one of out, names, .*\(did you mean names\?\)$"),
        ("out=a_file", r"^error: out=a_file: expected a folder$"),
    ],
)
def test_a_mistake_is_one_line(argument: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").touch()
    monkeypatch.setattr(sys, "argv", ["bench.networks", argument])
    with pytest.raises(SystemExit, match=message):
        command.main()
    assert [path.name for path in tmp_path.iterdir()] == ["a_file"]


def test_without_timm_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setattr(sys, "argv", ["bench.networks"])
    with pytest.raises(SystemExit, match=r'expected timm to be installed: pip install "growth-bench\[timm\]"$'):
        command.main()


def test_its_help(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.networks", "--help"])
    command.main()
    assert "names=[timm:resnet50" in capfd.readouterr().out


def test_a_result_survives_its_file() -> None:
    one = Network("timm:x", None, 3, 1, 0.5, 1e-15, 2.0, (Cause(2, "why", "file.py:3"),))
    for found in (one, replace(one, failed="because", share=None)):
        assert msgspec.json.decode(msgspec.json.encode(found), type=Network) == found
