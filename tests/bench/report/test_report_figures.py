"""Figures hold their intervals, set methods side by side, and have labels that tell values apart."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.__main__ import report
from bench.report.read.arguments import Request
from bench.report.views.chart import Axis, Chart
from bench.report.write import figures, ticks
from tests.bench.report.browser import BINARY, Browser
from tests.bench.report.synthetic import put, sweep

RANGES = [
    (96.51, 96.58),
    (96.5, 96.6),
    (1e-5, 1.4e-5),
    (1e-5, 9e-2),
    (0.0, 1.0),
    (1_234_000.0, 1_235_000.0),
    (330.0, 2506.0),
    (0.9990, 1.0008),
    (-3.0, 4.0),
]


@pytest.mark.parametrize("span", RANGES)
def test_no_two_ticks_say_the_same_and_each_says_where_it_is(span: tuple[float, float]) -> None:
    for find in (ticks.linear, *([ticks.logarithmic] if span[0] > 0 else [])):
        found = find(*span)
        labels = ticks.labels(found)
        assert 2 <= len(found) <= 8
        assert span[0] - 1e-12 <= min(found) < max(found) <= span[1] + 1e-12
        assert len(set(labels)) == len(labels)
        apart = min(b - a for a, b in itertools.pairwise(found))
        for tick, label in zip(found, labels, strict=True):
            factor = {"k": 1e3, "M": 1e6}.get(label[-1], 1.0)
            assert float(label.rstrip("kM")) * factor == pytest.approx(tick, abs=apart / 50)


def rows(*values: tuple[str, float, float, float, float]) -> list[dict[str, float | str]]:
    """Rows of a method, a size, a mean and its interval."""
    return [dict(zip(("method", "x", "y", "low", "high"), one, strict=True)) for one in values]


def chart(found: list[dict[str, float | str]], log: bool = False, most: float | None = None) -> Chart:
    """A chart of such rows."""
    x, y = Axis("x", "X", log=True), Axis("y", "Y", log=log, most=most)
    return Chart("c", "C", "", found, (x,), y, interval=("low", "high"))


def drawn(made: Chart) -> Axes:
    """The figure's axes."""
    figure = Figure()
    names = list(dict.fromkeys(one.name for one in made.drawn))
    figures._draw(figure, made, {name: i for i, name in enumerate(names)}, [(made.x[0], "")])
    return figure.axes[0]


def test_intervals_are_inside_the_axes() -> None:
    axes = drawn(chart(rows(("a", 100, 90.0, 10.0, 99.0), ("b", 200, 91.0, 90.5, 91.5))))
    low, high = axes.get_ylim()
    assert low < 10.0
    assert high > 99.0


def test_what_no_value_can_exceed_ends_the_axis() -> None:
    axes = drawn(chart(rows(("a", 100, 95.0, 60.0, 130.0), ("a", 200, 97.0, 90.0, 104.0)), most=100.0))
    assert 100.0 < axes.get_ylim()[1] < 104.0


def test_an_interval_down_to_zero_leaves_a_logarithmic_axis_readable() -> None:
    axes = drawn(chart(rows(("a", 100, 0.5, -0.2, 1.2), ("a", 200, 0.4, 1e-9, 0.8)), log=True))
    low, high = axes.get_ylim()
    assert 0.02 < low < 0.04
    assert high > 1.2


@pytest.mark.parametrize("x", [(100.0, 200.0), (1e-6, 1e9)])
def test_bars_of_methods_stand_side_by_side_the_same_way_on_any_scale(x: tuple[float, float]) -> None:
    found = rows(*((name, size, 0.5, 0.4, 0.6) for name in ("a", "b", "c") for size in x))
    axes = drawn(chart(found))
    bars = [collection.get_transform().transform(collection.get_segments()[0][0]) for collection in axes.collections]
    markers = [line.get_transform().transform((x[0], 0.5)) for line in axes.lines]
    pixels = figures.DODGE / 72 * axes.figure.dpi
    for places in (bars, markers):
        offsets = [float(place[0] - places[1][0]) for place in places]
        assert offsets == pytest.approx([-pixels, 0.0, pixels])
    left, right = axes.bbox.x0, axes.bbox.x1
    assert all(left < place[0] < right for place in bars)


def test_points_without_intervals_stand_where_they_are() -> None:
    found = rows(*((name, 100.0, 0.5, 0.4, 0.6) for name in ("a", "b", "c")))
    made = Chart("c", "C", "", found, (Axis("x", "X"),), Axis("y", "Y"))
    assert set(made.dodge.values()) == {0.0}


def test_one_method_on_one_rung_is_drawn(tmp_path: Path) -> None:
    assert set(figures.render(chart(rows(("a", 100, 0.5, 0.5, 0.5))), {"a": 0})) == {".svg", ".png"}


@pytest.mark.skipif(BINARY is None, reason="no Chromium here")
def test_the_page_draws_the_same(tmp_path: Path) -> None:
    def score(method: str, rung: int, seed: int, step: float) -> float:
        return 0.9651 + 0.0001 * rung + 0.0002 * seed

    put(tmp_path / "runs", *sweep(["s2d", "s3d", "static"], score=score))
    report(Request(runs_dir=str(tmp_path / "runs"), out=tmp_path / "out"))
    spec = json.loads(re.findall(r'json">(.*?)</script>', (tmp_path / "out" / "index.html").read_text())[0])
    ends = [end for one in spec["series"] for point in one["points"] for end in point[2]]
    with Browser() as browser:
        browser.open(tmp_path / "out" / "index.html")
        labels = "[...document.querySelectorAll('.plot')[0].querySelectorAll('text[text-anchor=end]:not(.title)')]"
        said = browser.run(f"{labels}.map(t => t.textContent)")
        assert len(said) == len(set(said)) > 2
        assert all(min(ends) - 0.1 < float(text) < max(ends) + 0.1 for text in said)
        first = "document.querySelectorAll('.plot')[0].querySelectorAll('.series')"
        bars = browser.run(f"[...{first}].map(s => s.querySelector('.whisker').getBoundingClientRect().x)")
        assert bars[2] - bars[1] == pytest.approx(bars[1] - bars[0]) == 3
        whiskers = "[...document.querySelectorAll('.plot')[0].querySelectorAll('.whisker')]"
        paths = browser.run(f"{whiskers}.map(w => w.getAttribute('d'))")
        heights = [float(number) for path in paths for number in re.findall(r"[ V]([\d.]+)", path)]
        assert min(heights) >= 26  # where the plot begins
        assert max(heights) <= 336
        assert browser.problems == []
