"""Questions: what a file may say, and every file that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.core.places import VARIABLE
from bench.study.question import Question, questions, read

RIGHT = "asks: Why?\npresets: [smoke, study/sign_digits]\nfactors: [method, growth.condition]\n"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "study").mkdir()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path / "study" / "mine.yaml"


def test_a_question_is_what_its_file_says(written: Path) -> None:
    written.write_text(RIGHT + "baselines: [{growth.condition: null}]\nfigure: {x: macs, series: [method]}\n")
    found = read("mine")
    assert found == Question(
        asks="Why?",
        presets=("smoke", "study/sign_digits"),
        factors=("method", "growth.condition"),
        baselines=({"growth.condition": None},),
        figure={"x": "macs", "series": ["method"]},
        name="mine",
    )
    assert (found.drawn.x, found.drawn.series, found.drawn.panel) == ("macs", ("method",), None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("presets: [smoke]\nfactors: [method]\n", r"asks='': expected a sentence or two"),
        ("asks: Why?\nfactors: [method]\n", r"presets=\[\]: expected at least one name"),
        ("asks: Why?\npresets: [smoke]\n", r"factors=\[\]: expected at least one name"),
        (RIGHT.replace("smoke", "smok"), r"presets=smok: expected one of .* \(did you mean smoke\?\)"),
        (RIGHT.replace("sign_digits", "sign"), r"presets=study/sign: expected one of .*study/sign_digits"),
        (
            RIGHT + "baselines: [{methd: s2d}]",
            r"baselines=methd: expected one of method, growth.condition \(did you mean",
        ),
        (RIGHT + "figure: {x: size}", r"figure.x=size: expected one of params, macs, flops, rung, method"),
        (RIGHT + "figure: {y: params}", r"figure.y=params: expected one of only, panel, series, x"),
        (RIGHT + "figure: {only: {seed: [0]}}", r"figure.only=seed: expected one of method, growth.condition"),
        (RIGHT + "figure: {panel: seed}", r"figure.panel=seed: expected one of method, growth.condition"),
        (RIGHT + "within: seed", r"within=seed: expected one of method, growth.condition"),
        (RIGHT + "tuned: seed", r"tuned=seed: expected one of method, growth.condition"),
        (RIGHT + "areas: [latency]", r"areas=latency: expected one of energy, macs, params"),
        (RIGHT + "seeds: 3", r"seeds=3: expected one of along, areas, asks, baselines, factors"),
        (RIGHT.replace("[method,", "[method, method,"), r"factors=\['method', 'method', .*: expected each name once"),
        (RIGHT.replace("[smoke,", "[smoke, smoke,"), r"presets=\['smoke', 'smoke', .*: expected each name once"),
        (RIGHT + "figure: {only: {method: []}}", r"figure.only.method=\[\]: expected at least one value"),
        ("- asks", r".*: expected asks, presets and factors"),
        ("asks: [", r".*"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_file(text: str, message: str, written: Path) -> None:
    written.write_text(text)
    with pytest.raises(BenchError, match=rf"\Aconf/study/mine\.yaml: {message}") as raised:
        read("mine")
    assert "\n" not in str(raised.value)


def test_an_unknown_name_is_one_line() -> None:
    with pytest.raises(BenchError, match=r"questions=sign_digit: expected one of .*\(did you mean sign_digits\?\)"):
        questions(["sign_digit"])
