"""Runs as a pandas table."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.report.frame import frame
from tests.runs import prepared


def test_one_row_per_rung(tmp_path: Path) -> None:
    records = [prepared(tmp_path, f"method={method}").execute() for method in ("s2d", "static")]
    table = frame(tmp_path)
    assert len(table) == sum(len(record["stages"]) for record in records)
    last = table[(table["method"] == "s2d") & (table["rung"] == 2)].iloc[0]
    assert last["test_accuracy"] == pytest.approx(records[0]["stages"][2]["test_accuracy"])
    assert last["params"] == records[0]["stages"][2]["params"]
    assert frame(tmp_path / "nothing").empty
