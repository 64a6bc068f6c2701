"""What a sweep shows while it runs, and how much of it is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import watch
from bench.core.record import RunState, Seconds
from bench.core.store import RunFolder
from bench.grid import cells
from bench.run.cell import Cell
from bench.run.forecast import work
from bench.status import work_left
from bench.watch import Watch, swept
from tests.runs import of_options, options


def cell(folder: Path, *overrides: str) -> Cell:
    """A cell of a runs folder."""
    chosen = options(folder, *overrides)
    return Cell(chosen, RunFolder(folder, chosen), overrides)


def times(*seconds: float) -> list[Seconds]:
    """Of stages that took so long."""
    return [Seconds(one, 0.0) for one in seconds]


@pytest.fixture
def four(tmp_path: Path) -> list[Cell]:
    """Two methods, two seeds, three stages each."""
    return [cell(tmp_path, f"method={m}", f"seed={s}") for m in ("s2d", "net2net") for s in (0, 1)]


def test_what_is_left_is_what_runs_of_the_same_method_took(four: list[Cell]) -> None:
    a, b, c, _ = four
    done = {a.id: RunState.DONE}
    found = work(four, {a.id: times(10, 2, 3)}, done)
    assert found.done == 15
    assert found.left == pytest.approx(3 * 5 + 10)  # three runs, and the other seed network, which they share
    slower = work(four, {a.id: times(10, 2, 3), c.id: times(10, 7, 13)}, {**done, c.id: RunState.DONE})
    assert slower.left == pytest.approx(5 + 20 + 10)
    failed = work(four, {a.id: times(10, 2, 3), b.id: times(10)}, {**done, b.id: RunState.FAILED})
    assert failed.left == pytest.approx(2 * 5)


def test_runs_at_work_tell_too(four: list[Cell]) -> None:
    a, *_ = four
    assert work(four, {}, {}).left is None
    assert work(four, {a.id: times(10)}, {}).left is None
    assert work(four, {a.id: times(10, 2)}, {}).left == pytest.approx(2 + 3 * 4 + 10)
    assert work(four, {}, {one.id: RunState.REFUSED for one in four}).left == 0.0


def test_each_run_is_shown_as_it_ends_whoever_did_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = [cell(tmp_path, f"seed={seed}", "growth.stages=1") for seed in (0, 1)]
    of_options(found[0].options).execute()
    assert found[0].record is not None
    with Watch(found, found[1:]):
        of_options(found[1].options).execute()
    shown = capfd.readouterr()
    assert shown.out.startswith("done: digits mlp s3d seed 1: 330 to ")
    assert (shown.out.count("\n"), shown.err) == (1, "")


def test_the_line_of_a_run_names_what_was_swept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    typed = [f"runs_dir={tmp_path}", "method=net2net,s3d", "method.c=2,3", "seed=0,1", "growth.stages=0"]
    found = cells([*typed, "train.seed_epochs=0", "train.lr=0.1,0.2", "threads=1"])
    assert {(one.name("method"), *swept(found)[one.id]) for one in found} == {
        *(("net2net", f"train.lr={lr}") for lr in (0.1, 0.2)),
        *(("s3d", f"method.c={c}", f"train.lr={lr}") for c in (2, 3) for lr in (0.1, 0.2)),
    }
    one = next(cell for cell in found if cell.seed == 1 and cell.name("method") == "s3d")
    with Watch(found, [one]):
        of_options(one.options).execute()
    said = " ".join(swept(found)[one.id])
    assert capfd.readouterr().out.startswith(f"done: digits mlp s3d seed 1 {said}: 330 to ")


def test_a_run_that_is_done_anew_is_not_taken_for_ended(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    one = cell(tmp_path, "growth.stages=0")
    of_options(one.options).execute()
    with Watch([one], [one]) as watched:
        watched._look()
        assert capfd.readouterr().out == ""
        one.folder.forget()
        of_options(one.options).execute()
    assert capfd.readouterr().out.startswith("done: ")


def test_a_log_has_a_line_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watch, "PAUSE", 0.0)
    found = [cell(tmp_path, f"seed={seed}") for seed in (0, 1, 2)]
    watched = Watch(found, found)
    for number, one in enumerate(found):
        of_options(one.options).execute()
        watched._look()
        watched._say()
        watched._say()
        line = capfd.readouterr().err
        assert line.startswith(f"{number + 1} of 3 runs, 0 running, about ")
        assert line.count("\n") == 1


def test_what_was_done_before_is_not_taken_for_this_sweeps_work(tmp_path: Path) -> None:
    one = cell(tmp_path, "seed=3")
    one.folder.path.mkdir()
    one.folder.stages_path.write_text('{"seconds": {"train": 7, "grow": 0}}\n{"seconds": {"train": 5, "grow": 1}}\n')
    watched = Watch([one], [one])
    assert watched.already == work([one], watched.spent, {}).done == 13
    assert work([one], watched.spent, {}).left == pytest.approx(6)


def test_what_cannot_be_printed_is_the_sweeps_to_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: Any) -> None:
        raise OSError(32, "Broken pipe")

    one = cell(tmp_path, "growth.stages=0")
    monkeypatch.setattr(watch, "summary", closed)
    with pytest.raises(OSError, match="Broken pipe"), Watch([one], [one]):
        of_options(one.options).execute()


def test_status_counts_stages_of_interrupted_runs(tmp_path: Path) -> None:
    found = [cell(tmp_path, f"seed={seed}") for seed in (0, 1)]
    assert work_left(found) is None
    of_options(found[0].options).execute()
    found = [cell(tmp_path, f"seed={seed}") for seed in (0, 1)]
    assert found[0].record is not None
    whole = work_left(found)
    assert whole == pytest.approx(found[0].record.seconds)
