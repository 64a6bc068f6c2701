"""``python -m bench.study``: what it carries out, what it writes, and its mistakes as lines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.core.errors import BenchError
from bench.grid import cells
from bench.run.command import run
from bench.study import __main__ as command
from bench.study.__main__ import StudyConfig, Sweep, study


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two of the fifty runs of a question."""
    folder = tmp_path_factory.mktemp("runs")
    for cell in cells(["experiment=study/sign_digits", "method=s2d", "seed=0,1", f"runs_dir={folder}"]):
        run(cell.options, quiet=True)
    return folder


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.study", *arguments])
    command.main()


def test_what_is_on_disk_is_analysed_and_what_is_missing_said(
    two_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    typed(monkeypatch, "questions=sign_digits", "run=false", f"runs_dir={two_runs}", f"out={out}", "data.root=/nowhere")
    said = capfd.readouterr().out
    assert said == f"sign_digits: 2 of 50 runs done, 48 missing; written: {out / 'sign_digits'}\n"
    assert "| [sign_digits](sign_digits/README.md) | Do signed shares" in (out / "README.md").read_text()
    assert "2 of 50 runs done, " in (out / "sign_digits" / "README.md").read_text()


def test_a_question_without_runs_is_not_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    study(StudyConfig(("sign_digits",), False, str(tmp_path / "out"), str(tmp_path / "runs")))
    assert capfd.readouterr().out == "sign_digits: 0 of 50 runs done, 50 missing, so nothing is written\n"
    assert not (tmp_path / "out").exists()


def test_each_preset_is_swept_and_what_fails_is_analysed_all_the_same(
    two_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[list[str]] = []

    def carried_out(arguments: list[str]) -> SimpleNamespace:
        swept.append(arguments[1:])
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(command.subprocess, "run", carried_out)
    out = tmp_path / "out"
    with pytest.raises(BenchError, match=r"^not all runs of study/sign_digits are done; the same command goes on$"):
        study(StudyConfig(("sign_digits",), True, str(out), str(two_runs), "basic"))
    expected = ["-m", "bench", "-m", "experiment=study/sign_digits", f"runs_dir={two_runs}", "hydra/launcher=basic"]
    assert swept == [expected]
    assert (out / "sign_digits" / "runs.csv").exists()


def test_a_sweep_is_not_begun_where_all_is_done(two_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = cells(["experiment=study/sign_digits", "method=s2d", "seed=0,1", f"runs_dir={two_runs}"])
    monkeypatch.setattr(command.subprocess, "run", lambda arguments: pytest.fail("a sweep was begun"))
    assert Sweep(["experiment=study/sign_digits"], done).carry_out("basic") == ""


def test_data_are_looked_for_where_they_lie(tmp_path: Path) -> None:
    config = StudyConfig(runs_dir=str(tmp_path), root="/my data")
    assert config.sweep("study/sign_digits").arguments == ["experiment=study/sign_digits", f"runs_dir={tmp_path}"]
    fetched = config.sweep("s2d_cifar10")
    assert fetched.arguments == ["experiment=s2d_cifar10", f"runs_dir={tmp_path}", "data.root='/my data'"]
    assert {cell.id for cell in fetched.cells} == {cell.id for cell in cells(fetched.arguments)}


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("questions=[signs]", r"^error: questions=signs: expected one of .*sign_digits"),
        ("question=sign", r"^error: question: no such option; expected one of questions, .*mean questions\?\)$"),
        ("out=a_file", r"^error: out=a_file: expected a folder$"),
        ("runs_dir=a_file", r"^error: runs_dir=a_file: expected a folder$"),
        (
            "questions=kinks,sign",
            r"^error: questions=kinks,sign: expected one value; a list is typed questions=\[kinks,sign\], ",
        ),
        ("questions={a:b}", r"^error: .*questions"),
        ("questions=null", r"^error: questions=None: expected a list of texts, as in \[a,b\]$"),
        ("questions=[kinks,kinks]", r"^error: questions=\['kinks', 'kinks'\]: expected each name once$"),
        ("launcher=nothing", r"^error: launcher=nothing: expected one of basic, joblib, ray, "),
        (
            "runs_dir='a,b'",
            r"^error: runs_dir=a,b: expected one folder; several are for bench.status and bench.report$",
        ),
        ("run=maybe", r"^error: run=maybe: expected true or false$"),
    ],
)
def test_a_mistake_is_one_line(argument: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").touch()
    with pytest.raises(SystemExit, match=message):
        typed(monkeypatch, argument)
    assert [path.name for path in tmp_path.iterdir()] == ["a_file"]


def test_what_is_wrong_with_the_folder_for_answers_is_said_before_any_run(
    two_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command.subprocess, "run", lambda arguments: pytest.fail("a sweep was begun"))

    def refused(out: Path) -> str:
        with pytest.raises(BenchError) as raised:
            study(StudyConfig(("sign_digits",), True, str(out), str(two_runs), "basic"))
        return str(raised.value)

    (tmp_path / "a_file").touch()
    below = tmp_path / "a_file" / "below"
    assert refused(below) == f"cannot write to {below}: Not a directory; expected a folder that can be written"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("# My thesis\n")
    assert (
        refused(tmp_path / "mine")
        == f"out={tmp_path / 'mine'}: expected a folder of bench.study's own; its README.md is another's"
    )
    (tmp_path / "out" / "sign_digits").mkdir(parents=True)
    (tmp_path / "out" / "sign_digits" / "README.md").write_text("# Notes\n")
    assert refused(tmp_path / "out").endswith("sign_digits/README.md is another's")
    summary = tmp_path / "other" / "kinks" / "summary.csv"
    summary.parent.mkdir(parents=True)
    for content in (b"", b"question,asks\n", b"question,asks,runs,of,hours,main\n" + 2 * b"a,b,1,1,1,c\n", b"\xff\xfe"):
        summary.write_bytes(content)
        assert refused(tmp_path / "other").startswith(f"{summary} is damaged; ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_file", "mine", "other", "out"]


def test_an_answer_by_more_runs_stays(two_runs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, fewer = tmp_path / "out", tmp_path / "runs"
    study(StudyConfig(("sign_digits",), False, str(out), str(two_runs)))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    run(cells(["experiment=study/sign_digits", "method=s2d", "seed=0", f"runs_dir={fewer}"])[0].options, quiet=True)
    capfd.readouterr()
    study(StudyConfig(("sign_digits",), False, str(out), str(fewer)))
    expected = f"sign_digits: 1 of 50 runs done, 49 missing, so the answer by 2 runs stays: {out / 'sign_digits'}\n"
    assert capfd.readouterr().out == expected
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    study(StudyConfig(("sign_digits",), False, str(out), str(two_runs)))
    assert capfd.readouterr().out.endswith(f"written: {out / 'sign_digits'}\n")


TOLD_TO_END = """
import subprocess, sys
from bench.study.__main__ import _ending_together
with _ending_together():
    subprocess.run([sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"])
"""


def test_a_sweep_ends_with_the_command_that_began_it() -> None:
    with subprocess.Popen([sys.executable, "-c", TOLD_TO_END], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_its_help(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    typed(monkeypatch, "--help")
    assert "python -m bench.study run=false" in capfd.readouterr().out
