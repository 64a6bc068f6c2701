"""Where each cell stands, the command that fills it, and what a runs folder may hold besides."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bench.core.identity import MACHINE, identity
from bench.core.options import CONF
from bench.core.record import RunState
from bench.core.store import is_locked
from bench.report.__main__ import report
from bench.report.read.arguments import parse
from bench.report.read.command import anywhere, overrides
from bench.report.read.folder import DIFFERENT, cells, read
from tests.bench.report.synthetic import begin, cell, ended, folder, old, options, put, record, signed


def resolved(*overrides: str) -> dict[str, Any]:
    """The options of a command line."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        found = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


@pytest.mark.parametrize(
    "typed",
    [
        ["method=s3d"],
        ["method=s2d", "data=mnist", "backbone=lenet", "seed=3", "data.root=/my data/a"],
        ["growth.epsilon=line_search", "growth.budget=20000", "method.c=2", "precision=bf16"],
        ["threads=1", "device=cpu"],
        ["train.milestones=[0.2,0.4]", "train.nesterov=true", "backbone.activation=relu", "growth.refresh_norm=3"],
    ],
)
def test_the_command_makes_the_same_run(typed: list[str], tmp_path: Path) -> None:
    original = resolved(*typed)
    place = str(tmp_path / "it's a run,s folder")
    words = overrides(original, place)
    again = resolved(*words)
    assert identity(again) == identity(original)
    assert again["runs_dir"] == place
    assert [again[key] for key in MACHINE] == [original[key] for key in MACHINE]
    assert len(words) < 11  # only what differs from the defaults
    put(tmp_path, ended(original, "failed", "diverged"))
    (found,) = cells(read(str(tmp_path)))
    assert shlex.split(found.remedy)[:3] == ["python", "-m", "bench"]
    assert shlex.split(found.remedy)[-2:] == [f"runs_dir={tmp_path}", "rerun=failed"]
    assert identity(resolved(*shlex.split(found.remedy)[3:])) == found.id


def test_a_finished_run_is_repeated_with_its_threads_but_where_that_were_another(tmp_path: Path) -> None:
    plain, typed = options("s2d", 0), {**options("s2d", 1), "threads": 4}
    latency = options("s2d", 2, growth={"cost": "latency"})
    for one, said in ((plain, ["threads=1"]), (typed, ["threads=4"]), (latency, [])):
        put(tmp_path / str(one["seed"]), record(one))
        (found,) = cells(read(str(tmp_path / str(one["seed"]))))
        words = shlex.split(anywhere(found.options, found.record))
        assert [word for word in words if word.startswith("threads")] == said
        assert identity(resolved(*words[3:])) == identity(resolved(*overrides(one, "results/runs")))


def test_states_of_an_experiments_cells(tmp_path: Path) -> None:
    put(tmp_path, record(options("s2d", 0)), ended(options("s2d", 1), "failed", "diverged at epoch 3"))
    put(tmp_path, ended(options("s3d", 0), "refused", "no convolution"), record(options("net2net", 9)))
    begin(tmp_path, options("s2d", 2), stages=2)
    damaged = {**record(options("s2d", 4)), "schema": 0}
    put(tmp_path, damaged)
    wanted = [cell(options("s2d", seed), tmp_path) for seed in range(5)]
    found = cells(read(str(tmp_path)), [*wanted, cell(options("s3d", 0), tmp_path)])
    assert [(c.name("method"), c.seed, c.state) for c in found] == [
        ("s2d", 0, "done"),
        ("s2d", 1, "failed"),
        ("s2d", 2, "interrupted"),
        ("s2d", 3, "missing"),
        ("s2d", 4, "unreadable"),
        ("s3d", 0, "refused"),
    ]
    typed = [c.remedy.removesuffix(" rerun=failed") for c in found]
    assert [t and shlex.split(t)[3:] for t in typed] == ["", *(list(c.overrides) for c in wanted[1:]), ""]
    assert [c.remedy.endswith("rerun=failed") for c in found] == [False, True, False, False, False, False]
    assert found[1].standing.reason == "diverged at epoch 3"
    assert found[2].standing.reason == "stages done: 2"
    assert "schema 0" in found[4].standing.reason


def test_a_run_that_goes_on_is_told_from_one_that_was_interrupted(tmp_path: Path) -> None:
    begin(tmp_path, options("s2d", 0), stages=1)
    path = folder(tmp_path, options("s2d", 0)).lock_path
    hold = "from filelock import FileLock; import sys\nwith FileLock(sys.argv[1]):\n print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold, path], stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_locked(path)
        (found,) = cells(read(str(tmp_path)))
        assert (found.state, found.standing.reason) == (RunState.RUNNING, "stages done: 1")
        holder.communicate("\n")
    (found,) = cells(read(str(tmp_path)))
    assert (found.state, found.standing.reason) == (RunState.INTERRUPTED, "stages done: 1")


def test_without_an_experiment_what_is_there_is_all(tmp_path: Path) -> None:
    put(tmp_path, record(options("s2d", 0)))
    begin(tmp_path, options("s2d", 1))
    found = cells(read(str(tmp_path)))
    assert [c.state for c in found] == ["done", "interrupted"]
    assert f"runs_dir={tmp_path}" in found[1].remedy


def test_records_of_the_first_version_are_read(tmp_path: Path) -> None:
    put(tmp_path / "old", old(options("s2d", 0)), old(options("static", 0)))
    put(tmp_path / "new", record(options("s2d", 0)), record(options("static", 0)))
    then, now = (cells(read(str(tmp_path / name))) for name in ("old", "new"))
    assert [c.state for c in then] == ["done", "done"]
    assert [c.id for c in then] == [c.id for c in now]
    for one, other in zip(then, now, strict=True):
        assert one.record
        assert other.record
        assert [stage.costs for stage in one.record.stages] == [stage.costs for stage in other.record.stages]
        assert [stage.test for stage in one.record.stages] == [stage.test for stage in other.record.stages]
        assert not one.record.layers
        assert not one.record.stages[0].history.train_loss


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
    found = read(str(tmp_path))
    assert [one.state for one in found.cells.values()] == ["done"]
    assert {one.name for one in found.left_out} == {"notes.txt", "empty", "yaml", "list", "deep"}


@pytest.mark.parametrize("content", [b"", b'{"schema": 1, "sta', b"\xff\xfe", b"\0" * 100])
def test_a_torn_record_is_named_and_its_run_counts_as_unreadable(tmp_path: Path, content: bytes) -> None:
    path = begin(tmp_path, options())
    (path / "run.json").write_bytes(content)
    found = read(str(tmp_path))
    assert [one.name for one in found.left_out] == [path.name]
    (torn,) = cells(found)
    assert torn.state == "unreadable"
    assert torn.remedy == torn.command


Change = Callable[[dict[str, Any]], object]

DEFECTS: list[tuple[Change, str]] = [
    (lambda r: r.update(schema=2), "schema 2"),
    (lambda r: r.pop("schema"), "schema None"),
    (lambda r: r.pop("stages"), "stages: missing"),
    (lambda r: r.update(stages={}), "stages: expected array, got object"),
    (lambda r: r.update(stages=[]), "stages: done, but there are none"),
    (lambda r: costs(r["stages"][1]).pop("params"), "stages[1]: costs.params: expected a number of at least 1"),
    (lambda r: costs(r["stages"][1]).update(macs="many"), "stages[1].costs[...]: expected int | float, got str"),
    (lambda r: costs(r["stages"][1]).update(params=0), "stages[1]: costs.params: expected a number of at least 1"),
    (lambda r: r["stages"][2].update(test_accuracy=float("nan")), "run.json is no JSON"),
    (lambda r: r["stages"][2].update(test_accuracy="good"), "stages[2].test_accuracy: expected float | null, got str"),
    (lambda r: r["stages"][2].update(test_accuracy=None, val_loss=None), "stages[2]: val_loss: missing"),
    (lambda r: r["stages"][2].update(test_accuracy=None), "stages: accuracies at some"),
    (lambda r: r["stages"][1]["growth"].update(splits=None), "stages[1].growth.splits: expected int, got null"),
    (lambda r: r["stages"].pop(0), "stages: not numbered"),
    (lambda r: r.update(status="running"), "status: expected one of done, refused, failed"),
    (lambda r: r.update(status="dune"), "status: invalid enum value 'dune'"),
    (lambda r: r.update(seed="0"), "seed: expected int, got str"),
    (lambda r: r["config"].pop("train"), "config.train: missing"),
    (lambda r: r.pop("environment"), "environment: missing"),
    (lambda r: r.update(environment=None), "environment: expected object, got null"),
    (lambda r: r.update(id="0" * 16), "its configuration has the id"),
]


def costs(stage: dict[str, Any]) -> dict[str, Any]:
    """Where a stage has its costs: the first version's in the stage itself."""
    found: dict[str, Any] = stage.get("costs", stage)
    return found


@pytest.mark.parametrize("made", [record, old])
@pytest.mark.parametrize(("change", "reason"), DEFECTS, ids=[reason for _, reason in DEFECTS])
def test_a_record_that_lacks_something_is_left_out_with_the_fields_name(
    tmp_path: Path, made: Callable[[dict[str, Any]], dict[str, Any]], change: Change, reason: str
) -> None:
    broken = json.loads(json.dumps(made(options())))
    change(broken)
    path = folder(tmp_path, options()).path
    path.mkdir()
    (path / "run.json").write_text(signed(broken))
    found = read(str(tmp_path))
    assert not found.cells
    assert found.left_out[0].reason.startswith(reason) or reason in found.left_out[0].reason.partition(": ")[2]


def test_losses_and_layers_are_checked_too(tmp_path: Path) -> None:
    for seed, (key, value) in enumerate({"layers": {"1": 2}, "stages": "none"}.items()):
        put(tmp_path, {**record(options("s2d", seed)), key: value})
    torn = record(options("s2d", 2))
    torn["stages"][1]["history"]["train_loss"][0] = "low"
    put(tmp_path, torn)
    reasons = [one.reason for one in read(str(tmp_path)).left_out]
    assert reasons == [
        "layers[...]: expected str, got int",
        "stages: expected array, got str",
        "stages[1].history.train_loss[0]: expected float, got str",
    ]


def test_a_changed_record_is_told_by_its_checksum(tmp_path: Path) -> None:
    put(tmp_path, record(options()))
    path = next(tmp_path.glob("*/run.json"))
    path.write_text(path.read_text().replace('"lr": 0.05', '"lr": 0.06'))
    assert "sha256" in read(str(tmp_path)).left_out[0].reason


def test_the_same_run_twice_counts_once(tmp_path: Path) -> None:
    put(tmp_path, record(options()))
    path = next(tmp_path.iterdir())
    copy = tmp_path / "zz-copy"
    copy.mkdir()
    (copy / "run.json").write_bytes((path / "run.json").read_bytes())
    found = read(str(tmp_path))
    assert len(found.cells) == 1
    assert found.left_out[0].reason == f"the same run as {path.name}"


def test_folders_of_several_machines_are_one_and_what_differs_is_said(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    put(here, record(options("s2d", 0)), record(options("s2d", 1)))
    begin(here, options("s2d", 2))
    put(there, *(record(options("s2d", seed)) for seed in (1, 2, 3)))
    found = read(str(here), str(there))
    assert [(one.seed, one.state) for one in cells(found)] == [(seed, "done") for seed in range(4)]
    assert {one.reason.partition(" as ")[0] for one in found.left_out} == {"the same run"}
    assert not any(one.reason.endswith(DIFFERENT) for one in found.left_out)
    put(there, record(options("s2d", 1), score=lambda *_: 0.25))
    found = read(str(here), str(there))
    different = [one.name for one in found.left_out if one.reason.endswith(DIFFERENT)]
    assert different == [str(folder(here, options("s2d", 1)).path)]
    counted = next(one for one in cells(found) if one.seed == 1)
    assert counted.record is not None
    assert counted.record.stages[-1].test == 0.25
    lines = report(parse([f"runs_dir='{here}','{there}'", f"out={tmp_path / 'out'}"]))
    (line,) = (line for line in lines if "newer" in line)
    assert line.endswith("with other numbers; the newer one counts.")
