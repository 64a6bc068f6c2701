"""Records as flat numbers, and epochs counted over all stages."""

from __future__ import annotations

from bench.core.record import GrowthRecord, RunState
from bench.logger.numbers import Clock, numbers, summary, table, values
from tests.bench.logger.logger_helpers import whole_record, whole_stage


def test_values_are_flat_and_null_is_left_out() -> None:
    growth = GrowthRecord(splits=2, epsilon=[0.25, 0.75], stopped="stable", notes={"gap": 0.125})
    found = values(whole_stage(1, growth))
    assert {name: value for name, value in found.items() if not name.startswith("growth/")} == {
        "stage/target_cost": 330.0,
        "costs/params": 331,
        "costs/macs": 312,
        "costs/energy": 0.5,
        "stage/epochs": 3,
        "stage/train_loss": 0.25,
        "stage/val_loss": 0.5,
        "stage/test_loss": 0.75,
        "widths/features.0": 4,
        "seconds/train": 2.0,
        "seconds/grow": 1.0,
        "seconds/eval": 0.5,
        "flops/train": 20.0,
        "flops/grow": 10.0,
        "notes/gap": 0.125,
    }
    expected = {"splits": 2, "epsilon": 0.5, "restart": 0, "stopped": "stable", "curvature": "definition"}
    assert {f"growth/{name}": value for name, value in expected.items()}.items() <= found.items()
    assert "growth/predicted_drop" not in found
    assert "growth/stopped" not in numbers(whole_stage(1, growth))
    assert "growth/epsilon" not in values(whole_stage(1, GrowthRecord(epsilon=[])))
    assert not any("history" in name for name in found)  # its epochs were logged one by one


def test_the_table_has_a_row_per_stage() -> None:
    columns, rows = table([whole_stage(0), whole_stage(1, GrowthRecord(splits=2))])
    assert columns[0] == "stage"
    assert [row[0] for row in rows] == [0, 1]
    assert [row[columns.index("growth/splits")] for row in rows] == [None, 2]
    assert [row[columns.index("costs/params")] for row in rows] == [330, 331]


def test_the_summary_has_status_final_numbers_and_totals() -> None:
    found = summary(whole_record([whole_stage(0), whole_stage(1)]))
    assert found["status"] == "refused"
    assert found["reason"] == "no"
    assert found["final/params"] == 331
    assert found["final/energy"] == 0.5
    assert found["final/test_loss"] == 0.75
    assert found["final/stage"] == 1
    assert found["total/seconds/train"] == 4.0
    assert found["total/flops/grow"] == 20.0
    empty = summary(whole_record([], RunState.FAILED, None))
    assert empty["reason"] == ""
    assert empty["total/flops/train"] == 0


def test_epochs_are_counted_over_all_stages_and_from_a_checkpoint_on() -> None:
    clock = Clock()
    clock.begin(0, 0)
    assert [clock.tick(), clock.tick(), clock.tick()] == [1, 2, 3]
    assert clock.finished(whole_stage(0)) == 3
    clock.begin(1, 0)
    assert clock.tick() == 4
    resumed = Clock()
    assert [resumed.finished(whole_stage(0)), resumed.finished(whole_stage(1))] == [3, 6]
    resumed.begin(2, 1)
    assert resumed.now == 7
    assert resumed.tick() == 8
