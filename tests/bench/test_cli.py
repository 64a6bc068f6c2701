"""What a user types, and the one line that answers a mistake."""

from __future__ import annotations

import importlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bench import check, cli, inspect
from bench.core.errors import BenchError
from bench.core.options import as_typed
from bench.grammar import parsed, plain_values, quoted
from bench.methods import registry

SHORT = ["train.epochs=1", "train.seed_epochs=1", "growth.stages=1", "growth.sample=64"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def type_in(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    cli.main()


def test_a_run_prints_its_table_and_is_not_done_twice(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    type_in(monkeypatch, "method=s2d", *SHORT)
    first = capfd.readouterr()
    (path,) = tmp_path.glob("results/runs/*/run.json")
    stamp = path.stat().st_mtime_ns
    for word in ("parameters", "multiply-adds", "test %", "predicted", "measured", "train s", "grow s", str(path.name)):
        assert word in first.out
    assert [line.partition(":")[0] for line in first.err.splitlines()] == ["s2d", "s2d stage 0", "s2d stage 1"]
    type_in(monkeypatch, *SHORT[::-1], "method=s2d")
    assert "done already" in capfd.readouterr().out
    assert path.stat().st_mtime_ns == stamp
    assert {p.name for p in tmp_path.iterdir()} == {"results"}


def test_a_finished_run_is_skipped_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, *SHORT)
    code = "import sys; from bench.cli import main; main(); sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    again = subprocess.run([sys.executable, "-c", code, *SHORT], env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "done already" in again.stdout


def test_rerun_all_does_it_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    type_in(monkeypatch, *SHORT)
    (path,) = tmp_path.glob("results/runs/*/run.json")
    before = path.stat().st_mtime_ns
    type_in(monkeypatch, *SHORT, "rerun=all")
    assert path.stat().st_mtime_ns > before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["method=s4d"], r"error: method=s4d: expected one of compose, .*\(did you mean s3d\?\)"),
        (["bakbone=mlp"], r"error: bakbone: no such option; expected one of method, .*\(did you mean backbone\?\)"),
        (["train.epoch=1"], r"error: train\.epoch: no such option; .*\(did you mean train\.epochs\?\)"),
        (["method=s2d", "method.c=1"], r"error: method\.c: no such option; expected one of method\.name, method\.rank"),
        (["method.c=0.5"], r"error: method\.c=0\.5: expected a number of at least 1"),
        (["method.c=high"], r"error: method\.c=high: expected a number$"),
        (["backbone.width=0"], r"error: backbone\.width=0: expected"),
        (["backbone.activation=step"], r"error: backbone\.activation=step: expected .*silu"),
        (["backbone=rbf"], r"error: backbone=rbf: expected"),
        (["data=mnist", "data.download=false"], r"error: data=mnist: .*data\.root"),
        (["what is this"], r"error: cannot read the argument 'what is this': expected OPTION=VALUE"),
        (["data=file:a=b.npz"], r"error: data=file:a=b\.npz: cannot be .* as in \"data='file:a=b\.npz'\"$"),
        (["data=file:a(1).npz"], r"error: data=file:a\(1\)\.npz: cannot be .* as in \"data='file:a\(1\)\.npz'\"$"),
        (['data=file:"a,b.npz"'], r"error: data=file:\"a,b\.npz\": cannot be .* as in \"data='file:a,b\.npz'\"$"),
        (["data=folder:a'b"], r"error: data=folder:a'b: cannot be read"),
        (["data=file:a,b.npz"], r"error: data=file:a,b\.npz: expected one value; .* as in \"data='file:a,b\.npz'\"$"),
        (["data='file:a,(b) c=[1].npz'"], r"error: data=file:a,\(b\) c=\[1\]\.npz: no such file"),
        (["method=3"], r"error: method=3: expected one name, as in method=NAME"),
        (["data=null"], r"error: data=null: expected one name, as in data=NAME"),
        (["growth=1.5e3"], r"error: growth=1\.5e3: expected one name"),
        (["~seed"], r"error: ~seed: no option can be taken away"),
        (["~train.epochs"], r"error: ~train\.epochs: no option can be taken away"),
        (["+method.x=1"], r"error: method\.x=1: expected one of c, cap, rank"),
        (["--resolve"], r"error: The --resolve flag can only"),
        (["--config-dir=/nowhere"], r"error: --config-dir=/nowhere: expected a folder"),
        (["hydra=3"], r"error: Config group override must be a string"),
        (["hydra.nothing=1"], r"error: hydra\.nothing: no such option; expected one of hydra\.run"),
        (["hydra/launcher=nothing"], r"error: hydra/launcher=nothing: expected one of basic"),
        (["train.epochs=1000000000000"], r"error: train\.epochs=1000000000000: expected"),
        (["train.batch_size=10000000"], r"error: train\.batch_size=10000000: expected"),
        (["growth.ratio=1e300"], r"error: growth\.ratio=1e\+300: expected"),
        (["backbone.width=1000000000"], r"error: backbone\.width=1000000000: expected"),
        (["checkpoint_seconds=inf"], r"error: checkpoint_seconds=inf: expected a finite number"),
        (["seed=" + "1" * 400], r"error: seed=a huge number: expected"),
        (["growth.sample=" + "[" * 40 + "1" + "]" * 40], r"error: growth\.sample.*nested at most"),
    ],
)
def test_a_mistake_is_one_line_and_a_failure(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=message) as caught:
        type_in(monkeypatch, *SHORT, *arguments)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert not list(Path("results").glob("runs/*/run.json"))


def test_a_failed_run_is_never_taken_for_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    for extra in ([], ["rerun=failed"]):
        with pytest.raises(SystemExit, match=r"^error: training loss became"):
            type_in(monkeypatch, *SHORT, "train.lr=1e12", *extra)
        with pytest.raises(SystemExit, match=r"^error: this run failed before: .*rerun=failed"):
            type_in(monkeypatch, *SHORT, "train.lr=1e12")


def test_a_sweep_with_a_bad_cell_is_not_begun(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        SystemExit, match=r"^error: method\.c=0\.5: expected .*; 2 of 4 runs cannot be begun, so none is$"
    ):
        type_in(monkeypatch, "-m", *SHORT, "method.c=2,0.5", "seed=0,1")
    assert capfd.readouterr() == ("", "")
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data=file:nope.npz"], r"data=file:nope\.npz: no such file below data\.root=\.; expected a file"),
        (["data=folder:nope"], r"data=folder:nope: no such folder below data\.root"),
        (["data=folder:."], r"data=folder:\.: there is no folder in "),
        (["data=import:nope:load"], r"data=import:nope:load: expected import:package\.module:function, a function"),
        (["data=import:os:nope"], r"data=import:os:nope: expected import:"),
        (["backbone=import:nope:net"], r"backbone=import:nope:net: expected import:package\.module:factory"),
    ],
)
def test_a_sweep_over_what_is_not_there_is_not_begun(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=rf"^error: {message}.*; 4 of 4 runs cannot be begun, so none is$"):
        type_in(monkeypatch, "-m", *SHORT, *arguments, "method=s2d,s3d", "seed=0,1")
    assert capfd.readouterr() == ("", "")
    assert not Path("results").exists()


def test_a_sweep_goes_on_past_a_run_that_fails(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2 of 4 runs failed"):
        type_in(monkeypatch, "-m", *SHORT, "train.lr=1e12,0.05", "seed=0,1")
    assert capfd.readouterr().err.count("training loss became") == 2
    assert len(list(Path("results").glob("runs/*/run.json"))) == 4


@pytest.mark.parametrize(
    ("swept", "message"),
    [
        ("threads=1,2", r"threads: cannot be swept over: .*identity"),
        ("device=cpu,auto", r"device: cannot be swept over"),
        ("runs_dir=a,b", r"runs_dir: cannot be swept over"),
        ("rerun=none,all", r"rerun: cannot be swept over"),
        ("logger=none,tensorboard", r"logger: cannot be swept over"),
        ("seed=range(2,2)", r"seed=range\(2,2\): no values to sweep over"),
        ("seed=range(0,1e12)", r"the sweep has more than 10,000 combinations"),
        ("hydra.launcher=1", r"hydra\.launcher=1: expected its options"),
        ("method=s2d,3", r"Config group override must be a string"),
    ],
)
def test_a_sweep_that_cannot_be_meant_is_one_line(
    swept: str, message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=f"^error: {message}"):
        type_in(monkeypatch, "-m", *SHORT, "method=s2d", swept)
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("module", "argument", "message"),
    [
        ("bench.inspect", "growth.cost=foo", r"growth\.cost=foo: expected one of"),
        ("bench.inspect", "train.lr=-1", r"train\.lr=-1"),
        ("bench.inspect", "method.c=0.5", r"method\.c=0\.5"),
        ("bench.check", "growth.cost=foo", r"growth\.cost=foo: expected one of"),
        ("bench.status", "growth.cost=foo", r"growth\.cost=foo: expected one of"),
        ("bench.status", "experiment=study/sign", r"experiment=study/sign: expected one of .*, study/sign_digits, "),
        ("bench.report.__main__", "experiment=smok", r"experiment=smok: expected one of .*, study/sign_digits, "),
        ("bench.status", "datta=mnist", r"datta: no such option; .*did you mean data\?"),
        ("bench.status", "method=s3dd", r"method=s3dd: expected one of .*did you mean s3d\?"),
        ("bench.report.__main__", "datta=mnist", r"datta: no such option; .*did you mean data\?"),
        ("bench.report.__main__", "method=s3dd", r"method=s3dd: expected .*did you mean s3d\?"),
        ("bench.report.__main__", "growth.foo=1", r"growth\.foo=1: no run has this option"),
    ],
)
def test_side_commands_check_their_options_as_a_run_does(
    module: str, argument: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("results/runs").mkdir(parents=True)
    monkeypatch.setattr(sys, "argv", [module, argument])
    with pytest.raises(SystemExit, match=f"^error: {message}"):
        importlib.import_module(module).main()


def test_another_process_at_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    type_in(monkeypatch, *SHORT)
    (folder,) = (p.parent for p in Path("results").glob("runs/*/run.json"))
    with FileLock(folder / ".lock"), pytest.raises(SystemExit, match="another process is at this run"):
        type_in(monkeypatch, *SHORT, "rerun=all")
    assert json.loads((folder / "run.json").read_text())["status"] == "done"


def test_a_new_file_in_methods_is_found_without_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its options come from its dataclass."""
    from dataclasses import dataclass

    from bench.methods.s2d import S2D

    @dataclass(frozen=True)
    class Config:
        rank: str = "gain"
        mine: int = 3

    registry.names()
    registry.register("mine", Config)(S2D)
    try:
        type_in(monkeypatch, *SHORT, "method=mine", "method.mine=4")
    finally:
        del registry._entries["mine"]
    (path,) = tmp_path.glob("results/runs/*-mine-*/run.json")
    assert json.loads(path.read_text())["config"]["method"] == {"name": "mine", "rank": "gain", "mine": 4}


@pytest.mark.parametrize("arguments", [[], ["backbone=lenet"], ["backbone=convnet"], ["backbone=rbf", "data=rbf"]])
def test_inspect_lists_what_can_be_split_and_what_not(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.inspect", *arguments])
    inspect.main()
    shown = capfd.readouterr().out
    assert "can be split" in shown
    assert "network output" in shown
    assert "% of the parameters in layers that can grow" in shown


@pytest.mark.parametrize("name", registry.names())
def test_check_passes_every_method(name: str) -> None:
    failed = [(rule, network, reason) for rule, network, reason in check.outcomes(name) if reason]
    assert not failed


def test_check_fails_with_the_reason_and_a_status(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from bench.methods.s2d import S2D

    def broken(self: S2D, context: object) -> object:
        raise BenchError("not today")

    monkeypatch.setattr(S2D, "propose", broken)
    monkeypatch.setattr(sys, "argv", ["bench.check", "method=s2d"])
    with pytest.raises(SystemExit, match="method=s2d breaks the rules"):
        check.main()
    assert "FAIL" in (shown := capfd.readouterr().out)
    assert "not today" in shown


@pytest.mark.parametrize(("module", "says"), [("inspect", "what can be split"), ("check", "rules"), ("speed", "parts")])
def test_every_command_has_help_of_its_own(
    module: str, says: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    command = importlib.import_module("bench.speed.__main__" if module == "speed" else f"bench.{module}")
    monkeypatch.setattr("sys.argv", [f"bench.{module}", "--help"])
    command.main()
    printed = capfd.readouterr().out
    assert printed.startswith(f"python -m bench.{module}")
    assert says in printed
    assert printed.endswith("It takes the options of a run: python -m bench --help\n")


ODD = ["a,b", "a=b", "a b(1)[2]{3}", "it's", "a$b,", "c:\\d,", "c:\\", "\\'", "~/x", "é!"]
TAKEN = ["3", "1e3", ".5", "null", "NaN", ""]


@pytest.mark.parametrize("value", [*ODD, *TAKEN, "a/b.c", "../x-1", "."])
def test_a_text_is_typed_as_it_is(value: str) -> None:
    (argument,) = shlex.split(quoted(f"data={value}"))
    for typed in (argument, f"data={as_typed(value)}"):
        (override,) = parsed([typed])
        assert (override.key_or_group, plain_values(override)) == ("data", [value])
