"""A run's identity and its folder."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import StorageError
from bench.core.store import PARTIAL, Run, State, identity, seed_identity, write_atomic

OPTIONS: dict[str, Any] = {
    "method": {"name": "s3d", "c": 3.0},
    "backbone": {"name": "mlp", "width": 4},
    "data": {"name": "mnist", "root": "data", "download": True, "validation": 5000},
    "train": {"epochs": 10, "lr": 0.1},
    "growth": {"stages": 5},
    "logger": {"name": "none"},
    "seed": 0,
    "device": "auto",
    "precision": "fp32",
    "threads": None,
    "runs_dir": "results/runs",
    "rerun": "none",
    "checkpoint_seconds": 30.0,
}


def changed(path: str, value: object) -> dict[str, Any]:
    options = copy.deepcopy(OPTIONS)
    *groups, key = path.split(".")
    node = options
    for group in groups:
        node = node[group]
    node[key] = value
    return options


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("device", "cuda"),
        ("threads", 1),
        ("runs_dir", "elsewhere"),
        ("rerun", "all"),
        ("checkpoint_seconds", 0),
        ("logger.name", "wandb"),
        ("data.root", "elsewhere"),
        ("data.download", False),
        ("method.c", 3),
    ],
)
def test_what_changes_no_number_does_not_change_the_identity(path: str, value: object) -> None:
    assert identity(changed(path, value)) == identity(OPTIONS)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("method.c", 2.0),
        ("method.name", "s2d"),
        ("backbone.width", 5),
        ("data.validation", 100),
        ("train.lr", 0.2),
        ("growth.stages", 4),
        ("seed", 1),
        ("precision", "bf16"),
        ("train.new", True),
    ],
)
def test_what_changes_a_number_changes_the_identity(path: str, value: object) -> None:
    assert identity(changed(path, value)) != identity(OPTIONS)


def test_the_step_does_not_enter_where_nothing_is_displaced() -> None:
    for method, same in (({"name": "static", "step": False}, True), ({"name": "net2net", "step": True}, False)):
        small, large = ({**OPTIONS, "method": method, "growth": {"epsilon": e}} for e in (0.01, 0.1))
        assert (identity(small) == identity(large)) is same


def test_order_of_options_does_not_matter() -> None:
    assert identity(dict(reversed(OPTIONS.items()))) == identity(OPTIONS)


def test_seed_network_is_shared_by_methods_and_ladders_only() -> None:
    assert seed_identity(changed("method.c", 1)) == seed_identity(OPTIONS)
    assert seed_identity(changed("growth.stages", 1)) == seed_identity(OPTIONS)
    for path, value in (("train.lr", 1), ("backbone.width", 9), ("seed", 5), ("data.validation", 7)):
        assert seed_identity(changed(path, value)) != seed_identity(OPTIONS)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    write_atomic(path, "old")

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="nothing is lost"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_only_a_whole_record_of_this_run_counts(tmp_path: Path) -> None:
    run = Run(tmp_path, OPTIONS)
    assert run.record() is None
    assert run.state() is State.ABSENT
    run.write_record({"id": run.id, "status": "done"})
    record = run.record()
    assert record is not None
    assert record["status"] == "done"
    assert run.state() is State.DONE
    whole = run.record_path.read_text()
    for damaged in ('{"id": "', '{"id": "another", "status": "done"}', whole.replace("done", "failed"), "[]", "\xff"):
        run.record_path.write_text(damaged)
        assert run.record() is None
        assert run.state() is State.INCOMPLETE


def test_what_a_killed_writer_left_is_tidied(tmp_path: Path) -> None:
    run = Run(tmp_path, OPTIONS)
    run.write_record({"id": run.id, "status": "done"})
    whole = run.record_path.read_bytes()
    (run.folder / f".run.json.123{PARTIAL}").write_text("half")
    run.tidy()
    assert [p.name for p in run.folder.iterdir()] == ["run.json"]
    run.record_path.write_bytes(whole[:-9])
    run.tidy()
    assert [p.name for p in run.folder.iterdir()] == ["run.json.damaged-1"]
