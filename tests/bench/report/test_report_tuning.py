"""The step of each method comes from validation, never from test."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.report.analysis.findings import Findings
from bench.report.analysis.rungs import spent
from bench.report.analysis.tuning import contenders
from bench.report.read.folder import cells, read
from bench.report.read.settings import Setting, settings
from tests.bench.report.synthetic import ended, options, plausible, put, record, sweep


def the_setting(runs_dir: Path) -> Setting:
    (setting,) = settings(cells(read(str(runs_dir))))
    return setting


def test_validation_chooses_although_test_says_otherwise(tmp_path: Path) -> None:
    def test_score(method: str, rung: int, seed: int, step: float) -> float:
        return 0.9 if step == 0.01 else 0.5

    def validation(method: str, rung: int, seed: int, step: float) -> float:
        return {0.01: 0.6, 0.1: 0.8, 0.5: 0.7}[step]

    put(tmp_path, *sweep(["s2d"], range(2), [0.01, 0.1, 0.5], score=test_score, validation=validation))
    (contender,) = contenders(the_setting(tmp_path))
    assert contender.step == 0.1
    assert [(one.step, one.validation, one.chosen) for one in contender.tried] == [
        (0.01, pytest.approx(0.6), False),
        (0.1, pytest.approx(0.8), True),
        (0.5, pytest.approx(0.7), False),
    ]


def test_losses_choose_the_lowest_and_equals_the_smallest_step(tmp_path: Path) -> None:
    def validation(method: str, rung: int, seed: int, step: float) -> float:
        return 0.9 if step == 0.01 else 0.2

    put(tmp_path, *sweep(["s2d"], range(2), [0.5, 0.1, 0.01], validation=validation, regression=True))
    (contender,) = contenders(the_setting(tmp_path))
    assert contender.step == 0.1


def test_the_seed_network_has_no_say(tmp_path: Path) -> None:
    def validation(method: str, rung: int, seed: int, step: float) -> float:
        return (0.9 if step == 0.01 else 0.0) if rung == 0 else step

    put(tmp_path, *sweep(["s2d"], range(2), [0.01, 0.1], validation=validation))
    assert contenders(the_setting(tmp_path))[0].step == 0.1


def test_steps_are_compared_on_common_seeds(tmp_path: Path) -> None:
    def validation(method: str, rung: int, seed: int, step: float) -> float:
        return 0.1 * seed + (0.05 if step == 0.01 else 0.0)

    put(tmp_path, *sweep(["s2d"], [0, 1], [0.01], validation=validation))
    put(tmp_path, *sweep(["s2d"], [1, 5], [0.1], validation=validation))  # a lucky seed
    (contender,) = contenders(the_setting(tmp_path))
    assert contender.step == 0.01
    assert {one.common for one in contender.tried} == {1}


def test_a_step_that_failed_on_a_seed_cannot_be_chosen(tmp_path: Path) -> None:
    def validation(method: str, rung: int, seed: int, step: float) -> float:
        return step

    put(tmp_path, *sweep(["s2d"], [0, 1], [0.01], validation=validation))
    put(tmp_path, *sweep(["s2d"], [0], [0.5], validation=validation))
    put(tmp_path, ended(options("s2d", 1, 0.5), "failed", "diverged"))
    (contender,) = contenders(the_setting(tmp_path))
    assert contender.step == 0.01
    assert [(one.step, one.failed) for one in contender.tried] == [(0.01, 0), (0.5, 1)]


def test_controls_have_no_step_and_line_search_is_one(tmp_path: Path) -> None:
    put(tmp_path, *sweep(["s2d", "static"], [0], [0.01, "line_search"]))
    found = {contender.label: contender for contender in contenders(the_setting(tmp_path))}
    assert found["static"].step is None
    assert not found["static"].tried
    assert [one.step for one in found["s2d"].tried] == [0.01, "line_search"]


def test_variants_of_a_method_are_contenders_named_by_what_differs(tmp_path: Path) -> None:
    for c in (2.0, 3.0):
        put(tmp_path, *(record(options("s3d", seed, method={"name": "s3d", "c": c})) for seed in range(2)))
    put(tmp_path, record(options("s2d", 0)))
    assert [contender.label for contender in contenders(the_setting(tmp_path))] == ["s2d", "s3d (c=2.0)", "s3d (c=3.0)"]


def test_other_ladders_and_recipes_are_other_settings(tmp_path: Path) -> None:
    put(tmp_path, record(options()), record(options(train={"epochs": 5})), record(options(backbone={"width": 8})))
    put(tmp_path, record(options(growth={"engine": "dense"})))
    found = settings(cells(read(str(tmp_path))))
    assert len(found) == 3
    assert len({one.title for one in found}) == len({one.slug for one in found}) == 3
    assert any("train.epochs=5" in one.title for one in found)
    assert sorted(v.label for one in found for v in one.variants if len(one.variants) > 1) == [
        "s2d (growth.engine=dense)",
        "s2d (growth.engine=lanczos)",
    ]


def test_what_a_method_alone_is_grown_with_is_said_unless_it_is_usual(tmp_path: Path) -> None:
    halves = {"condition": "shrink_perturb", "shrink": 0.5}
    put(
        tmp_path,
        record(options("s2d")),
        record(options("s3d", growth=halves)),
        record(options("static", growth=halves)),
    )
    labels = [variant.label for variant in the_setting(tmp_path).variants]
    assert labels == ["s2d", "s3d (growth.condition=shrink_perturb, growth.shrink=0.5)", "static"]


def test_cost_to_a_rung_adds_up_for_grown_networks_and_starts_afresh_for_controls(tmp_path: Path) -> None:
    put(tmp_path, record(options("s2d")), record(options("static")))
    records = [cell.record for cell in cells(read(str(tmp_path))) if cell.record]
    found = {one.method: [flops for flops, _ in spent(one)] for one in records}
    assert found["s2d"] == pytest.approx([1e7, 3.1e7, 6.2e7, 10.3e7])
    assert found["static"] == pytest.approx([1e7, 2e7, 3e7, 4e7])


def test_a_fair_comparison_finds_a_real_difference_and_no_other(tmp_path: Path) -> None:
    def score(method: str, rung: int, seed: int, step: float) -> float:
        return plausible("", rung, seed, step) + (0.1 + 0.001 * seed if method == "s3d" else 0.0005 * (-1) ** seed)

    put(tmp_path, *sweep(["s2d", "s3d"], range(4), score=score))
    put(tmp_path, *sweep(["static"], range(4), score=lambda m, k, s, e: plausible("", k, s, 0.01)))
    findings = Findings(the_setting(tmp_path))
    assert findings.baseline == "static"
    verdicts = {(r["method"], r["measure"]): r["verdict"] for r in findings.pairs if r["baseline"] == "static"}
    assert verdicts["s3d", "last rung"] == verdicts["s3d", "area"] == "s3d better"
    assert verdicts["s2d", "last rung"] == "no difference can be concluded"
