"""The command around a run: done once, never twice at once, and done again only where asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from bench.core.callbacks import Callback
from bench.core.errors import BenchError, Busy
from bench.core.record import RunState
from bench.core.registry import NoOptions
from bench.core.store import RunFolder
from bench.growth.method import GrowthContext, methods
from bench.network.plan import GrowthPlan, Split
from bench.run.cell import run_folder
from bench.run.command import run
from bench.run.config import Settings
from bench.run.protocol import Run
from tests.runs import options


def test_the_second_time_it_says_that_it_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = options(tmp_path, "growth.stages=1")
    first = run(chosen)
    assert "written: " in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert run(chosen) == first
    assert "done already: " in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    run(chosen, quiet=True)
    assert capsys.readouterr().out == ""


def test_a_method_without_a_step_is_run_once_for_all_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (options(tmp_path, "method=static", "growth.stages=1", f"growth.epsilon={e}") for e in (0.01, 1))
    assert run(first) == run(second)
    assert "done already: " in capsys.readouterr().out
    assert run_folder(first).path == run_folder(second).path
    assert len(list(tmp_path.glob("*/run.json"))) == 1


def test_a_run_that_another_process_finished_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = options(tmp_path)
    build = Run.__init__

    def while_another_finishes(self: Run, settings: Settings, folder: RunFolder, callback: Callback) -> None:
        build(self, settings, folder, callback)
        monkeypatch.undo()
        run(chosen)

    monkeypatch.setattr(Run, "__init__", while_another_finishes)
    seen: list[RunFolder] = []
    monkeypatch.setattr(RunFolder, "forget", lambda self: seen.append(self))
    record = run(chosen)
    assert not seen
    assert record == run_folder(chosen).record()


def test_two_processes_are_never_at_one_run(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    folder = run_folder(chosen)
    folder.path.mkdir(parents=True)
    with FileLock(folder.lock_path), pytest.raises(Busy, match="another process is at this run"):
        run(chosen)


def test_a_failed_run_is_done_again_only_where_asked(tmp_path: Path) -> None:
    chosen = options(tmp_path, "train.lr=1e12")
    with pytest.raises(BenchError, match=r"train\.lr"):
        run(chosen)
    path = run_folder(chosen).record_path
    written = path.stat().st_mtime_ns
    with pytest.raises(BenchError, match=r"this run failed before: .*rerun=failed tries again"):
        run(chosen)
    assert path.stat().st_mtime_ns == written
    with pytest.raises(BenchError, match=r"train\.lr"):
        run({**chosen, "rerun": "failed"})
    assert path.stat().st_mtime_ns > written
    assert run_folder(chosen).standing().state is RunState.FAILED


def test_all_is_done_again_where_asked(tmp_path: Path) -> None:
    chosen = options(tmp_path, "growth.stages=0")
    first = run(chosen)
    path = run_folder(chosen).record_path
    written = path.stat().st_mtime_ns
    again = run({**chosen, "rerun": "all"})
    assert path.stat().st_mtime_ns > written
    assert again.stages[0].test_loss == first.stages[0].test_loss


class Wandering:
    """Goes elsewhere, when it is made and whenever it is asked."""

    step = False

    def __init__(self, config: NoOptions) -> None:
        os.chdir(os.pardir)

    def propose(self, context: GrowthContext) -> GrowthPlan:
        os.chdir(os.pardir)
        fits = context.budget().fits(context.groups[0].name, 1)
        return GrowthPlan((Split(context.groups[0], 0, (0.5, 0.5)),) if fits else (), stopped="full")


@pytest.fixture
def wandering() -> Iterator[str]:
    """The name of a method that goes elsewhere."""
    methods.names()
    methods.register("wandering")(Wandering)
    yield "wandering"
    del methods._entries["wandering"]


def test_a_method_that_goes_elsewhere_leaves_runs_where_they_belong(
    wandering: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in (0, 1):
        chosen = options(Path("runs"), f"method={wandering}", "growth.stages=1", f"seed={seed}")
        run(chosen)
        assert f"written: {run_folder(chosen).record_path}" in capsys.readouterr().out
        assert run_folder(chosen).standing().state is RunState.DONE
        assert Path.cwd() == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert len(list(tmp_path.glob("runs/*/checkpoint.pt"))) == 2
