"""``growth-bench``: which command is meant, and what it is given."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.metadata import version

import pytest

from bench import cli, script


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "0")  # put back at the end, whatever the script sets


def type_in(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["growth-bench", *arguments])
    script.main()


@pytest.mark.parametrize(
    ("arguments", "module", "given"),
    [
        ([], "bench.cli", []),
        (["method=s3d"], "bench.cli", ["method=s3d"]),
        (["run", "method=s3d"], "bench.cli", ["method=s3d"]),
        (["-m", "seed=0,1"], "bench.cli", ["-m", "seed=0,1"]),
        (["sweep", "seed=0,1"], "bench.cli", ["-m", "seed=0,1"]),
        (["~experiment"], "bench.cli", ["~experiment"]),
        (["--version"], "bench.cli", ["--version"]),
        (["report", "--help"], "bench.report.__main__", ["--help"]),
        (["status", "seed=0"], "bench.status", ["seed=0"]),
        (["inspect"], "bench.inspect", []),
        (["check", "method=s2d"], "bench.check", ["method=s2d"]),
        (["speed", "repeats=1"], "bench.speed.__main__", ["repeats=1"]),
    ],
)
def test_the_command_that_is_meant(
    arguments: list[str], module: str, given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(importlib.import_module(module), "main", lambda: seen.append(sys.argv[1:]))
    type_in(monkeypatch, *arguments)
    assert seen == [given]
    assert os.environ["PYTHONSAFEPATH"] == "1"


def test_its_help_lists_the_commands(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    type_in(monkeypatch, "--help")
    shown = capfd.readouterr().out
    for name, command in script.COMMANDS.items():
        assert f"  {name:9} {command.about}\n" in shown


def test_an_unknown_command_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"^error: reprot: no such command; .*\(did you mean report\?\)$"):
        type_in(monkeypatch, "reprot", "out=report")


@pytest.mark.parametrize("command", [(), ("run",), ("report",), ("status",), ("inspect",), ("speed",)])
def test_the_version_is_ours(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    type_in(monkeypatch, *command, "--version")
    assert capfd.readouterr().out.startswith(f"growth-bench {version('growth-bench')}")


def test_the_module_says_the_same(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--version"])
    cli.main()
    assert capfd.readouterr().out.startswith(f"growth-bench {version('growth-bench')}")
