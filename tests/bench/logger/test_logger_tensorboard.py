"""Event files are read back with TensorBoard's own reader."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.bench.logger.logger_helpers import execute
from tests.runs import Fatal, Killed

pytest.importorskip("tensorboard")


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    return found


def series(found: Any, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in found.Scalars(tag)]


@pytest.fixture(autouse=True)
def _no_line(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    assert "logger=" not in capsys.readouterr().err


def test_a_run(tmp_path: Path) -> None:
    folder, record = execute(tmp_path, "logger=tensorboard")
    found = read(folder.path / "tensorboard")
    assert [step for step, _ in series(found, "train/loss")] == [1, 2, 3, 4, 5, 6, 7]
    assert [value for _, value in series(found, "train/stage")] == [0, 0, 0, 1, 1, 2, 2]
    stages = record.stages
    ends = [3, 5, 7]
    assert series(found, "costs/params") == [(e, s.params) for e, s in zip(ends, stages, strict=True)]
    assert series(found, "growth/splits") == [(e, s.growth.splits) for e, s in zip(ends[1:], stages[1:], strict=True)]
    for part in ("train", "val"):
        whole = [loss for stage in stages for loss in getattr(stage.history, f"{part}_loss")]
        assert [value for _, value in series(found, f"{part}/loss")] == pytest.approx(whole, rel=1e-6)
    last = series(found, "train/loss")[-1][1]
    assert last == pytest.approx(stages[-1].train_loss, rel=1e-6)
    assert {f"widths/{name}" for name in stages[0].widths} <= set(found.Tags()["scalars"])
    text = found.Tensors("summary/text_summary")[0].tensor_proto.string_val[0].decode()
    assert '"status": "done"' in text


@pytest.mark.parametrize("at", [2, 5, 7])
def test_a_killed_run_has_each_point_once(at: int, tmp_path: Path) -> None:
    overrides = ["logger=tensorboard", "checkpoint_seconds=0"]
    with suppress(Killed):
        execute(tmp_path, *overrides, beside=Fatal(at))
    time.sleep(1.1)  # event files are read in the order of their names, which count seconds
    folder, record = execute(tmp_path, *overrides)
    found = read(folder.path / "tensorboard")
    assert [step for step, _ in series(found, "train/loss")] == [1, 2, 3, 4, 5, 6, 7]
    assert [value for _, value in series(found, "costs/params")] == [s.params for s in record.stages]


def test_a_shared_seed_network_and_a_folder_of_ones_own(tmp_path: Path) -> None:
    execute(tmp_path / "runs", "method=net2net")
    folder, _ = execute(tmp_path / "runs", "logger=tensorboard", f"logger.dir={tmp_path / 'events'}")
    found = read(tmp_path / "events" / folder.path.name)
    assert [step for step, _ in series(found, "train/loss")] == [4, 5, 6, 7]
    assert [step for step, _ in series(found, "costs/params")] == [3, 5, 7]
    assert not (folder.path / "tensorboard").exists()
