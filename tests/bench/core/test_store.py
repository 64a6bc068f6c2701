"""A run's folder, and where the run stands by what lies in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from bench.core.files import PARTIAL
from bench.core.identity import NO_STEP
from bench.core.record import SCHEMA, Environment, Flops, RunRecord, RunState, Seconds, StageRecord, written
from bench.core.store import RunFolder, Standing

OPTIONS: dict[str, Any] = {
    "method": {"name": "import:mine:s3d"},
    "backbone": {"name": "mlp"},
    "data": {"name": "mnist"},
    "train": {},
    "growth": {},
    "seed": 3,
}
STAGE = StageRecord(
    stage=0,
    target_cost=9.0,
    costs={"params": 9, "macs": 8},
    widths={"1": 2},
    val_loss=0.5,
    test_loss=0.6,
    seconds=Seconds(1.0, 0.0),
    flops=Flops(1.0, 0.0),
)


def ended(
    folder: RunFolder,
    status: RunState = RunState.DONE,
    reason: str | None = None,
    options: dict[str, Any] = OPTIONS,
) -> RunRecord:
    """The record of a run in this folder."""
    names = {group: OPTIONS[group]["name"] for group in ("method", "backbone", "data")}
    return RunRecord(
        schema=SCHEMA,
        status=status,
        reason=reason,
        id=folder.id,
        seed=options["seed"],
        config=options,
        environment=Environment(),
        stages=[STAGE],
        **names,
    )


def test_the_folders_name_is_safe_and_says_what_is_in_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, OPTIONS)
    assert folder.path == tmp_path / f"mnist-mlp-import_mine_s3d-seed3-{folder.id}"
    assert RunFolder(tmp_path, OPTIONS, without=NO_STEP).id != folder.id


def test_a_run_stands_where_its_files_say(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, OPTIONS)
    assert folder.standing() == Standing(RunState.MISSING, "not begun")
    folder.write_stages([STAGE, STAGE])
    assert folder.standing() == Standing(RunState.INTERRUPTED, "stages done: 2")
    with FileLock(folder.lock_path):
        assert folder.standing() == Standing(RunState.RUNNING, "stages done: 2")
        assert folder.is_busy()
    assert not folder.is_busy()
    for status, reason in ((RunState.DONE, None), (RunState.FAILED, "why"), (RunState.REFUSED, "no")):
        record = ended(folder, status, reason)
        folder.write_record(record)
        assert folder.standing() == Standing(status, reason or "", record)


@pytest.mark.parametrize(
    ("state", "rerun", "due"),
    [
        *((state, "all", True) for state in RunState),
        *((state, "none", state in ("missing", "running", "interrupted", "unreadable")) for state in RunState),
        *((state, "failed", state not in ("done", "refused")) for state in RunState),
    ],
)
def test_what_is_due(state: RunState, rerun: str, due: bool) -> None:
    has_record = state in (RunState.DONE, RunState.FAILED, RunState.REFUSED)
    record = ended(RunFolder("", OPTIONS), state, "why") if has_record else None
    assert Standing(state, "", record).is_due(rerun) == due


def test_only_a_whole_record_of_this_run_counts(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, OPTIONS)
    assert folder.record() is None
    folder.write_record(ended(folder))
    record = folder.record()
    assert record is not None
    assert record.status is RunState.DONE
    whole = folder.record_path.read_text()
    other = {**OPTIONS, "seed": 4}
    of_another = written(ended(RunFolder(tmp_path, other), options=other))
    for damaged in ('{"id": "', of_another, whole.replace("done", "failed"), whole[:-9], "[]", "\xff", ""):
        folder.record_path.write_text(damaged)
        assert folder.record() is None
        assert folder.standing().state is RunState.UNREADABLE
        assert folder.standing().reason


def test_a_record_in_another_runs_folder_is_not_its_own(tmp_path: Path) -> None:
    one, two = RunFolder(tmp_path, OPTIONS), RunFolder(tmp_path, OPTIONS, without=NO_STEP)
    two.write_record(ended(one))
    assert two.standing() == Standing(RunState.UNREADABLE, f"id {one.id}: the record of another run")
    assert RunFolder.at(two.path).standing().state is RunState.DONE  # whose folder it should be is not known


def test_what_a_killed_writer_left_is_tidied(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, OPTIONS)
    folder.write_record(ended(folder))
    whole = folder.record_path.read_bytes()
    (folder.path / f".run.json.123{PARTIAL}").write_text("half")
    folder.tidy()
    assert [p.name for p in folder.path.iterdir()] == ["run.json"]
    folder.record_path.write_bytes(whole[:-9])
    folder.tidy()
    assert [p.name for p in folder.path.iterdir()] == ["run.json.damaged-1"]


def test_what_an_earlier_attempt_left_is_forgotten_but_for_damaged_files(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, OPTIONS)
    folder.write_record(ended(folder))
    folder.write_stages([STAGE])
    for path in (folder.checkpoint_path, folder.path / "checkpoint.previous.pt", folder.latency_path):
        path.write_text("")
    (folder.path / "run.json.damaged-1").write_text("")
    folder.forget()
    assert [p.name for p in folder.path.iterdir()] == ["run.json.damaged-1"]


def test_stages_are_a_line_each(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, OPTIONS)
    folder.write_stages([STAGE])
    (line,) = folder.stages_path.read_text().splitlines()
    assert json.loads(line)["params"] == 9
