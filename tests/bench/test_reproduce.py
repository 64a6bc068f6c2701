"""``python -m bench.reproduce``: a folder made here comes out again, and what is not as it says is found."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from bench.core.errors import BenchError
from bench.core.record import RunRecord
from bench.grid import cells
from bench.report.__main__ import report
from bench.report.read.arguments import parse
from bench.reproduce import __main__ as command
from bench.reproduce.__main__ import ReproduceConfig, drawn
from bench.reproduce.compare import FLOOR, WIDTHS, band, compare
from bench.reproduce.stored import Stage, Stored, stored
from bench.run.cell import Cell
from bench.run.command import run
from bench.study.layout import done, layouts
from bench.study.page import Answer
from bench.study.question import read
from bench.study.write import write

Edit = Callable[[str], str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Cell]]:
    """A folder of runs, a study's and a report's folder made of it, and the cells."""
    place = tmp_path_factory.mktemp("made")
    sweep = ["experiment=study/sign_digits", "method=s3d,s2d", "method.c=3", "seed=0,1", f"runs_dir={place / 'runs'}"]
    for cell in cells([*sweep, "growth.stages=2"]):
        run(cell.options, quiet=True)
    found = cells([*sweep, "growth.stages=2"])
    write(Answer(read("sign_digits"), layouts(read("sign_digits"), found)), place / "study")
    report(parse([f"runs_dir={place / 'runs'}", f"out={place / 'report'}"]))
    return place, found


@pytest.fixture
def folder(made: tuple[Path, list[Cell]], tmp_path: Path) -> Path:
    """A copy of the study's folder."""
    copytree(made[0] / "study", tmp_path / "study")
    return tmp_path / "study"


def edit(path: Path, change: Edit) -> None:
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.reproduce", *arguments])
    command.main()


def of(folder: Path, made: tuple[Path, list[Cell]]) -> list[tuple[Stored, RunRecord]]:
    """The stored runs beside the records that they are of."""
    records = {cell.id: record for cell in made[1] if (record := done(cell))}
    return [(one, records[one.row["id"]]) for one in stored(folder)]


def test_a_study_comes_out_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    kept = folder.parent / "kept"
    typed(monkeypatch, str(folder.parent), "cells=2", "seed=1", f"runs_dir={kept}")
    said = capfd.readouterr()
    assert "2 runs, the same kind of machine: sizes must be the same" in said.out
    verdicts = [line for line in said.out.splitlines() if "3 stages, 12 scores" in line]
    assert [line.rstrip(" │").endswith("the same") for line in verdicts] == [True, True]
    assert said.out.count("3 stages, 12 scores") == 2
    assert re.findall(r"^(\d) of 2: sign_digits: s[23]d", said.err, re.MULTILINE) == ["1", "2"]
    assert len(list(kept.glob("digits-*/run.json"))) == 2


def test_a_report_comes_out_again(
    made: tuple[Path, list[Cell]], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, str(made[0] / "report"), "cells=1")
    assert "1 run, the same kind of machine" in capfd.readouterr().out
    runs = stored(made[0] / "report")
    assert {one.name for one in runs} == {f"data: {method} 0.01 seed {s}" for method in ("s2d", "s3d") for s in (0, 1)}
    assert {len(one.alike) for one in runs} == {2}


def test_a_tampered_number_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    one = drawn(ReproduceConfig(str(folder), cells=1))[0]
    loss = f"{one.stages[-1].numbers['test_loss']:g}"
    edit(folder / "sign_digits" / "stages.csv", lambda text: text.replace(loss, f"{float(loss) * 1.001:g}"))
    with pytest.raises(SystemExit, match=r"^error: 1 of 1 run did not come out as the folder says$"):
        typed(monkeypatch, str(folder), "cells=1")
    said = capfd.readouterr().out
    assert re.search(r"differs", said)
    assert re.search(rf"test_loss \S+ at rung 2, now {re.escape(loss)} \(allowed: ", said)


@pytest.mark.parametrize("name", ["params", "macs", "val_accuracy", "test_accuracy", "val_loss", "test_loss"])
def test_each_number_is_compared(name: str, folder: Path, made: tuple[Path, list[Cell]]) -> None:
    for one, record in of(folder, made):
        assert not compare(one, record).wrong
        for rung, stage in enumerate(one.stages):
            numbers = {**stage.numbers, name: stage.numbers[name] + (1 if name in ("params", "macs") else 1e-4)}
            changed = [*one.stages[:rung], replace(stage, numbers=numbers), *one.stages[rung + 1 :]]
            (wrong,) = compare(replace(one, stages=changed), record).wrong
            assert re.match(rf"{name} \S+ at rung {rung}, now ", wrong)


def test_widths_stages_and_missing_numbers_are_compared(folder: Path, made: tuple[Path, list[Cell]]) -> None:
    one, record = of(folder, made)[0]
    (wrong,) = compare(replace(one, stages=[replace(one.stages[0], widths="1:5 3:4"), *one.stages[1:]]), record).wrong
    assert wrong == "widths 1:5 3:4 at rung 0, now 1:4 3:4"
    elsewhere = [{"torch": "1.0", "python": "3", "device": "cpu", "threads": "1"}]
    for machines in (one.machines, elsewhere):
        assert compare(replace(one, stages=one.stages[:-1], machines=machines), record).wrong == ["2 stages, now 3"]
    record.config["growth"]["cost"] = "latency"  # whose ladder is the machine's
    assert compare(replace(one, stages=one.stages[:-1], machines=elsewhere), record).wrong == []
    record.config["growth"]["cost"] = "params"
    assert compare(replace(one, stages=[]), record).wrong == ["its stages are not in the table"]
    fewer = {name: value for name, value in one.stages[0].numbers.items() if name != "test_loss"}
    lacking = replace(one, stages=[replace(one.stages[0], numbers=fewer), *one.stages[1:]])
    assert compare(lacking, record).wrong == ["test_loss at rung 0: there once only"]


def shifted(stages: Sequence[Stage], by: float) -> list[Stage]:
    return [replace(s, numbers={**s.numbers, "test_accuracy": s.numbers["test_accuracy"] + by}) for s in stages]


def test_on_another_machine_numbers_lie_within_a_band_and_fixed_sizes_agree(
    folder: Path, made: tuple[Path, list[Cell]]
) -> None:
    one, record = of(folder, made)[0]
    other = replace(one, machines=[{**one.machines[0], "device": "cpu (another)"}])
    allowed = [band("test_accuracy", 0.5, [own[rung] for own in one.alike]) for rung in range(3)]
    verdict = compare(replace(other, stages=shifted(one.stages, 0.9 * min(allowed))), record)
    assert not verdict.wrong
    assert re.fullmatch(r"device cpu \(another\), here cpu .*", verdict.kind)
    assert len(compare(replace(other, stages=shifted(one.stages, 1.1 * max(allowed))), record).wrong) == 3
    wider = [*one.stages[:-1], replace(one.stages[-1], widths="1:50 3:40")]
    assert compare(replace(other, stages=wider, alike=[wider, wider]), record).wrong
    assert not compare(replace(other, stages=wider, alike=[wider, one.stages]), record).wrong  # not the same for all
    assert compare(replace(one, machines=[]), record).kind == "the folder has no environment.csv"


def test_a_band_is_the_spread_over_seeds() -> None:
    alike = [Stage(0, {"test_accuracy": value, "test_loss": 1.0}, "") for value in (0.5, 0.6, 0.7)]
    assert band("test_accuracy", 0.5, alike) == pytest.approx(0.1 * WIDTHS)
    assert band("test_accuracy", 0.5, alike[:1]) == FLOOR["accuracy"]
    assert band("test_loss", 2.0, alike) == pytest.approx(2 * FLOOR["loss"])


def test_the_draw_is_by_its_seed_and_more_than_there_are_means_all(folder: Path) -> None:
    names = [[one.row["id"] for one in drawn(ReproduceConfig(str(folder), 2, seed))] for seed in range(8)]
    assert names == [[one.row["id"] for one in drawn(ReproduceConfig(str(folder), 2, seed))] for seed in range(8)]
    assert len(set(map(tuple, names))) > 1
    assert len(drawn(ReproduceConfig(str(folder), 100))) == 4


def test_a_run_that_fails_now_is_a_difference_and_missing_data_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = folder / "sign_digits" / "runs.csv"
    edit(runs, lambda text: text.replace("train.epochs=3", "train.lr=1e12"))
    with pytest.raises(SystemExit, match="1 of 1 run did not"):
        typed(monkeypatch, str(folder), "cells=1")
    assert "training loss became nan" in capfd.readouterr().out
    edit(runs, lambda text: text.replace("train.lr=1e12", "train.epochs=3"))
    edit(runs, lambda text: text.replace("data=digits", "data=mnist data.download=false", 1))
    monkeypatch.setattr(command, "done_again", lambda cell: pytest.fail("a run was begun"))
    with pytest.raises(
        SystemExit, match=rf"^error: data=mnist: no readable files in data.root={tmp_path}/no .*run once"
    ):
        typed(monkeypatch, str(folder), "cells=9", f"data.root={tmp_path}/no")


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("growth.nonesuch=3", r"growth\.nonesuch: no such option; expected one of growth\.stages, "),
        ("train.lr=-1", r"train\.lr=-1\.0: expected a finite number above 0$"),
        ("method=nobody", r"method=nobody: expected one of compose, "),
        ("--help", ""),
        ("'$(ls)'", ""),
    ],
)
def test_a_command_that_cannot_be_begun_is_told_before_any_is(
    option: str, reason: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "done_again", lambda cell: pytest.fail("a run was begun"))
    place = folder / "sign_digits"
    edit(place / "runs.csv", lambda text: re.sub(r"(python -m bench .*)", rf"\1 {option}", text, count=1))
    with pytest.raises(
        SystemExit, match=rf"^error: {place}: command=python -m bench .*{re.escape(option)}: {reason}"
    ) as raised:
        typed(monkeypatch, str(folder), "cells=9")
    assert "\n" not in str(raised.value)


def test_what_was_compared_before_it_is_stopped_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    again, begun = command.done_again, list[Cell]()

    def stopped(cell: Cell) -> RunRecord:
        begun.append(cell)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return again(cell)

    monkeypatch.setattr(command, "done_again", stopped)
    with pytest.raises(SystemExit, match=r"^error: stopped after 1 of 4 runs; the same command begins anew$"):
        typed(monkeypatch, str(folder), "cells=4")
    assert "the same" in capfd.readouterr().out


def test_a_folder_for_runs_that_cannot_be_written_is_told_before_any_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "done_again", lambda cell: pytest.fail("a run was begun"))
    (tmp_path / "file").touch()
    with pytest.raises(
        SystemExit, match=r"^error: cannot write to .*file/runs: Not a directory; expected a folder that"
    ):
        typed(monkeypatch, str(folder), f"runs_dir={tmp_path / 'file' / 'runs'}")


def test_a_table_of_a_spreadsheet_is_read_and_a_rung_that_lacks_is_told(folder: Path) -> None:
    before, stages = stored(folder), folder / "sign_digits" / "stages.csv"
    for name in ("runs.csv", "stages.csv"):
        path = folder / "sign_digits" / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert stored(folder) == before
    text = stages.read_text(encoding="utf-8-sig")
    first = before[0].row["id"]
    stages.write_text(text.replace(f"\n{first},1,", f"\n{first},0,"))
    with pytest.raises(BenchError, match=rf"stages.csv: run {first}: rungs 0, 0, 2; expected each from 0 to 2$"):
        stored(folder)


def test_runs_without_commands_are_said_to_be_left_out(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    edit(folder / "sign_digits" / "runs.csv", lambda text: re.sub(r"python -m bench method=s2d.*", "", text))
    assert len(drawn(ReproduceConfig(str(folder)))) == 2
    assert capfd.readouterr().err == "2 of 4 runs left out, for which the tables have no command\n"


def test_a_command_that_is_none_of_ours_is_not_run(folder: Path, made: tuple[Path, list[Cell]]) -> None:
    one = of(folder, made)[0][0]
    for wrong in ("rm -r x", "python -m other", "python -m bench seed=0,1", "python -m 'bench"):
        with pytest.raises(BenchError, match=rf"command={wrong}: expected "):
            command.cell_of(replace(one, row={**one.row, "command": wrong}), folder, "data")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], r"^error: folder=nowhere: expected a folder by bench.study or bench.report$"),
        (["."], r"^error: folder=\.: expected one with finished runs and their commands \(runs.csv and stages.csv\)$"),
        ([".", "cells=0"], r"^error: cells=0: expected a number of at least 1$"),
        ([".", "cells=two"], r"^error: cells=two: expected a whole number$"),
        ([".", "seed=-1"], r"^error: seed=-1: expected a number of at least 0$"),
        ([".", "runs_dir=full"], r"^error: runs_dir=full: expected an empty folder, or one that is not there$"),
        ([".", "cell=2"], r"^error: cell: no such option; expected one of folder, cells, .*\(did you mean cells\?\)$"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full" / "x").mkdir(parents=True)
    with pytest.raises(SystemExit, match=message):
        typed(monkeypatch, *arguments)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("runs.csv", lambda text: text.replace("state", "stat", 1), r"runs.csv: expected a column state$"),
        ("stages.csv", lambda text: text.replace(",330,", ",many,"), r"stages.csv: run \w+: could not convert"),
        ("stages.csv", lambda text: text.replace(",330,", ",,"), r"stages.csv: run \w+: could not convert"),
        ("stages.csv", lambda text: re.sub(r"0\.\d+", "nan", text), r"stages.csv: run \w+: expected a finite number"),
    ],
)
def test_a_damaged_table_is_one_line(
    name: str, change: Edit, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(folder / "sign_digits" / name, change)
    with pytest.raises(SystemExit, match=message):
        typed(monkeypatch, str(folder))


def test_its_help(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    typed(monkeypatch, "--help")
    assert "python -m bench.reproduce results/study " in capfd.readouterr().out
