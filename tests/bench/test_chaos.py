"""The short form of ``python tests/chaos.py``: three kills, Ctrl-C, a damaged file of each kind, a full disk."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.chaos import Broken, Chaos, Sweep, check, measured, verify

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

try:
    import hydra_plugins.hydra_joblib_launcher  # noqa: F401

    WORKERS = 2
except ModuleNotFoundError:
    WORKERS = 0


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Chaos:
    """Four cells, done once by one process: with launcher or without, the numbers are the same."""
    folder = tmp_path_factory.mktemp("chaos")
    made = Chaos(folder, epochs=4, workers=0, seed=1, grid=("method=s2d,static", "seed=0,1"))
    made.undisturbed()
    made.workers = WORKERS
    return made


def test_kills(chaos: Chaos) -> None:
    chaos.kills(3)


def test_ctrl_c(chaos: Chaos) -> None:
    chaos.interrupts([WORKERS])


def test_damaged_files(chaos: Chaos) -> None:
    chaos.damages(1)


def test_full_disk(chaos: Chaos) -> None:
    chaos.workers = 0
    chaos.full_disk([60])
    chaos.workers = WORKERS


def test_leftovers_of_a_killed_writer_go(chaos: Chaos) -> None:
    """A kill may fall between any two writes: here just before the record, and just after the seed network."""
    sweep = chaos.sweep("leftovers", workers=0)
    shutil.copytree(chaos.folder / "undisturbed", sweep.folder)
    (folder, *others) = sorted(path.parent for path in sweep.folder.glob("*/run.json"))
    (folder / "run.json").rename(folder / ".run.json.99999.partial")
    shutil.rmtree(others[-1])
    for seed in list(sweep.folder.glob("seeds/*.pt")):
        for name in (f"{seed.stem}.partial.pt", f"{seed.stem}.partial.previous.pt", f".{seed.name}.99999.partial"):
            (seed.parent / name).write_bytes(b"half")
    sweep.complete()
    used = [path for path in sweep.folder.rglob("*partial*") if path.parent.name != "seeds"]
    assert not used
    assert len(list(sweep.folder.glob("seeds/*partial*"))) == 3  # of the seed network that nobody asked for


def test_the_script_notices_other_numbers(chaos: Chaos, tmp_path: Path) -> None:
    other = {name: {**record, "reason": "another"} for name, record in chaos.expected.items()}
    with pytest.raises(Broken, match="other numbers"):
        verify(Sweep(chaos.folder / "undisturbed", 4, 0, chaos.grid), other)
    with pytest.raises(Broken, match="lost or doubled"):
        verify(Sweep(tmp_path, 4, 0, chaos.grid), chaos.expected)
    with pytest.raises(Broken, match="why"):
        check(False, "why")


def test_times_are_not_compared() -> None:
    stage = {"seconds": {"train": 1.0}, "growth": {"seconds": 2.0, "splits": 3}, "params": 5}
    record = {"stages": [stage], "config": {"seed": 0, "threads": 1}, "environment": {}, "sha256": "0", "id": "1"}
    assert measured(record) == {"stages": [{"growth": {"splits": 3}, "params": 5}], "config": {"seed": 0}, "id": "1"}
