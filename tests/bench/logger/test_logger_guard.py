"""Whatever a logger raises, and whenever: the run goes on, and one line says so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bench.core.record import RunState
from bench.logger import guard as module
from bench.logger.base import Logger
from bench.logger.guard import Guard, NotHere
from tests.bench.logger.logger_helpers import execute, whole_record, whole_stage


@pytest.fixture(autouse=True)
def _nothing_said() -> Iterator[None]:
    module._said.clear()
    yield
    module._said.clear()


KINDS = ("on_stage_begin", "on_epoch_end", "on_stage_end", "on_run_end", "close")


class Loud(Logger):
    """A logger that writes down what it is told and raises at one kind of message."""

    def __init__(self, at: str = "") -> None:
        self.at, self.heard = at, list[str]()
        for kind in KINDS:
            setattr(self, kind, partial(self._hear, kind))
        self._raise_at("start")

    def _raise_at(self, kind: str) -> None:
        if kind == self.at:
            raise OSError(28, "No space left\non device")

    def _hear(self, kind: str, *said: object) -> None:
        self.heard.append(kind)
        self._raise_at(kind)


def tell(guard: Guard) -> None:
    stage = whole_stage()
    guard.on_stage_begin(0, 1, 2, 0)
    guard.on_epoch_end(0.5, 0.6)
    guard.on_epoch_end(0.4, 0.7)
    guard.on_stage_end(stage)
    guard.on_run_end(whole_record([stage]))


@pytest.mark.parametrize("at", ["start", *KINDS])
def test_a_failure_is_said_once_and_ends_the_logger(at: str, capsys: pytest.CaptureFixture[str]) -> None:
    made: list[Loud] = []

    def start() -> Loud:
        made.append(Loud(at))
        return made[-1]

    with Guard("loud", start) as guard:
        tell(guard)
    printed = capsys.readouterr()
    assert printed.err == "logger=loud: OSError: [Errno 28] No space left on device; the run goes on without it\n"
    assert not printed.out
    for logger in made:
        assert logger.heard[-1] == "close"
        assert logger.heard.count(at) == 1
    with Guard("loud", start) as guard:  # the next run of a sweep
        tell(guard)
    assert not capsys.readouterr().err


def test_all_is_told_and_the_logger_closed() -> None:
    logger = Loud()
    with Guard("loud", lambda: logger) as guard:
        tell(guard)
    tell(guard)
    assert logger.heard == [*KINDS[:2], *KINDS[1:]]


def test_ctrl_c_is_no_failure_of_the_logger() -> None:
    class Interrupted(Loud):
        def _hear(self, kind: str, *said: object) -> None:
            super()._hear(kind)
            if kind == "on_epoch_end":
                raise KeyboardInterrupt

    logger = Interrupted()
    with pytest.raises(KeyboardInterrupt), Guard("loud", lambda: logger) as guard:
        tell(guard)
    assert logger.heard == ["on_stage_begin", "on_epoch_end", "close"]


def test_a_long_reason_is_cut_and_a_plain_one_has_no_type() -> None:
    assert len(module.reason(ValueError("x" * 10_000))) < 400
    assert module.reason(NotHere("no account.")) == "no account"
    assert module.reason(ValueError()) == "ValueError"


def test_a_closed_standard_error_is_no_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = (tmp_path / "closed").open("w")
    file.close()
    monkeypatch.setattr(sys, "stderr", file)
    module.say("logger=loud: a line")


@pytest.mark.parametrize("name", ["wandb", "tensorboard"])
def test_a_package_that_is_not_installed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Missing:
        def find_spec(self, found: str, *_: object) -> None:
            if found.split(".")[0] == name:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for loaded in [m for m in sys.modules if m.split(".")[0] == name or m.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    for seed in (0, 1):
        folder, record = execute(tmp_path, f"logger={name}", f"seed={seed}")
        assert record.status is RunState.DONE
        assert not (folder.path / name).exists()
    package = "pip install wandb" if name == "wandb" else "pip install 'growth-bench[tensorboard]'"
    line = f"logger={name}: {name} is not installed ({package}); the run goes on without it\n"
    assert capsys.readouterr().err == line
