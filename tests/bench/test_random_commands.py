"""A few of the command lines that ``python -m tests.random_commands`` draws, which does five hundred."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.random_commands import Ended, drawn, run


@pytest.mark.parametrize("number", range(20))
def test_no_traceback_and_never_silent(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name, arguments = drawn(2, number)
    ended = run(name, arguments)
    assert not ended.wrong(), f"{name} {shlex.join(arguments)}\n{ended.trace}{ended.errors}"


def test_the_script_notices_what_is_wrong() -> None:
    assert Ended(0, "", "", 1.0, 1.0).wrong() == ""
    assert Ended(1, "", "error: no", 1.0, 1.0).wrong() == ""
    assert Ended(1, "", "error: no", 1.0, 1.0, trace="Traceback").wrong() == "a traceback"
    assert Ended(1, "", "Traceback (most recent call last)", 1.0, 1.0).wrong() == "a traceback"
    assert Ended(0, "", "", 99.0, 40.0).wrong() == "40 s without a word"
    assert Ended(120, "", "x", 1.0, 1.0).wrong() == "exit status 120"
    assert Ended(1, "", "", 1.0, 1.0).wrong() == "exit status 1 without a word"
    assert Ended(1, "", "hm", 1.0, 1.0).wrong() == "no line says what is wrong"


def test_a_number_is_a_command_line() -> None:
    assert [drawn(0, number) for number in range(50)] == [drawn(0, number) for number in range(50)]
    assert len({str(drawn(0, number)) for number in range(500)}) > 450
