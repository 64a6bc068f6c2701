"""Predicted against measured, over networks: the command, its tables, and that they say what was found."""

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

from bench.core.errors import ConfigError, StorageError
from bench.trust import __main__ as command
from bench.trust import survey
from bench.trust.cases import ACTIVATIONS, OWN, Case, cases
from bench.trust.measure import Found, measure
from bench.trust.tables import summary

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trust")
    arguments = [sys.executable, "-m", "bench.trust", f"out={out}", "names=[lenet,rbf]", "activations=[silu,selu]"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")  # no progress bar outside a terminal
    assert done.stdout == f"5 cases, 0 of them not measured; written: {out}\n"
    return out


def test_the_rows_are_what_was_found(folder: Path) -> None:
    found = {one.case: one for one in survey.read(folder / "trust.json", Found)}
    with (folder / "trust.csv").open() as file:
        rows = {Case(row["network"], row["activation"], row["pooling"]): row for row in csv.DictReader(file)}
    assert list(rows) == list(found)
    trust = {case: row["trust"] for case, row in rows.items()}
    assert trust == {
        Case("lenet", "silu", "max"): "max pooling",
        Case("lenet", "selu", "max"): "kinks, max pooling",
        Case("lenet", "silu", "average"): "second order",
        Case("lenet", "selu", "average"): "kinks",
        Case("rbf", "own"): "second order",
    }
    for case, one in found.items():
        assert one.ratios
        assert int(rows[case]["layers"]) == len(one.ratios)
        assert float(rows[case]["worst"]) == pytest.approx(one.worst, rel=1e-3)
        assert float(rows[case]["whole plan"]) == pytest.approx(one.whole, rel=1e-3)
        if one.trust == "second order":
            assert all(ratio == pytest.approx(1, abs=0.05) for ratio in one.ratios.values())


def test_the_page_has_a_row_for_each_and_says_what_to_trust(folder: Path) -> None:
    page = (folder / "trust.md").read_text()
    for heading in ("# Predicted against measured", "## In short", "## By activation and pooling", "## Every network"):
        assert f"\n{heading}" in f"\n{page}"
    assert page.count("\n| lenet | ") == 4
    assert "\n| second order | 2 | 5 | 1.00" in page
    assert "\n| selu, max pooling | 1 | " in page


def test_what_is_there_is_not_measured_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trust.json").write_bytes((folder / "trust.json").read_bytes())
    asked: list[Case] = []

    def measured(case: Case) -> Found:
        asked.append(case)
        return Found(case, failed="broken")

    monkeypatch.setattr(survey, "measure", measured)
    wanted = [Case("lenet", "silu", "max"), Case("mlp", "silu")]
    noted: list[str] = []
    assert len(survey.survey(wanted, tmp_path, "none", noted.append)) == 6
    assert (asked, noted) == (wanted[1:], ["lenet silu max", "mlp silu ", ""])
    survey.survey(wanted, tmp_path, "failed", noted.append)
    assert asked == wanted[1:] * 2
    survey.survey(wanted, tmp_path, "all", noted.append)
    assert asked[2:] == wanted
    assert "| mlp |  | silu | 0 | \u2013 | \u2013 | \u2013 |  | broken |" in (tmp_path / "trust.md").read_text()
    (tmp_path / "trust.json").write_text("[{}]")
    with pytest.raises(StorageError, match=r"^cannot read .*trust\.json: "):
        survey.survey(wanted, tmp_path, "none", noted.append)


def test_every_own_backbone_is_tried_with_every_activation() -> None:
    found = cases(OWN, tuple(ACTIVATIONS))
    assert len(found) == len(set(found))
    assert {case.name for case in found} == set(OWN)
    assert {case.pooling for case in found if case.name == "convnet"} == {"max", "average"}
    assert {case.activation for case in found if case.name == "vit"} == set(ACTIVATIONS)
    assert [case.activation for case in found if case.name == "rbf"] == ["own"]


def test_own_backbones_are_all_there_are() -> None:
    from bench.backbones import backbones

    assert set(OWN) == {entry.name for entry in backbones if ":" not in entry.name}


def test_activations_and_pools_are_exchanged() -> None:
    model = Case("lenet", "hardswish", "average").build(SHAPE, 10)
    kinds = [type(module) for module in model.modules()]
    assert (kinds.count(nn.Hardswish), kinds.count(nn.AvgPool2d)) == (4, 2)
    assert not {nn.SiLU, nn.MaxPool2d} & set(kinds)
    kept = Case("lenet", "own", "max").build(SHAPE, 10)
    assert sum(isinstance(module, nn.SiLU) for module in kept.modules()) == 4
    assert model(torch.zeros(2, *SHAPE)).shape == kept(torch.zeros(2, *SHAPE)).shape


def test_a_network_that_fails_says_why() -> None:
    assert "nope" in (measure(Case("nope", "silu")).failed or "")


def test_the_summary_counts() -> None:
    one = Found(Case("a", "relu", "max"), trust="kinks", ratios={"x": 1.05, "y": 0.3, "z": -1.0})
    two = replace(one, case=Case("b", "relu", "max"), ratios={"x": 1.0})
    (row,) = summary([one, two, Found(Case("c", "relu"), failed="no")], "trust")
    assert {key: row[key] for key in ("networks", "layers", "within 10 %", "contradicted", "wrong sign")} == {
        "networks": "2",
        "layers": "4",
        "within 10 %": "50.0 %",
        "contradicted": "50.0 %",
        "wrong sign": "25.0 %",
    }
    assert one.worst == -1.0
    assert one.middle == 0.3


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "names=lenett",
            r"^error: names=lenett: expected one of mlp, .*NAME \(did you mean lenet\?\)$",
        ),
        ("activations=[relu,tan]", r"^error: activations=tan: expected one of relu, hardswish, "),
        ("rerun=some", r"^error: rerun=some: expected one of none, failed, all$"),
        ("nams=x", r"^error: nams: no such option; expected one of out, names, .*\(did you mean names\?\)$"),
        ("out=a_file", r"^error: out=a_file: expected a folder$"),
    ],
)
def test_a_mistake_is_one_line(argument: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").touch()
    monkeypatch.setattr(sys, "argv", ["bench.trust", argument])
    with pytest.raises(SystemExit, match=message):
        command.main()
    assert [path.name for path in tmp_path.iterdir()] == ["a_file"]


def test_an_unknown_name_is_an_error_of_its_own() -> None:
    with pytest.raises(ConfigError, match="names"):
        cases(["torchvision:resnet1"], ("relu",))


def test_its_help_and_its_lists(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.trust", "--help"])
    command.main()
    assert "names=[lenet,torchvision:resnet18]" in capfd.readouterr().out
    assert tuple(ACTIVATIONS) == command.FORMS


def test_a_result_survives_its_file() -> None:
    one = Found(Case("mlp", "silu"), None, "kinks", {"0": 0.9}, 0.8, 1e-5, 2.0)
    assert msgspec.json.decode(msgspec.json.encode(one), type=Found) == one
