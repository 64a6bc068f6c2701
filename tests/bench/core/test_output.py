"""A closed or full standard output is one line and a failure, whatever is printed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.core.errors import BenchError, ConfigError, PlanError
from bench.core.output import note

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = {
    "a long text": ["-m", "bench", "--help"],
    "a short text": ["-m", "bench", "--version"],
    "another's help": ["-m", "bench.report", "--help"],
    "the script": ["-c", "import sys; sys.argv[1:] = ['--help']; from bench.script import main; main()"],
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("output", [">/dev/full", ">&-", "| true"])
def test_nowhere_to_print(command: str, output: str, tmp_path: Path) -> None:
    if output == "| true" and command != "a long text":
        pytest.skip("a short text may fit into the pipe")
    quoted = " ".join(f'"{word}"' for word in COMMANDS[command])
    late = "sleep 0.3; " if "|" in output else ""
    line = f"set -o pipefail; ({late}{sys.executable} {quoted}) {output}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.startswith("error: standard output")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("kind", [BenchError, PlanError, lambda text: ConfigError("data", text, "another")])
@pytest.mark.parametrize(
    ("named", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("two\r\nlines", r"two\r\nlines"),
        ("bell\x07, \x9b2J, \u202eright", r"bell\x07, \x9b2J, \u202eright"),
        ("not UTF-8 \udcff", r"not UTF-8 \udcff"),
        ("as it is: ä, 中, \\, ' and \"", "as it is: ä, 中, \\, ' and \""),
    ],
)
def test_no_name_writes_to_the_terminal(
    kind: Callable[[str], BenchError], named: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown in str(kind(named))
    assert str(kind(named)).isprintable()
    note(named)
    assert capsys.readouterr().err == f"{shown}\n"
