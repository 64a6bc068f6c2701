"""An answer's folder: what its page and tables say, of accuracies and of losses, and that an answer is not lost."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.core.files import write_atomic
from bench.core.numbers import DASH
from bench.report.write import markdown
from bench.study import write as writing
from bench.study.layout import layouts
from bench.study.page import Answer, build
from bench.study.write import write, write_index
from tests.bench.report.synthetic import cell, ended, options, put
from tests.bench.study.study_runs import asked, done, grid
from tests.bench.study.test_study_answers import score


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def answer(tmp_path: Path) -> Answer:
    question = asked("method", "growth.sample", baselines=({"method": "s2d"},))
    cells = done(tmp_path, grid(sample=(64, 128)), score)
    put(tmp_path, ended(options("s3d", 9, 0.01, growth={"sample": 64}), "failed", "diverged at epoch 3"))
    cells += [cell(options("s3d", seed, 0.01, growth={"sample": 64}), tmp_path) for seed in (8, 9)]
    return Answer(question, layouts(question, cells))


def test_the_page_says_what_is_there_and_what_is_not(answer: Answer, tmp_path: Path) -> None:
    assert write(answer, tmp_path / "out") == ""
    page = (tmp_path / "out" / "why" / "README.md").read_text()
    assert "16 of 18 runs done, 0.00086 hours of 2 cores." in page  # 16 * 3 stages and 4 seed networks
    assert "**Not in these numbers: 1 missing and 1 failed**" in page
    assert "**17 runs made by code that has changed since**" in page  # made-up records say nothing of what made them
    assert "diverged at epoch 3" in page
    assert "Every run is python -m bench backbone=mlp data=digits " in page
    assert " with one of the seeds 0, 1, 2, 3, 8, 9 and " in page
    assert "| s3d      | 64              |  4 of 6 |" in page
    assert "python -m bench -m experiment=smoke hydra/launcher=joblib" in page
    assert "With 4 seeds a paired difference of" in page
    assert "| method and growth.sample |" in page
    for end in ("svg", "png"):
        assert (tmp_path / "out" / "why" / "figures" / f"digits-mlp-figure.{end}").stat().st_size > 1000
    assert "](figures/digits-mlp-figure.svg)" in page


def test_the_tables_hold_every_run_and_every_stage(answer: Answer, tmp_path: Path) -> None:
    write(answer, tmp_path / "out")
    runs, stages = (rows(tmp_path / "out" / "why" / f"{name}.csv") for name in ("runs", "stages"))
    assert len(runs) == 18
    assert [row["state"] for row in runs].count("done") == 16
    assert {row["environment"] for row in runs} == {"1", ""}
    assert len(stages) == 16 * 4
    assert {row["id"] for row in stages} == {row["id"] for row in runs if row["state"] == "done"}
    first = next(row for row in runs if (row["method"], row["growth.sample"], row["seed"]) == ("s3d", "128", "2"))
    own = [row for row in stages if row["id"] == first["id"]]
    expected = [score(options("s3d", 2, growth={"sample": 128}), rung) for rung in range(4)]
    assert [float(row["test_accuracy"]) for row in own] == pytest.approx(expected, rel=1e-5)
    assert own[1]["widths"] == "1:6 3:5"
    assert "runs_dir" not in first["command"]
    assert first["command"].endswith(" threads=1")  # as recorded, for with others it rounds differently
    assert [row["id"] for row in runs if "threads" not in row["command"]] == [
        r["id"] for r in runs if r["state"] != "done"
    ]
    (environment,) = rows(tmp_path / "out" / "why" / "environment.csv")
    assert (environment["torch"], environment["threads"], environment["runs"]) == ("2.15", "1", "16")


def test_the_same_runs_give_the_same_bytes(answer: Answer, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(answer, tmp_path / name)
    one, two = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")} for n in ("one", "two")
    )
    assert one == two
    assert len(one) >= 9


def test_losses_are_compared_where_there_are_no_accuracies(tmp_path: Path) -> None:
    question = asked("method", "growth.sample", baselines=({"method": "s2d"},))
    cells = done(tmp_path, grid(sample=(64, 128)), lambda config, rung: 1 - score(config, rung), regression=True)
    answer = Answer(question, layouts(question, cells))
    write(answer, tmp_path / "out")
    page = (tmp_path / "out" / "why" / "README.md").read_text()
    assert "Test loss (lower is better), last rung" in page
    assert "points" not in page
    best = min(rows(tmp_path / "out" / "why" / "means.csv"), key=lambda row: float(row["validation_mean"]))
    assert (best["chosen"], best["method"], best["growth.sample"]) == ("true", "s3d", "128")
    assert all(row["test_accuracy"] == "" != row["test_loss"] for row in rows(tmp_path / "out" / "why" / "stages.csv"))
    assert answer.main.startswith("s3d, growth.sample=")


def test_an_answer_is_not_lost_for_want_of_runs(answer: Answer, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(answer, out)
    before = (out / "why" / "README.md").read_bytes()
    empty = Answer(
        answer.question, layouts(answer.question, [cell(options("s2d", 77, growth={"sample": 64}), tmp_path)])
    )
    assert write(empty, out) == "so nothing is written"
    assert (out / "why" / "README.md").read_bytes() == before
    assert write(empty, tmp_path / "new") == "so nothing is written"
    assert not (tmp_path / "new").exists()


def test_the_index_has_a_line_for_each_folder(answer: Answer, tmp_path: Path) -> None:
    write(answer, tmp_path)
    write_atomic(tmp_path / "other" / "summary.csv", "question,asks,runs,of,hours,main\nother,How?,3,3,1.5,all alike\n")
    write_index(tmp_path)
    page = (tmp_path / "README.md").read_text()
    assert "| [other](other/README.md) | How? | 3 of 3 | 1.5 | all alike |" in page
    assert "| [why](why/README.md) | Why? | 16 of 18 | 0.00086 | " in page
    assert "s3d, growth.sample=" in page.partition("[why]")[2]
    assert "against s2d, growth.sample=" in page


def test_a_file_that_is_too_long_is_packed(answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LARGEST", 5000)
    write(answer, tmp_path)
    assert not (tmp_path / "why" / "stages.csv").exists()
    packed = gzip.decompress((tmp_path / "why" / "stages.csv.gz").read_bytes()).decode()
    assert packed.startswith("id,rung,params,macs,energy,epochs")
    assert (tmp_path / "why" / "pairs.csv").exists()


def test_without_a_baseline_the_main_difference_is_the_range(tmp_path: Path) -> None:
    question = asked("method", "growth.sample")
    answer = Answer(question, layouts(question, done(tmp_path, grid(sample=(64, 128)), score)))
    write(answer, tmp_path / "out")
    assert "Paired by seed" not in (tmp_path / "out" / "why" / "README.md").read_text()
    low, high = r"79\.\d\d ± \d\.\d\d %, s2d, growth\.sample=64", r"83\.\d\d ± \d\.\d\d %, s3d, growth\.sample=128"
    assert re.fullmatch(f"no comparison on digits, mlp: test accuracy from {low}, to {high}", answer.main)
    one = Answer(question, layouts(question, done(tmp_path / "one", grid(seeds=[3], sample=(64, 128))[:1], score)))
    assert re.fullmatch(r"no comparison on digits, mlp: test accuracy \d\d\.\d\d %, .", one.main)
    page = markdown.render(build(one), "study")
    assert "seed=3 threads=1 and what the tables say" in page
    assert "one of the seeds" not in page
    assert page.count("With so few seeds no difference is resolved.") == 1


def test_a_difference_that_is_not_resolved_is_called_so(tmp_path: Path) -> None:
    noise = {("s3d", 0): 0.05, ("s3d", 1): -0.05, ("s3d", 2): 0.003}

    def noisy(config: Mapping[str, Any], rung: int) -> float:
        return 0.8 + 0.01 * rung + noise.get((config["method"]["name"], config["seed"]), 0.0)

    def clearly(config: Mapping[str, Any], rung: int) -> float:
        return 0.8 + 0.01 * rung + (config["method"]["name"] == "s3d") * (0.02 + 0.001 * config["seed"])

    question = asked("method", baselines=({"method": "s2d"},))
    answer = Answer(question, layouts(question, done(tmp_path, grid(seeds=range(3), sample=(64,)), noisy)))
    assert answer.main.endswith("; not resolved)")
    clear = done(tmp_path / "b", grid(seeds=range(3), sample=(64,)), clearly)
    assert answer.main.startswith("s3d against s2d on digits, mlp: ")
    assert "resolved" not in Answer(question, layouts(question, clear)).main


def test_what_failed_with_every_seed_has_a_row(tmp_path: Path) -> None:
    cells = done(tmp_path, grid(sample=(64,)), score)
    for seed in range(4):
        failing = options("s3d", seed, 0.01, growth={"sample": 128})
        put(tmp_path, ended(failing, "failed", "diverged"))
        cells.append(cell(failing, tmp_path))
    question = asked("method", "growth.sample", baselines=({"method": "s2d"},))
    write(Answer(question, layouts(question, cells)), tmp_path / "out")
    page = (tmp_path / "out" / "why" / "README.md").read_text()
    assert re.search(rf"\| s3d +\| 128 +\|  0 of 4 \| +{DASH} \|", page)


def test_each_at_its_best_is_a_table_and_may_be_the_main_difference(tmp_path: Path) -> None:
    question = asked("method", "growth.sample", tuned="method")
    answer = Answer(question, layouts(question, done(tmp_path, grid(sample=(64, 128)), score)))
    write(answer, tmp_path / "out")
    assert "**Each method at its best**" in (tmp_path / "out" / "why" / "README.md").read_text()
    assert (tmp_path / "out" / "why" / "tuned.csv").exists()
    assert answer.main.startswith("s2d, growth.sample=128 against s3d, growth.sample=128 on digits, mlp: ")
