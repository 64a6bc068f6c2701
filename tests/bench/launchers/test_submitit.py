"""In a job: what is done when its time is over."""

from __future__ import annotations

import os
import signal
import subprocess
from types import FrameType

import pytest

from tests.bench.launchers.plugins import installed

pytestmark = pytest.mark.skipif(not installed("submitit_local"), reason="hydra_submitit_launcher is not installed")


class Gone(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (SystemExit(-1), 255),
        (subprocess.CalledProcessError(-15, ["scontrol", "requeue", "2"]), 1),
        (subprocess.TimeoutExpired(["scontrol", "requeue", "2"], 60), 1),
    ],
)
def test_no_way_to_ask_for_more_time_is_an_error_of_the_run(
    raised: BaseException, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.launchers import submitit as launcher

    def ask_for_more(number: int, frame: FrameType | None) -> None:
        raise raised

    def leave(status: int) -> None:
        raise Gone(status)

    def run(self: object) -> str:
        try:
            os.kill(os.getpid(), signal.SIGUSR2)
        except Exception:
            pytest.fail("the run takes it for its own")
        return "done"

    before = signal.signal(signal.SIGUSR2, ask_for_more)
    monkeypatch.setattr(launcher.submitit.JobEnvironment, "USR_SIG", "USR2")
    monkeypatch.setattr(launcher.BaseSubmititLauncher, "__call__", run)
    monkeypatch.setattr(os, "_exit", leave)
    try:
        with pytest.raises(Gone) as ended:
            launcher.SubmititLauncher.__call__(object.__new__(launcher.LocalLauncher))
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert ended.value.args == (status,)
