"""What a run shows while it runs."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console

from bench.core.callbacks import Callbacks
from bench.core.files import locked
from bench.core.identity import seed_identity
from bench.core.record import Flops, Seconds, StageRecord
from bench.run.forecast import MOST, in_words, stages_left
from bench.run.live import ProgressBar, StageLines, TimeLeft, shown
from tests.runs import Fatal, Killed, prepared


class Clock:
    """Seconds as told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def record(stage: int, seconds: float) -> StageRecord:
    """A stage that took so long."""
    costs = {"params": 10 + stage, "macs": 10}
    took = Seconds(seconds, 0.0)
    return StageRecord(
        stage=stage, target_cost=1.0, costs=costs, widths={}, test_accuracy=0.5, val_accuracy=0.5, seconds=took,
        flops=Flops(0, 0),
    )  # fmt: skip


def heard(left: TimeLeft, clock: Clock, stage: int, epochs: int, per_epoch: float, of: int, until: int) -> None:
    """A stage is trained, up to some epoch."""
    left.on_stage_begin(stage, of, epochs, 0)
    for _ in range(until):
        clock.now += per_epoch
        left.on_epoch_end(1.0, 1.0)
    if until == epochs:
        left.on_stage_end(record(stage, per_epoch * epochs))


def test_the_time_left_is_that_of_all_stages() -> None:
    clock = Clock()
    left = TimeLeft(10, clock)
    assert left.seconds is None
    heard(left, clock, 0, 20, 1.0, 4, until=5)
    assert left.seconds == pytest.approx(15 + 3 * 10)
    heard(left, clock, 0, 20, 1.0, 4, until=20)
    assert left.seconds == pytest.approx(3 * 10)
    heard(left, clock, 1, 10, 1.0, 4, until=10)
    assert left.seconds == pytest.approx(2 * 10)
    heard(left, clock, 2, 10, 1.5, 4, until=4)
    assert left.seconds == pytest.approx(6 * 1.5 + 15 * 1.5)
    heard(left, clock, 2, 10, 1.5, 4, until=10)
    heard(left, clock, 3, 10, 2.0, 4, until=10)
    assert left.seconds == 0.0


def test_stages_go_on_growing_as_they_did() -> None:
    assert stages_left([3.0], 2) == 6.0
    assert stages_left([1.0, 1.5], 2) == pytest.approx(1.5**2 + 1.5**3)
    assert stages_left([4.0, 1.0], 2) == 2.0
    assert stages_left([1.0, 100.0], 1) == 100 * MOST
    assert stages_left([0.0, 0.0], 3) == 0.0


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.2, "about 3 s left"), (600, "about 10 min left"), (7200, "about 2.0 h left")]
)
def test_time_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_a_log_has_a_line_at_once_and_one_a_stage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    callbacks, _ = shown("s3d", 2, quiet=False)
    prepared(tmp_path, callback=Callbacks(callbacks)).execute()
    out, lines = capfd.readouterr()
    first, *stages = lines.splitlines()
    assert out == ""
    assert first == "s3d: training the seed network, 2 epochs"
    assert [line.partition(",")[0] for line in stages] == [
        "s3d stage 0: 330 parameters",
        "s3d stage 1: 485 parameters",
        "s3d stage 2: 735 parameters",
    ]
    assert [line.endswith(" left") for line in stages] == [True, True, False]
    assert all(len(line) <= 70 for line in stages)


def test_what_was_done_before_is_said_to_be(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Killed):
        prepared(tmp_path, callback=Fatal(at=5)).execute()
    assert capfd.readouterr().err == ""
    prepared(tmp_path, callback=StageLines("s3d", TimeLeft(2))).execute()
    lines = capfd.readouterr().err.splitlines()
    assert [line.endswith("done before") for line in lines] == [True, True, False]


def test_nothing_is_shown_of_a_run_in_a_sweep(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    callbacks, _ = shown("s3d", 2, quiet=True)
    prepared(tmp_path, "growth.stages=0", callback=Callbacks(callbacks)).execute()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("width", [60, 120])
def test_the_bar_of_a_terminal_fits_and_has_the_time_left(width: int) -> None:
    clock, file = Clock(), io.StringIO()
    left = TimeLeft(10, clock)
    with ProgressBar("random_split", left, Console(file=file, width=width, force_terminal=True)) as bar:
        for one in (left, bar):
            one.on_stage_begin(0, 3, 10, 0)
        clock.now = 9.0
        for one in (left, bar):
            one.on_epoch_end(0.25, 0.5)
        bar.progress.refresh()
        drawn = Console(width=width).render_str(file.getvalue()).plain
    assert "about 4 min left" in drawn
    assert ("validation 0.5" in drawn) is (width == 120)
    assert "random_split seed network" in drawn


def test_waiting_for_a_seed_network_is_said_at_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = prepared(tmp_path, "growth.stages=0")
    name = f"{seed_identity(made.settings.options)}-{made.provenance.seed_key}.lock"
    (tmp_path / "seeds").mkdir()
    with ThreadPoolExecutor(1) as other:
        with locked(tmp_path / "seeds" / name):
            running = other.submit(made.execute)
            said, end = "", time.monotonic() + 20
            while not said and time.monotonic() < end:
                time.sleep(0.05)
                said = capfd.readouterr().err
            assert said == "waiting for the seed network, which another process trains\n"
            assert not running.done()
        assert len(running.result().stages) == 1
