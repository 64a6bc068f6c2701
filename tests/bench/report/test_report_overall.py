"""Methods over all settings of a report."""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from bench.report.__main__ import report
from bench.report.read.arguments import Request
from tests.bench.report.synthetic import options, put, record

METHODS = ("s2d", "random_split", "static", "static_matched")


def score(method: str, rung: int, seed: int, step: float) -> float:
    best = {"s2d": 0.9, "random_split": 0.85, "static": 0.8, "static_matched": 0.95}[method]
    return 0.5 + (best - 0.5) * rung / 3 + 0.01 * seed * (1 + rung * best)


def of(backbone: str, methods: tuple[str, ...] = METHODS, seeds: int = 3, **more: Any) -> list[dict[str, Any]]:
    groups = {"backbone": {"name": backbone}}
    return [record(options(method, seed, **groups), score, **more) for method in methods for seed in range(seeds)]


def tables(tmp_path: Path, *records: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    put(tmp_path / "runs", *records)
    report(Request(runs_dir=str(tmp_path / "runs"), out=tmp_path / "out"))
    paths = [tmp_path / "out" / "data" / f"{name}.csv" for name in ("overall", "improvement")]
    return {path.stem: list(csv.DictReader(path.read_text().splitlines())) for path in paths if path.exists()}


def last(method: str, seeds: int = 3) -> list[float]:
    return [score(method, 3, seed, 0.01) for seed in range(seeds)]


def test_one_setting_over_its_seeds(tmp_path: Path) -> None:
    found = tables(tmp_path, *of("mlp"))
    low, high = fmean(score("static", 0, seed, 0.01) for seed in range(3)), fmean(last("static"))
    rows = {row["method"]: row for row in found["overall"]}
    for place, method in enumerate(("static_matched", "s2d", "random_split", "static"), start=1):
        assert float(rows[method]["rank"]) == place
        values = sorted((value - low) / (high - low) for value in last(method))
        assert float(rows[method]["iqm"]) == pytest.approx(fmean(values))  # of three, none is cut
        assert float(rows[method]["iqm_low"]) <= float(rows[method]["iqm"]) <= float(rows[method]["iqm_high"])
    assert float(rows["static"]["iqm"]) == pytest.approx(1)
    better = {(row["method"], row["control"]): float(row["p"]) for row in found["improvement"]}
    assert set(better) == {(a, b) for a in METHODS for b in METHODS[1:] if a != b}
    for (method, control), p in better.items():
        pairs = [(a, b) for a in last(method) for b in last(control)]
        assert p == pytest.approx(fmean((a > b) + (a == b) / 2 for a, b in pairs))
    text = (tmp_path / "out" / "report.md").read_text()
    assert "Methods over 1 setting" in text
    assert "over static_matched" in text


def test_methods_count_in_the_settings_that_they_are_in(tmp_path: Path) -> None:
    found = tables(tmp_path, *of("mlp"), *of("lenet", ("s2d", "static")), *of("alone", ("s2d",)))
    rows = {row["method"]: row for row in found["overall"]}
    assert {name: row["settings"] for name, row in rows.items()} == {
        **dict.fromkeys(METHODS, "1"),
        **{"s2d": "2", "static": "2"},
    }
    assert float(rows["s2d"]["rank"]) == (2 + 1) / 2
    assert float(rows["static"]["rank"]) == (4 + 2) / 2
    assert rows["s2d"]["runs"] == "6"


def test_losses_count_the_other_way(tmp_path: Path) -> None:
    def loss(method: str, rung: int, seed: int, step: float) -> float:
        return 1 - score(method, rung, seed, step)

    made = [record(options(method, seed), loss, regression=True) for method in METHODS for seed in range(3)]
    other = tables(tmp_path / "losses", *made)
    usual = tables(tmp_path / "scores", *of("mlp"))
    for name, rows in usual.items():
        for row, twin in zip(rows, other[name], strict=True):
            numbers = [key for key in row if key not in ("method", "control")]
            assert [float(row[key]) for key in numbers] == pytest.approx([float(twin[key]) for key in numbers])


def test_what_cannot_be_normalised_is_left_out(tmp_path: Path) -> None:
    def flat(method: str, rung: int, seed: int, step: float) -> float:
        return 0.5

    assert not tables(tmp_path, *[record(options(method, seed), flat) for method in METHODS for seed in range(2)])
