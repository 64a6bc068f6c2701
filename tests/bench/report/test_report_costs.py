"""What a ladder counts is a column and an axis everywhere."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from bench.report.__main__ import report
from bench.report.frame import frame
from bench.report.read.arguments import Request
from tests.bench.report.synthetic import cost, options, put, record

METHODS = ("net2net", "s2d", "static")


def runs(name: str) -> list[dict[str, Any]]:
    """Records of a ladder that counts a cost, which is 3.5 for each parameter."""
    made = []
    for method in METHODS:
        for seed in range(3):
            one = record(options(method, seed, growth={"cost": name}))
            for stage in one["stages"]:
                stage["target_cost"] *= 4
                cost(stage, **{name: 3.5 * stage["costs"]["params"]})
            made.append(one)
    return made


def made(tmp_path: Path, *records: dict[str, Any]) -> dict[str, str]:
    """The text files of a report."""
    put(tmp_path / "runs", *records)
    report(Request(runs_dir=str(tmp_path / "runs"), out=tmp_path / "out"))
    paths = [path for path in (tmp_path / "out").rglob("*") if path.suffix in (".md", ".html", ".csv", ".tex", ".svg")]
    return {path.relative_to(tmp_path / "out").as_posix(): path.read_text() for path in paths}


@pytest.mark.parametrize(
    ("name", "heading", "text"),
    [
        ("energy", "Energy, pJ", "1.73 k"),
        ("latency", "Latency, us", "1.73 k"),
        ("weight", "Weight", "1.73 k"),  # of a package that is not here
    ],
)
def test_the_ladders_cost_is_shown_everywhere(tmp_path: Path, name: str, heading: str, text: str) -> None:
    files = made(tmp_path, *runs(name))
    stages = list(csv.DictReader(files["data/stages.csv"].splitlines()))
    assert float(stages[0][name]) == 3.5 * float(stages[0]["params"])
    for table in ("rungs", "costs"):
        rows = list(csv.DictReader(files[f"data/{table}.csv"].splitlines()))
        assert float(rows[1][f"{name}_mean"]) == 3.5 * 495
    front = list(csv.DictReader(files["data/front.csv"].splitlines()))
    assert {row[f"front_{name}"] for row in front} == {"true", "false"}
    for page in (files["report.md"], files["index.html"]):
        assert heading in page
        assert f"Allowed {heading[0].lower()}{heading[1:]}" in page
    assert f'"label": "{heading}"' in files["index.html"]
    tex = files["tables/digits-mlp-costs.tex"].replace(r"\ensuremath{", "")
    assert heading.split(",")[0] in tex
    assert text in tex
    table = frame(tmp_path / "runs")
    assert (table[f"cost.{name}"] == 3.5 * table["cost.params"]).all()


def test_a_cost_that_is_recorded_but_not_climbed_is_in_the_data_alone(tmp_path: Path) -> None:
    files = made(tmp_path, *(record(options(method, 0)) for method in METHODS))
    assert "energy_mean" in files["data/rungs.csv"]
    assert "nergy" not in files["report.md"]
    assert "up to" not in files["report.md"]


def test_a_cost_that_only_some_runs_recorded_is_no_mistake(tmp_path: Path) -> None:
    few = runs("energy")
    for stage in few[0]["stages"]:
        cost(stage, weight=2.0)
    files = made(tmp_path, *few)
    assert "weight" in files["data/stages.csv"].splitlines()[0]
    assert "weight_mean" not in files["data/rungs.csv"]


def test_the_scores_stand_in_one_table(tmp_path: Path) -> None:
    def score(method: str, rung: int, seed: int, step: float) -> float:
        return 0.5 + 0.1 * rung + 0.001 * seed

    files = made(tmp_path, *(record(options(method, seed), score) for method in METHODS for seed in range(3)))
    tables = [name for name in files if name.endswith(".tex") and "70.10 \\ensuremath{\\pm}" in files[name]]
    assert tables == ["tables/digits-mlp-rungs.tex"]
