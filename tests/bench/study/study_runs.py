"""Layouts of made-up runs whose scores are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.run.cell import Cell
from bench.study.layout import Layout, layouts
from bench.study.question import Question
from tests.bench.report.synthetic import cell, options, put, record

ScoreOf = Callable[[Mapping[str, Any], int], float]
"""Of options and a rung."""


def asked(*factors: str, **more: Any) -> Question:
    """A question about factors."""
    return Question(asks="Why?", presets=("smoke",), factors=factors, name="why", **more)


def done(folder: Path, configs: Iterable[Mapping[str, Any]], score: ScoreOf, regression: bool = False) -> list[Cell]:
    """Cells of done runs, at every rung with the score of their options."""
    made = []
    for config in configs:
        one = record(config, lambda _, rung, *__, config=config: score(config, rung), regression=regression)  # type: ignore[misc]
        put(folder, one)
        made.append(cell(config, folder))
    return made


def grid(seeds: Iterable[int] = range(4), **growth: Iterable[Any]) -> list[dict[str, Any]]:
    """Options of S2D and S3D, by seeds and the values of one option of growth."""
    ((name, values),) = growth.items()
    own = [{name: value} for value in values]
    return [options(m, s, 0.01, growth=one) for m in ("s2d", "s3d") for one in own for s in seeds]


def laid_out(question: Question, cells: list[Cell]) -> Layout:
    """The one setting."""
    (found,) = layouts(question, cells)
    return found
