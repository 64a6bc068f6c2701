"""A run that fails says why, in one line and on record, and is never taken for a result."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import pytest
import torch

from bench.core.errors import BenchError, StorageError, TrainingDiverged
from bench.core.record import RunState
from bench.growth.event import GrowthEvent
from bench.run import checkpoint
from bench.run.protocol import Run
from tests.bench.run.run_helpers import contents
from tests.runs import Fatal, Killed, numbers, prepared


def test_nan_loss_is_a_failed_run_with_its_reason(tmp_path: Path) -> None:
    made = prepared(tmp_path, "train.lr=1e12")
    with pytest.raises(TrainingDiverged, match=r"train\.lr") as caught:
        made.execute()
    assert caught.value.recorded
    record = made.folder.record()
    assert record is not None
    assert record.status is RunState.FAILED
    assert "train.lr" in str(record.reason)


def test_a_loss_that_growing_made_nan_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GrowthEvent, "_step", lambda self, plan: 1e300)
    made = prepared(tmp_path, "method=net2net", "backbone.activation=relu", "train.epochs=0")
    with pytest.raises(BenchError, match=r"growth\.epsilon"):
        made.execute()
    record = made.folder.record()
    assert record is not None
    assert record.status is RunState.FAILED
    json.loads(made.folder.record_path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_out_of_memory_is_a_failure_that_says_what_to_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(self: Run) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried\nto allocate")

    monkeypatch.setattr(Run, "_stage", exhausted)
    made = prepared(tmp_path)
    with pytest.raises(BenchError, match=r"ran out of memory: try a smaller train\.batch_size, ") as caught:
        made.execute()
    standing = made.folder.standing()
    assert (standing.state, standing.reason) == (RunState.FAILED, str(caught.value))


def test_a_disk_that_is_full_is_no_failure_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = prepared(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_stage", lambda self: (_ for _ in ()).throw(StorageError("cannot write")))
        with pytest.raises(StorageError):
            made.execute()
    assert made.folder.standing().state is RunState.INTERRUPTED
    again = prepared(tmp_path).execute()
    assert numbers(again) == numbers(prepared(tmp_path / "other").execute())


def test_a_checkpoint_that_cannot_be_read_now_is_no_failure_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Killed):
        prepared(tmp_path, "checkpoint_seconds=0", callback=Fatal(4)).execute()
    made = prepared(tmp_path)
    before = contents(tmp_path)

    def fails(path: Path, most: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(checkpoint, "read_file", fails)
    with pytest.raises(StorageError, match=r"^cannot read .*checkpoint\.pt: Input/output error$"):
        made.execute()
    assert contents(tmp_path) == before
    assert made.folder.standing().state is RunState.INTERRUPTED


def test_memory_of_the_processor_is_memory_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "_stage", lambda self: torch.empty(2**60))
    with pytest.raises(BenchError, match=r"^cpu ran out of memory: try a smaller train\.batch_size") as caught:
        prepared(tmp_path).execute()
    assert caught.value.recorded


FAILING = """
from torch import nn

class Failing(nn.Linear):
    steps = 0

    def forward(self, x):
        self.steps += self.training
        if self.steps > 20:
            raise {error}("no more\\nof it")
        return super().forward(x)

def net(shape, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.SiLU(), Failing(4, outputs))
"""


@pytest.mark.parametrize("error", ["RuntimeError", "KeyError", "AttributeError"])
def test_a_network_that_fails_in_training_is_a_failed_run_in_one_line(
    error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("failing.py").write_text(FAILING.format(error=error))
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.delitem(sys.modules, "failing", raising=False)
    made = prepared(tmp_path / "runs", "backbone=import:failing:net")
    with pytest.raises(BenchError, match=rf"^{error}: .*no more.*of it.* \(failing\.py:10\)$") as caught:
        made.execute()
    standing = made.folder.standing()
    assert (standing.state, standing.reason) == (RunState.FAILED, str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_bug_of_ours_is_on_record_and_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.run.protocol.evaluate", None)
    made = prepared(tmp_path, "train.epochs=0")
    with pytest.raises(TypeError):
        made.execute()
    assert made.folder.standing().state is RunState.FAILED
