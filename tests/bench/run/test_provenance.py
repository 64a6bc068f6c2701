"""What made a run, a seed network and a checkpoint is on record, and what differs is never mixed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import status
from bench.core import provenance
from bench.core.errors import BenchError
from bench.core.record import RunRecord, RunState
from bench.report.read.folder import read
from bench.run import command, protocol
from bench.run.cell import Cell, run_folder
from bench.run.command import run
from bench.run.load import load_network
from tests.bench.data.conftest import write_idx
from tests.bench.run.run_helpers import contents
from tests.runs import Fatal, Killed, numbers, of_options, options, prepared

NET = """
from torch import nn
from sizes import WIDTH

def net(input_shape, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH), nn.SiLU(), nn.Linear(WIDTH, outputs))
"""

DATA = """
import torch

def data():
    inputs = torch.linspace(-1, 1, 80)[:, None]
    return inputs, inputs.sin()
"""

Edit = Callable[..., None]


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edit]:
    """Writes modules that a new process would import."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(**files: str) -> None:
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
            sys.modules.pop(name, None)
        sys.modules.pop("mine", None)
        provenance._files.cache_clear()

    sys.dont_write_bytecode, kept = True, sys.dont_write_bytecode
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    write(mine=NET, sizes="WIDTH = 4", other="")
    sys.dont_write_bytecode = kept
    yield write
    for name in ("mine", "sizes", "other"):
        sys.modules.pop(name, None)


def chosen(folder: Path, *overrides: str) -> dict[str, Any]:
    mine = {"name": "import:mine:net", "options": {}, "weights": None}
    return {**options(folder / "runs", "growth.stages=1", *overrides), "backbone": mine}


def test_a_network_that_was_edited_is_said_to_be_another(
    edit: Edit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(chosen(tmp_path))
    edit(other="x = 1")
    assert run(chosen(tmp_path)) == first  # it does not import that file
    assert "done already" in capsys.readouterr().out
    edit(sizes="WIDTH = 8")
    with pytest.raises(BenchError, match=r"changed since this run was made: backbone \(sizes.py\); rerun=all"):
        run(chosen(tmp_path))
    again = run(chosen(tmp_path, "rerun=all"))
    assert again.stages[0].params == 64 * 8 + 8 + 8 * 10 + 10
    assert again.stages[0].target_cost == again.stages[0].params
    assert run(chosen(tmp_path)) == again


def test_a_cell_of_other_code_counts_as_old_and_not_as_done(edit: Edit, tmp_path: Path) -> None:
    wanted = chosen(tmp_path)
    run(wanted)
    cell = Cell(wanted, run_folder(wanted), [])
    assert (cell.changes, status._state(cell), status.work_left([cell])) == ([], "done", 0)
    edit(sizes="WIDTH = 8")
    again = Cell(wanted, run_folder(wanted), [])
    assert again.changes == ["backbone (sizes.py)"]
    assert (status._state(again), status.work_left([again])) == (status.OLD, None)


def test_seed_networks_of_two_versions_are_two(edit: Edit, tmp_path: Path) -> None:
    run(chosen(tmp_path, "method=s2d"))
    edit(sizes="WIDTH = 8")
    wide = run(chosen(tmp_path, "method=net2net"))
    assert wide.stages[0].params == 610
    alone = run(chosen(tmp_path / "alone", "method=net2net"))
    assert numbers(wide)["stages"] == numbers(alone)["stages"]


@pytest.mark.parametrize("same_name", [False, True])
def test_a_seed_network_of_other_code_of_its_data_is_not_taken(
    same_name: bool, edit: Edit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"name": "import:mine:data", "validation": 0.1, "test": 0.2, "normalise": True}
    if same_name:  # as where digests collide
        monkeypatch.setattr(provenance.Provenance, "seed_key", "same")
    edit(mine=DATA)
    run({**options(tmp_path, "growth.stages=0", "method=s2d"), "data": data})
    edit(mine=DATA.replace("sin()", "sin() + 0"))  # the same examples by other code
    run({**options(tmp_path, "growth.stages=0", "method=s3d"), "data": data})
    networks, aside = ([*(tmp_path / "seeds").glob(pattern)] for pattern in ("*.pt", "*.damaged-*"))
    assert (len(networks), len(aside)) == ((1, 1) if same_name else (2, 0))


def test_an_interrupted_run_does_not_go_on_with_other_code(edit: Edit, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        of_options(chosen(tmp_path), Fatal(3)).execute()
    edit(mine=NET.replace("SiLU", "Tanh"))
    before, message = contents(tmp_path), r"made before this changed: backbone \(mine.py\), the network .*rerun=all"
    for rerun in ("none", "failed"):
        with pytest.raises(BenchError, match=message) as told:
            of_options(chosen(tmp_path, f"rerun={rerun}", "checkpoint_seconds=1")).execute()
        assert not told.value.recorded
        assert contents(tmp_path) == before
        assert run_folder(chosen(tmp_path)).standing().state is RunState.INTERRUPTED
    record = of_options(chosen(tmp_path, "rerun=all")).execute()
    fresh = of_options(chosen(tmp_path / "fresh")).execute()
    assert numbers(record)["stages"] == numbers(fresh)["stages"]


def test_seed_networks_that_were_swapped_are_made_anew(tmp_path: Path) -> None:
    expected = prepared(tmp_path / "other", "growth.stages=1").execute()
    prepared(tmp_path, "train.lr=0.5", "growth.stages=0").execute()
    (other,) = (tmp_path / "seeds").glob("*.pt")
    (right,) = (tmp_path / "other" / "seeds").glob("*.pt")
    shutil.move(other, tmp_path / "seeds" / right.name)
    assert numbers(prepared(tmp_path, "growth.stages=1").execute())["stages"] == numbers(expected)["stages"]
    assert list((tmp_path / "seeds").glob("*.damaged-*"))


def test_a_checkpoint_of_another_run_is_not_taken(tmp_path: Path) -> None:
    one, two = (prepared(tmp_path, f"method={name}", "growth.stages=1") for name in ("s2d", "s3d"))
    one.execute()
    two.execute()
    shutil.copy(two.folder.checkpoint_path, one.folder.checkpoint_path)
    with pytest.raises(BenchError, match=f"of another run \\({two.folder.id}\\)"):
        load_network(one.folder.path)
    one.folder.record_path.unlink()
    with pytest.raises(BenchError, match=r"is of another network .*rerun=all"):
        prepared(tmp_path, "method=s2d", "growth.stages=1").execute()


def _digits(root: Path, shift: int = 0) -> Path:
    import numpy as np

    random = np.random.default_rng(0)
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 90), ("t10k", 20)):
        images = random.integers(0, 200, (count, 28, 28), np.uint8) + np.uint8(shift)
        write_idx(raw / f"{part}-images-idx3-ubyte", images)
        write_idx(raw / f"{part}-labels-idx1-ubyte", (np.arange(count) % 10).astype(np.uint8))
    return root


def test_folders_of_other_content_never_share_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, same, other = (_digits(tmp_path / name, shift) for name, shift in (("a", 0), ("b", 0), ("c", 9)))

    def record(root: Path, *more: str) -> RunRecord:
        small = ["data=mnist", "data.validation=20", f"data.root={root}", "growth.stages=1", "train.epochs=0"]
        return run(options(tmp_path / "runs", *small, *more))

    made = record(first)
    assert record(same) == made  # what they hold decides, not where it lies
    assert "done already" in capsys.readouterr().out
    with pytest.raises(BenchError, match=r"changed since this run was made: the data; rerun=all"):
        record(other)
    assert record(other, "rerun=all") != made
    missing = tmp_path / "nothing"
    assert record(missing).id == made.id  # with no file there is nothing to be told apart
    for path in (other / "MNIST" / "raw").iterdir():
        os.utime(path, (1, 1))
    record(other)  # of another time, but read: the same


def test_a_data_function_may_read_what_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source of a foreign data set is not all that decides about its content."""
    made = run(options(tmp_path, "growth.stages=0"))
    assert made.provenance is not None
    foreign = provenance.Source("somebody", {})
    moved = provenance.Provenance(made.provenance.numerics, {"data": foreign}, data="0123456789abcdef")
    made.provenance = moved
    assert command._other_data(made, options(tmp_path)) == ["the data"]
    moved.sources["data"] = provenance.Source("bench.data.digits", {})
    assert command._other_data(made, options(tmp_path)) == []


def test_another_numerics_of_the_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(options(tmp_path, "growth.stages=0"))
    monkeypatch.setattr(provenance, "NUMERICS", provenance.NUMERICS + 1)
    monkeypatch.setattr(protocol, "NUMERICS", provenance.NUMERICS)
    with pytest.raises(BenchError, match="changed since this run was made: the suite's numerics"):
        run(options(tmp_path, "growth.stages=0"))


def test_a_report_does_not_mix_versions(edit: Edit, tmp_path: Path) -> None:
    old = run(chosen(tmp_path, "seed=0"))
    os.utime(run_folder(chosen(tmp_path, "seed=0")).record_path, (1, 1))
    edit(mine=NET.replace("SiLU", "Tanh"))
    new = run(chosen(tmp_path, "seed=1"))
    found = read(str(tmp_path / "runs"))
    assert set(found.cells) == {new.id}
    (left,) = found.left_out
    assert left.name.endswith(old.id)
    assert left.reason == "another version of backbone=import:mine:net made newer runs"


def test_what_made_it_is_on_record(tmp_path: Path) -> None:
    record = run(options(tmp_path, "growth.stages=0", "method=fast_s2d", "growth.engine=dense"))
    made = record.provenance
    assert made is not None
    assert "bench/methods/fast_s2d.py" in made.sources["method"].files
    assert made.sources["growth.engine"].module == "bench.curvature.eigensolvers.dense"
    assert made.network
    assert made.data
    assert not made.machine
    measured = run(options(tmp_path, "growth.stages=1", "growth.cost=latency", "threads=1", "growth.ratio=3"))
    assert measured.provenance is not None
    assert measured.provenance.machine.endswith("1 threads")
