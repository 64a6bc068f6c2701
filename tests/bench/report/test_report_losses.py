"""Each epoch's losses, drawn and in full."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench.report.__main__ import report
from bench.report.read.arguments import Request
from tests.bench.report.synthetic import old, options, put, record


def made(tmp_path: Path, *records: dict[str, Any], panels: str = "part") -> tuple[str, dict[str, Any] | None, Path]:
    """A report's page, the losses' chart as its script gets it, and the report's folder."""
    put(tmp_path / "runs", *records)
    out = tmp_path / "out"
    report(Request(runs_dir=str(tmp_path / "runs"), out=out, views={"losses": {"panels": panels}}))
    page = (out / "index.html").read_text()
    specs = [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page)]
    return page, next((one for one in specs if one["y"]["label"] == "Loss"), None), out


def recorded(method: str, seed: int, *lengths: int) -> dict[str, Any]:
    """A run with so many epochs in its first stages; a loss is 1 + the epoch over all stages + the seed."""
    one = record(options(method, seed))
    start = 0
    for stage, length in zip(one["stages"], (*lengths, 0, 0, 0, 0), strict=False):
        train = [1.0 + start + epoch + seed for epoch in range(length)]
        stage["history"] = {"train_loss": train, "val_loss": [2 * loss for loss in train]}
        start += length
    return one


def test_mean_losses_over_the_epochs_of_all_stages(tmp_path: Path) -> None:
    _, chart, out = made(tmp_path, recorded("s2d", 0, 3, 2), recorded("s2d", 2, 3, 2), recorded("static", 0, 3, 4))
    assert chart is not None
    assert chart["panels"] == ["training", "validation"]
    series = {(one["name"], one["panel"]): one["points"] for one in chart["series"]}
    assert series["s2d", "training"] == [[[float(k)], k + 1.0] for k in range(1, 6)]
    assert series["s2d", "validation"] == [[[float(k)], 2 * k + 2.0] for k in range(1, 6)]
    assert len(series["static", "training"]) == 7
    rows = list(csv.DictReader((out / "data" / "losses.csv").read_text().splitlines()))
    assert [*rows[0]] == ["setting", "method", "step", "seed", "rung", "epoch", "train_loss", "val_loss"]
    assert len(rows) == 5 + 5 + 7
    assert [(r["rung"], r["epoch"], r["train_loss"]) for r in rows[3:5]] == [("1", "1", "4.0"), ("1", "2", "5.0")]
    assert (out / "figures" / "digits-mlp-losses.svg").exists()


def test_epochs_that_only_some_seeds_have_or_that_are_not_finite_are_not_drawn(tmp_path: Path) -> None:
    short, torn = recorded("s2d", 0, 3, 2), recorded("s2d", 1, 3, 4)
    torn["stages"][0]["history"]["val_loss"][1] = None
    _, chart, _ = made(tmp_path, short, torn)
    assert chart is not None
    epochs = {one["panel"]: [point[0][0] for point in one["points"]] for one in chart["series"]}
    assert epochs == {"training": [1, 2, 3, 4, 5], "validation": [1, 3, 4, 5]}


def test_a_panel_for_each_method(tmp_path: Path) -> None:
    _, chart, _ = made(tmp_path, recorded("s2d", 0, 3), recorded("static", 0, 3), panels="method")
    assert chart is not None
    assert chart["panels"] == ["s2d", "static"]
    assert {one["name"] for one in chart["series"]} == {"training", "validation"}
    assert len({one["style"] for one in chart["series"]}) == 2


@pytest.mark.parametrize("epochs", [5000])
def test_many_epochs_do_not_bloat_the_page(tmp_path: Path, epochs: int) -> None:
    runs = [recorded(method, 0, epochs) for method in ("net2net", "s2d", "s3d", "static")]
    page, chart, out = made(tmp_path, *runs)
    assert chart is not None
    assert sum(len(one["points"]) for one in chart["series"]) <= 3000
    assert chart["series"][0]["points"][-1][0] == [epochs]
    assert len((out / "data" / "losses.csv").read_text().splitlines()) == 4 * epochs + 1
    assert len(page) < 200_000


def test_records_without_losses_have_no_such_part(tmp_path: Path) -> None:
    page, chart, out = made(tmp_path, old(options("s2d", 0)), old(options("static", 0)))
    assert chart is None
    assert "Losses by epoch" not in page
    assert not (out / "data" / "losses.csv").exists()
