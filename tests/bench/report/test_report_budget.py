"""What a score costs: the whole front, one size, and the cost to get to a score; all by plain loops."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pytest

from bench.core.errors import BenchError
from bench.report.__main__ import report
from bench.report.analysis.budget import fronts_by_cost
from bench.report.analysis.findings import Findings
from bench.report.analysis.rungs import SPENT
from bench.report.read.arguments import Request
from bench.report.read.folder import cells, read
from bench.report.read.settings import settings
from tests.bench.report.synthetic import STEPLESS, options, plausible, put, record

METHODS = ("net2net", "s2d", "static", "static_matched")
Runs = dict[tuple[str, int], list[dict[str, Any]]]
"""Stages by method and seed."""


def runs(seeds: int = 3, methods: tuple[str, ...] = METHODS, **more: Any) -> list[dict[str, Any]]:
    """Runs whose costs differ by method, seed and rung."""
    made = [record(options(method, seed), **more) for method in methods for seed in range(seeds)]
    for one in made:
        factor = 1 + 0.1 * one["seed"] + 2 * (one["method"] == "static_matched") + 0.3 * (one["method"] == "net2net")
        for stage in one["stages"]:
            stage["flops"]["train"] *= factor
            stage["seconds"]["train"] *= 2 * factor
    return made


def made(tmp_path: Path, records: list[dict[str, Any]], *targets: float) -> dict[str, list[dict[str, str]]]:
    put(tmp_path / "runs", *records)
    views: dict[str, dict[str, object]] = {"budget": {"targets": list(targets)}} if targets else {}
    report(Request(runs_dir=str(tmp_path / "runs"), out=tmp_path / "out", views=views))
    paths = (tmp_path / "out" / "data").glob("*.csv")
    return {path.stem: list(csv.DictReader(path.read_text().splitlines())) for path in paths}


def stages(records: list[dict[str, Any]]) -> Runs:
    return {(one["method"], one["seed"]): one["stages"] for one in records}


def cost(one: list[dict[str, Any]], rung: int, name: str, method: str, front: bool) -> float:
    """What has been paid for a rung, by its definition."""
    if method not in STEPLESS:
        return sum(stage[name]["train"] + stage[name]["grow"] for stage in one[: rung + 1])
    return sum(stage[name]["train"] for stage in one[: rung + 1]) if front else one[rung][name]["train"]


@pytest.mark.parametrize(("question", "control"), [("front", "static"), ("size", "static_matched")])
def test_each_question_by_hand(tmp_path: Path, question: str, control: str) -> None:
    records = runs()
    found = made(tmp_path, records)[f"cost_of_{question}"]
    known, front = stages(records), question == "front"
    assert [row["method"] for row in found] == [method for method in METHODS if method != control]

    def score(method: str, seed: int) -> float:
        tests = [stage["test_accuracy"] for stage in known[method, seed][1:]]
        return fmean(tests) if front else tests[-1]

    for row in found:
        method = row["method"]
        assert row["control"] == control
        assert float(row["score"]) == pytest.approx(fmean(score(method, seed) for seed in range(3)))
        differences = [score(method, seed) - score(control, seed) for seed in range(3)]
        assert float(row["difference"]) == pytest.approx(fmean(differences))
        assert float(row["p_better"]) == pytest.approx(fmean(one > 0 for one in differences))
        for name in SPENT:
            mine, its = (
                fmean(cost(known[label, seed], 3, name, label, front) for seed in range(3))
                for label in (method, control)
            )
            assert float(row[name]) == pytest.approx(mine)
            assert float(row[f"{name}_ratio"]) == pytest.approx(mine / its)
    text = (tmp_path / "out" / "report.md").read_text()
    assert "Whole front: is a ladder of sizes better grown" in text
    assert "One size: is a network of the last size better grown" in text


@pytest.mark.parametrize("regression", [False, True], ids=["accuracy", "loss"])
@pytest.mark.parametrize("seeds", [3, 4])
def test_cost_to_get_to_a_score_by_hand(tmp_path: Path, regression: bool, seeds: int) -> None:
    def score(method: str, rung: int, seed: int, step: float) -> float:
        found = plausible(method, rung, seed, step)
        return 1 - found if regression else found

    records, targets = runs(seeds, score=score, regression=regression), (0.3, 0.18) if regression else (0.7, 0.82)
    found, known = made(tmp_path, records, *targets)["time_to_score"], stages(records)
    way = "test_loss" if regression else "test_accuracy"
    assert {bool(row["flops"]) for row in found} == {True, False}  # some never get there
    assert {float(row["target"]) for row in found} == set(targets)
    for target, method, front in product(targets, METHODS, (True, False)):
        rows = [row for row in found if (float(row["target"]), row["method"]) == (target, method)]
        rows = [row for row in rows if row["question"] == ("front" if front else "size")]
        if method not in STEPLESS and not front:
            assert rows == []
            continue
        (row,) = rows
        for name in SPENT:
            spent = []
            for seed in range(seeds):
                good = [
                    k
                    for k, one in enumerate(known[method, seed])
                    if (one[way] <= target if regression else one[way] >= target)
                ]
                here = known[method, seed]
                spent.append(cost(here, good[0], name, method, front) if good else float("inf"))
            assert row["seeds"] == str(sum(one < float("inf") for one in spent))
            assert row["of"] == str(seeds)
            middle = median(spent)
            assert row[name] == "" if middle == float("inf") else float(row[name]) == pytest.approx(middle)


def test_targets_are_those_of_static_at_each_grown_rung(tmp_path: Path) -> None:
    records = runs()
    found = made(tmp_path, records)["time_to_score"]
    expected = [fmean(stages(records)["static", seed][k]["test_accuracy"] for seed in range(3)) for k in (1, 2, 3)]
    assert list(dict.fromkeys(float(row["target"]) for row in found)) == pytest.approx(expected)


def test_the_chart_pays_for_all_sizes(tmp_path: Path) -> None:
    records = runs()
    put(tmp_path / "runs", *records)
    report(Request(runs_dir=str(tmp_path / "runs"), out=tmp_path / "out"))
    (setting,) = settings(cells(read(str(tmp_path / "runs"))))
    rows = [row for one in Findings(setting).contenders for row in fronts_by_cost(one)]
    assert len(rows) == 4 * len(METHODS)
    for row in rows:
        for name in SPENT:
            paid = [
                cost(stages(records)[row["method"], seed], row["rung"], name, row["method"], True) for seed in range(3)
            ]
            assert row[f"{name}_mean"] == pytest.approx(fmean(paid))
    for end in ("svg", "png"):
        assert (tmp_path / "out" / "figures" / f"digits-mlp-budget.{end}").exists()


def test_without_controls_there_are_no_questions(tmp_path: Path) -> None:
    found = made(tmp_path, runs(methods=("s2d",)))
    assert not {"cost_of_front", "cost_of_size", "time_to_score"} & set(found)
    assert "time_to_score" in made(tmp_path, runs(methods=("s2d",)), 0.7)


def test_a_target_that_is_no_number_is_one_line(tmp_path: Path) -> None:
    put(tmp_path / "runs", *runs())
    request = Request(runs_dir=str(tmp_path / "runs"), out=tmp_path / "out", views={"budget": {"targets": "high"}})
    with pytest.raises(BenchError, match=r"^budget\.targets='?high'?: expected"):
        report(request)
