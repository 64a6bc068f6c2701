"""What no run writes is named and left out by every command, and none waits for it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import status
from bench.core.record import checksum
from bench.report.frame import frame
from bench.report.read.folder import read
from tests.bench.report.synthetic import options, put, record


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    def late(*_: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(100)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def signed(path: Path, **changes: Any) -> None:
    """A record with other content, and the checksum of that."""
    content = {**record(options("s2d", 1)), **changes}
    content = json.loads(json.dumps(content))
    content.pop("sha256", None)
    path.write_text(json.dumps({**content, "sha256": checksum(content)}))


def stages(**changes: Any) -> list[dict[str, Any]]:
    """The record's stages, of which the last is another."""
    found: list[dict[str, Any]] = record(options("s2d", 1))["stages"]
    return [*found[:-1], {**found[-1], **changes}]


def nested(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(depth):
        made = {"a": made}
    return made


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "not a regular file"),
    "folder": (os.mkdir, "not a regular file"),
    "future": (lambda path: signed(path, schema=2), "schema 2; this version reads schema 1"),
    "status": (lambda path: signed(path, status="paused"), "status: "),
    "huge": (lambda path: signed(path, stages=stages(epochs=10**18)), "stages"),
    "large": (lambda path: signed(path, stages=stages(costs={"params": 1e200, "macs": 3})), "costs.params"),
    "negative": (lambda path: signed(path, stages=stages(seconds={"train": -5, "grow": 0})), "seconds.train"),
    "endless": (lambda path: path.write_text('{"schema": ' + "9" * 5000 + "}"), "run.json is no JSON"),
    "deep": (lambda path: signed(path, config={**options("s2d", 1), "x": nested(100)}), "nested"),
    "deeper": (lambda path: path.write_text('{"schema": 1, "a": ' + "[" * 900 + "]" * 900 + "}"), ""),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_record_is_named_and_left_out(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make, reason = ODD[kind]
    runs = tmp_path / "runs"
    put(runs, record(options("s2d", 0)))
    (runs / "odd").mkdir()
    make(runs / "odd" / "run.json")
    found = read(str(runs))
    (left,) = found.left_out
    assert left.name == "odd"
    assert reason in left.reason
    assert "\n" not in left.reason
    assert len(found.cells) == 1
    assert set(frame(runs)["method"]) == {"s2d"}


@pytest.mark.parametrize("name", ["config.yaml", "stages.jsonl", ".lock"])
def test_a_pipe_in_a_runs_folder_is_not_waited_for(name: str, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    put(runs, record(options("s2d", 0)))
    (runs / "odd").mkdir()
    os.mkfifo(runs / "odd" / name)
    os.mkfifo(runs / "loose")
    assert {left.name for left in read(str(runs)).left_out} == {"odd", "loose"}


def test_status_says_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["status", "seed=0"])
    status.main()
    from bench.grid import cells

    (cell,) = cells(["seed=0"])
    cell.folder.path.mkdir(parents=True)
    os.mkfifo(cell.folder.record_path)
    capfd.readouterr()
    status.main()
    shown = capfd.readouterr().out
    assert "unreadable: python -m bench seed=0: run.json: not a regular file" in shown
