"""Where each cell stands, the command that fills it, and what a runs folder may hold besides."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bench.core.options import CONF
from bench.core.store import Run, identity
from bench.report.read.cells import Expected, cells
from bench.report.read.command import command
from bench.report.read.folder import read
from tests.bench.report.synthetic import begin, ended, options, put, record, signed


def resolved(*overrides: str) -> dict[str, Any]:
    """The options of a command line."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        found = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


@pytest.mark.parametrize(
    "overrides",
    [
        ["method=s3d"],
        ["method=s2d", "data=mnist", "backbone=lenet", "seed=3", "data.root=/my data/a"],
        ["growth.epsilon=line_search", "growth.budget=20000", "method.c=2", "precision=bf16"],
        ["train.milestones=[0.2,0.4]", "train.nesterov=true", "backbone.activation=relu", "growth.refresh_norm=3"],
    ],
)
def test_the_command_makes_the_same_run(overrides: list[str], tmp_path: Path) -> None:
    original = resolved(*overrides)
    words = shlex.split(command(original, str(tmp_path / "it's a run,s folder"), "rerun=failed"))
    assert words[:3] == ["python", "-m", "bench"]
    again = resolved(*words[3:])
    assert identity(again) == identity(original)
    assert again["runs_dir"] == str(tmp_path / "it's a run,s folder")
    assert len(words) < 14  # only what differs from the defaults


def test_states_of_an_experiments_cells(tmp_path: Path) -> None:
    put(tmp_path, record(options("s2d", 0)), ended(options("s2d", 1), "failed", "diverged at epoch 3"))
    put(tmp_path, ended(options("s3d", 0), "refused", "no convolution"), record(options("net2net", 9)))
    begin(tmp_path, options("s2d", 2), stages=2)
    damaged = {**record(options("s2d", 4)), "schema": 0}
    put(tmp_path, damaged)
    wanted = [Expected(options("s2d", seed), f"python -m bench experiment=x seed={seed}") for seed in range(5)]
    found = cells(read(tmp_path), str(tmp_path), [*wanted, Expected(options("s3d", 0))])
    assert [(c.name("method"), c.seed, c.state) for c in found] == [
        ("s2d", 0, "done"),
        ("s2d", 1, "failed"),
        ("s2d", 2, "incomplete"),
        ("s2d", 3, "missing"),
        ("s2d", 4, "unreadable"),
        ("s3d", 0, "refused"),
    ]
    assert [c.command.removeprefix("python -m bench experiment=x ") for c in found] == [
        "",
        "seed=1 rerun=failed",
        "seed=2",
        "seed=3",
        "seed=4 rerun=all",
        "",
    ]
    assert found[1].reason == "diverged at epoch 3"
    assert "2 of 4 stages" in found[2].reason
    assert "schema 0" in found[4].reason


def test_without_an_experiment_what_is_there_is_all(tmp_path: Path) -> None:
    put(tmp_path, record(options("s2d", 0)))
    begin(tmp_path, options("s2d", 1))
    found = cells(read(tmp_path), "elsewhere")
    assert [c.state for c in found] == ["done", "incomplete"]
    assert "runs_dir=elsewhere" in found[1].command


def test_what_is_no_run_is_left_out_by_name(tmp_path: Path) -> None:
    put(tmp_path, record(options()))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "yaml").mkdir()
    (tmp_path / "yaml" / "config.yaml").write_text("a: [")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "run.json").write_text("[1]")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "run.json").write_text("[" * 100_000)
    (tmp_path / ".sweep").mkdir()
    (tmp_path / "seeds").mkdir()
    found = read(tmp_path)
    assert len(found.records) == 1
    assert not found.unfinished
    assert {one.name for one in found.left_out} == {"notes.txt", "empty", "yaml", "list", "deep"}


@pytest.mark.parametrize("content", [b"", b'{"schema": 1, "sta', b"\xff\xfe", b"\0" * 100])
def test_a_torn_record_is_named_and_its_run_counts_as_unfinished(tmp_path: Path, content: bytes) -> None:
    folder = begin(tmp_path, options())
    (folder / "run.json").write_bytes(content)
    found = read(tmp_path)
    assert [one.name for one in found.left_out] == [folder.name]
    assert [cell.state for cell in cells(found, str(tmp_path))] == ["incomplete"]


def broken(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """A record with something wrong in it."""
    made: dict[str, Any] = json.loads(json.dumps(record(options())))
    change(made)
    return made


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r.update(schema=2), "schema 2"),
        (lambda r: r.pop("schema"), "schema None"),
        (lambda r: r.pop("stages"), "stages: expected a list"),
        (lambda r: r.update(stages=[]), "there are none"),
        (lambda r: r["stages"][1].pop("params"), "stages[1].params: missing"),
        (lambda r: r["stages"][1].update(macs="many"), "stages[1].macs: expected a number"),
        (lambda r: r["stages"][2].update(test_accuracy=float("nan")), "stages[2].test_accuracy: not a finite"),
        (lambda r: r["stages"][2].update(test_accuracy=None, val_loss=None), "stages[2].val_loss: missing"),
        (lambda r: r["stages"][2].update(test_accuracy=None), "accuracies at some"),
        (lambda r: r["stages"][1]["growth"].update(splits=None), "stages[1].growth.splits: missing"),
        (lambda r: r["stages"][1].update(params=0), "stages[1].params: expected at least 1"),
        (lambda r: r["stages"].pop(0), "not numbered"),
        (lambda r: r.update(status="running"), "status 'running'"),
        (lambda r: r.update(seed="0"), "seed: expected a number"),
        (lambda r: r["config"].pop("train"), "config.train: missing"),
        (lambda r: r.update(environment=None), "environment: missing"),
        (lambda r: r.update(id="0" * 16), "its configuration has the id"),
    ],
)
def test_a_record_that_lacks_something_is_left_out_with_the_fields_name(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    folder = Run(tmp_path, options()).folder
    folder.mkdir()
    (folder / "run.json").write_text(signed(broken(change)))
    found = read(tmp_path)
    assert not found.records
    assert reason in found.left_out[0].reason


def test_a_changed_record_is_told_by_its_checksum(tmp_path: Path) -> None:
    put(tmp_path, record(options()))
    path = next(tmp_path.glob("*/run.json"))
    path.write_text(path.read_text().replace('"lr": 0.05', '"lr": 0.06'))
    assert "sha256" in read(tmp_path).left_out[0].reason


def test_the_same_run_twice_counts_once(tmp_path: Path) -> None:
    put(tmp_path, record(options()))
    folder = next(tmp_path.iterdir())
    copy = tmp_path / "zz-copy"
    copy.mkdir()
    (copy / "run.json").write_bytes((folder / "run.json").read_bytes())
    found = read(tmp_path)
    assert len(found.records) == 1
    assert found.left_out[0].reason == f"the same run as {folder.name}"
