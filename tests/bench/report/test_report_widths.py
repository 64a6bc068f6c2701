"""Groups of neurons are shown with their layers, where the records know them."""

from __future__ import annotations

import csv
from pathlib import Path

from bench.report.__main__ import report
from bench.report.read.arguments import Request
from tests.bench.report.synthetic import old, options, put, record


def test_groups_carry_the_names_of_their_layers(tmp_path: Path) -> None:
    one = record(options("s2d", 0))
    one["layers"] = {"1": "Conv2d 3x3", "3": "Linear"}
    put(tmp_path / "runs", one)
    report(Request(runs_dir=str(tmp_path / "runs"), out=tmp_path / "out"))
    page = (tmp_path / "out" / "report.md").read_text()
    assert "| s2d      | 1 (Conv2d 3x3) |" in page
    assert '"panels": ["group 1 (Conv2d 3x3)", "group 3 (Linear)"]' in (tmp_path / "out" / "index.html").read_text()
    rows = list(csv.DictReader((tmp_path / "out" / "data" / "widths.csv").read_text().splitlines()))
    assert [(r["group"], r["layer"], r["width_mean"]) for r in rows[3:5]] == [
        ("1", "Conv2d 3x3", "10.0"),
        ("3", "Linear", "4.0"),
    ]


def test_old_records_have_groups_alone(tmp_path: Path) -> None:
    put(tmp_path / "runs", old(options("s2d", 0)))
    report(Request(runs_dir=str(tmp_path / "runs"), out=tmp_path / "out"))
    assert "| s2d      | 1       |" in (tmp_path / "out" / "report.md").read_text()
    rows = list(csv.DictReader((tmp_path / "out" / "data" / "widths.csv").read_text().splitlines()))
    assert {(r["group"], r["layer"]) for r in rows} == {("1", ""), ("3", "")}
