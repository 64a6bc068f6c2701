"""A table carries its rows, and one from outside the tree is in every form of the report."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.core.numbers import DASH
from bench.report.views.base import View, views
from bench.report.views.chart import LEAST_POINTS, MOST_POINTS, Axis, Chart
from bench.report.views.document import make_views
from bench.report.views.table import METHOD, Column, Pivot, Shown, Table, untitled
from tests.bench.report.synthetic import options, put, record, sweep

ROOT = Path(__file__).resolve().parents[3]
ROWS = [{"method": m, "rung": k, "score": 10 * k + len(m), "why": None} for m in ("s2d", "net2net") for k in range(3)]

FOREIGN = """
from dataclasses import dataclass

from bench.core.numbers import DASH
from bench.report.views.base import View, views
from bench.report.views.chart import Axis, Chart
from bench.report.views.table import METHOD, Column, Table, untitled


@dataclass(frozen=True)
class Options:
    digits: int = 1


@views.register("lengths", Options)
class Lengths(View):
    section = "How long"

    def of_setting(self, findings):
        rows = [
            {"method": one.label, "epochs": sum(stage.epochs for stage in run.stages) / 7, "seed": seed}
            for one in findings.contenders
            for seed, run in one.runs.items()
        ]
        number = Column("epochs", "Sevenths of <epochs>", format=f"{{:.{self.options.digits}f}}".format)
        about = "Written elsewhere."
        yield Table("lengths", (METHOD, number, *untitled("seed")), rows, "Lengths", about)
        yield Chart("lengths", "Lengths by seed", about, rows, (Axis("seed", "Seed"),), Axis("epochs", "Sevenths"))

    def of_report(self, overview):
        yield Table("number", (Column("runs", "Runs there"),), [{"runs": len(overview.cells)}], "How many")
"""


def package(folder: Path, code: str) -> None:
    """Install a package that offers one view, as pip would."""
    (folder / "foreign.py").write_text(code)
    info = folder / "foreign-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[growth_bench.views]\nlengths = foreign\n")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m bench.report`` with the package on the path."""
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "bench.report", "runs_dir=runs", "out=out", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_one_file_adds_a_table_to_every_form_of_the_report(tmp_path: Path) -> None:
    package(tmp_path, FOREIGN)
    put(tmp_path / "runs", *sweep(["s2d", "static"], range(2)))
    assert run(tmp_path, "lengths.digits=3").returncode == 0
    out = tmp_path / "out"
    page, html = (out / "report.md").read_text(), (out / "index.html").read_text()
    for words in ("How long", "Lengths", "Written elsewhere.", "17.143", "Runs there"):
        assert words in page
        assert words in html
    assert "<epochs>" not in page + html
    assert r"17.143 \tabularnewline" in (out / "tables" / "digits-mlp-lengths.tex").read_text()
    assert (out / "figures" / "digits-mlp-lengths.svg").exists()
    rows = list(csv.DictReader((out / "data" / "lengths.csv").read_text().splitlines()))
    assert [(r["setting"], r["method"], r["seed"]) for r in rows[:2]] == [
        ("digits, mlp", "s2d", "0"),
        ("digits, mlp", "s2d", "1"),
    ]
    assert float(rows[0]["epochs"]) == 120 / 7
    wrong = run(tmp_path, "lengths.digit=3")
    assert (wrong.returncode, wrong.stderr) == (1, "error: lengths.digit=3: expected one of digits\n")


def test_a_foreign_part_that_fails_leaves_the_others(tmp_path: Path) -> None:
    package(tmp_path, FOREIGN.replace("one.label,", "one.lable,"))
    put(tmp_path / "runs", *sweep(["s2d", "static"], range(2)))
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "report.md").read_text()
    assert "Lengths is left out: AttributeError: 'Contender' object has no attribute 'lable'" in page
    assert "Paired by seed, against static" in page


def test_a_foreign_chart_that_cannot_be_drawn_leaves_the_others(tmp_path: Path) -> None:
    package(tmp_path, FOREIGN.replace('Axis("epochs", "Sevenths")', 'Axis("sevenths", "Sevenths")'))
    put(tmp_path / "runs", *sweep(["s2d", "static"], range(2)))
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Lengths is left out: KeyError: 'sevenths'" in (tmp_path / "out" / "report.md").read_text()


def test_a_foreign_table_does_not_come_into_the_rows_of_another(tmp_path: Path) -> None:
    package(tmp_path, FOREIGN.replace('yield Table("lengths",', 'yield Table("rungs",'))
    put(tmp_path / "runs", *sweep(["s2d", "static"], range(2)))
    done = run(tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: two tables of the report are called rungs\n")


def test_a_foreign_part_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    package(tmp_path, "import nowhere_to_be_found")
    put(tmp_path / "runs", record(options()))
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "lengths cannot be imported: ModuleNotFoundError" in done.stdout
    assert "lengths cannot be imported" in (tmp_path / "out" / "index.html").read_text()


def shown(table: Table) -> list[list[str]]:
    """What a table says."""
    return [[one.text for one in line] for line in table.lines]


def test_columns_without_a_title_are_in_the_csv_alone() -> None:
    table = Table("t", (METHOD, *untitled("rung why"), Column("score", "Score", "{:.1f}".format)), ROWS[:1])
    assert [column.title for column in table.header] == ["Method", "Score"]
    assert shown(table) == [["s2d", "3.0"]]
    assert not Table("t", untitled("method rung"), ROWS).is_shown
    assert not Table("t", (METHOD,), ROWS, where=lambda row: False).is_shown


def test_nothing_is_a_dash_and_words_stand_as_they_are() -> None:
    columns = (Column("why", "Why", show=lambda row: Shown("never asked")), Column("method", "Method", "{:.1f}".format))
    assert shown(Table("t", columns, ROWS[:1])) == [[DASH, "s2d"]]


def test_a_matrix_is_a_pivot_of_long_rows() -> None:
    rows = [*ROWS[:3], *ROWS[4:]]
    table = Table(
        "t", (Column("rung", "Rung"), *untitled("method score why")), rows, pivot=Pivot("method", Column("score"))
    )
    assert [column.title for column in table.header] == ["Rung", "s2d", "net2net"]
    assert shown(table) == [["0", "3", DASH], ["1", "13", "17"], ["2", "23", "27"]]
    assert table.rows == rows  # the CSV stays long
    by_rung = Pivot("rung", Column("score"), lambda k: f"rung {k}", order=lambda k: (False, -k, ""))
    table = Table("t", (METHOD, *untitled("rung score")), rows, pivot=by_rung)
    assert [column.title for column in table.header] == ["Method", "rung 2", "rung 1", "rung 0"]
    assert shown(table) == [["s2d", "23", "13", "3"], ["net2net", "27", "17", DASH]]


def test_a_chart_thins_its_points_but_keeps_both_ends() -> None:
    rows = [{"method": f"m{i}", "x": k, "y": k} for i in range(20) for k in range(1000)]
    one = Chart("c", "", "", rows[:1000], (Axis("x", "X"),), Axis("y", "Y"))
    (series,) = one.drawn
    assert len(series.points) == MOST_POINTS
    assert (series.points[0], series.points[-1]) == (rows[0], rows[999])
    many = Chart("c", "", "", rows, (Axis("x", "X"),), Axis("y", "Y")).drawn
    assert {len(series.points) for series in many} == {max(3000 // 20, LEAST_POINTS)}


def test_views_are_registered_under_one_name_each_and_in_order() -> None:
    made = make_views({})
    assert [view.order for view in made] == sorted(view.order for view in made)
    assert {entry.name for entry in views} >= {"scores", "comparison", "steps", "widths", "losses", "runs", "summary"}
    assert all(isinstance(view, View) for view in made)
    with pytest.raises(Exception, match="registered twice"):
        views.register("scores")(View)
