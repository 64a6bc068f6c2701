"""Records as flat numbers, and epochs counted over all stages."""

from __future__ import annotations

from typing import Any

from bench.logger.numbers import Clock, numbers, summary, table, values


def record(stage: int, **growth: Any) -> dict[str, Any]:
    return {
        "stage": stage,
        "params": 330 + stage,
        "epochs": 3,
        "val_accuracy": None,
        "widths": {"features.0": 4},
        "seconds": {"train": 2.0, "grow": 1.0},
        "flops": {"train": 20.0, "grow": 10.0},
        "growth": growth or None,
    }


def test_values_are_flat_and_null_is_left_out() -> None:
    found = values(record(1, epsilon=[0.25, 0.75], restart=False, stopped="stable", predicted_drop=None))
    assert found == {
        "stage/params": 331,
        "stage/epochs": 3,
        "widths/features.0": 4,
        "seconds/train": 2.0,
        "seconds/grow": 1.0,
        "flops/train": 20.0,
        "flops/grow": 10.0,
        "growth/epsilon": 0.5,
        "growth/restart": 0,
        "growth/stopped": "stable",
    }
    assert "growth/stopped" not in numbers(record(1, stopped="stable"))
    assert "growth/epsilon" not in values(record(1, epsilon=[]))


def test_the_table_has_a_row_per_stage() -> None:
    columns, rows = table([record(0), record(1, splits=2)])
    assert columns[0] == "stage"
    assert [row[0] for row in rows] == [0, 1]
    assert [row[columns.index("growth/splits")] for row in rows] == [None, 2]


def test_the_summary_has_status_final_numbers_and_totals() -> None:
    found = summary({"status": "refused", "reason": "no", "stages": [record(0), record(1)]})
    assert found["status"] == "refused"
    assert found["reason"] == "no"
    assert found["final/params"] == 331
    assert found["final/stage"] == 1
    assert found["total/seconds/train"] == 4.0
    assert found["total/flops/grow"] == 20.0
    empty = summary({"status": "failed", "reason": None, "stages": []})
    assert empty["reason"] == ""
    assert empty["total/flops/train"] == 0


def test_epochs_are_counted_over_all_stages_and_from_a_checkpoint_on() -> None:
    clock = Clock()
    clock.begin(0, 0)
    assert [clock.tick(), clock.tick(), clock.tick()] == [1, 2, 3]
    assert clock.finished(record(0)) == 3
    clock.begin(1, 0)
    assert clock.tick() == 4
    resumed = Clock()
    assert [resumed.finished(record(0)), resumed.finished(record(1))] == [3, 6]
    resumed.begin(2, 1)
    assert resumed.now == 7
    assert resumed.tick() == 8
