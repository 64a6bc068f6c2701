"""A finished run's network, loaded without its data."""

from __future__ import annotations

import errno
import io
import os
import zipfile
from pathlib import Path

import pytest
import torch

from bench.core.errors import BenchError, StorageError
from bench.core.provenance import Provenance
from bench.run import checkpoint
from bench.run.load import kept, load_network
from bench.run.protocol import Run
from tests.runs import Fatal, Killed, of_options, options, prepared


def test_the_network_of_a_run(tmp_path: Path) -> None:
    made = prepared(tmp_path, "backbone=convnet", "growth.stages=1")
    made.execute()
    inputs, _ = made.data.batch(made.data.test, torch.arange(9))
    model = load_network(made.folder.path)
    made.model.eval()
    assert torch.equal(model(inputs), made.model(inputs))


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="expected the folder of a run"):
        load_network(tmp_path)


def test_a_checkpoint_of_another_backbone_is_refused(tmp_path: Path) -> None:
    made = prepared(tmp_path, "growth.stages=1")
    made.execute()
    config = made.folder.config_path
    config.write_text(config.read_text().replace("depth: 2", "depth: 3"))
    with pytest.raises(BenchError, match="its checkpoint is of another run"):
        load_network(made.folder.path)


def test_code_that_a_folder_names_is_run_only_if_one_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mark = tmp_path / "was-run"
    code = f"""
from torch import nn

def net(shape, outputs):
    open({str(mark)!r}, "w")
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.SiLU(), nn.Linear(4, outputs))
"""
    (tmp_path / "foreign_code.py").write_text(code)
    foreign = {"name": "import:foreign_code:net", "options": {}}
    made = of_options({**options(tmp_path, "growth.stages=1"), "backbone": foreign})
    made.execute()
    mark.unlink()
    with pytest.raises(BenchError, match=r"import:foreign_code:net, code that would be run; .*trust=True"):
        load_network(made.folder.path)
    assert not mark.exists()
    load_network(made.folder.path, trust=True)
    assert mark.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [x, x]\nb: [*a, *a]\n", "aliases"),
        ("[" * 5000, "config.yaml"),
        ("backbone: 3\n", "config"),
        ("x" * 10**6, "longer than"),
    ],
)
def test_a_configuration_is_data(text: str, message: str, tmp_path: Path) -> None:
    made = prepared(tmp_path, "growth.stages=0")
    made.execute()
    made.folder.config_path.write_text(text)
    with pytest.raises(BenchError, match=message):
        load_network(made.folder.path)


def bomb(path: Path) -> None:
    """Ten kilobytes that unpack to ten megabytes."""
    whole = io.BytesIO()
    torch.save({"sha256": "", "content": torch.zeros(10**7, dtype=torch.uint8)}, whole)
    with zipfile.ZipFile(whole) as stored, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))


def wide(path: Path) -> None:
    """One number that says that it is a hundred million."""
    torch.save({"sha256": "", "content": torch.zeros(1, dtype=torch.uint8).expand(10**8)}, path)


@pytest.mark.parametrize("make", [bomb, wide, os.mkfifo, os.mkdir])
def test_a_checkpoint_is_bounded_before_it_is_unpacked(make: object, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    make(path)  # type: ignore[operator]
    with pytest.raises((ValueError, OSError), match=r"unpacks to more|larger than the file|not a regular file"):
        checkpoint._unpacked(checkpoint.read_file(path))
    with pytest.raises(BenchError, match=r"no readable checkpoint|^cannot read .*/checkpoint.pt: not a regular file$"):
        load_network(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint.pt"]


# -- runs that are not finished ----------------------------------------------------------------------------------------


def shapes(model: torch.nn.Module) -> list[tuple[int, ...]]:
    """Of a network's parameters."""
    return [tuple(one.shape) for one in model.parameters()]


def unfinished(folder: Path, at: int, *overrides: str) -> Run:
    """A run that was killed in an epoch of a later stage, with a checkpoint after each epoch."""
    with pytest.raises(Killed):
        prepared(folder, "checkpoint_seconds=0", *overrides, callback=Fatal(at)).execute()
    return prepared(folder, *overrides)


@pytest.mark.parametrize("at", [3, 4], ids=["just grown", "in training"])
def test_a_stage_of_an_unfinished_run_is_the_one_that_is_asked_for(at: int, tmp_path: Path) -> None:
    made = unfinished(tmp_path, at)
    first = kept(made.folder.path, stage=0)
    assert shapes(first.network()) == shapes(made.model)
    assert (first.stage, first.content["record"]["stage"]) == (0, 0)
    last = kept(made.folder.path)
    assert last.stage == 1
    assert shapes(last.network()) != shapes(made.model)
    assert len(last.content["state"]["stages"]) == 1  # none of which is this network's
    with pytest.raises(BenchError, match="stage=1: expected one of 0, of which"):
        kept(made.folder.path, stage=1)


def test_a_stage_that_has_just_ended_is_the_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: Run) -> None:
        raise Killed

    monkeypatch.setattr(Run, "_grow", killed)
    made = unfinished(tmp_path, 9, "keep_stages=false")
    for stage in (None, 0):
        found = kept(made.folder.path, stage)
        assert found.stage == 0
        assert shapes(found.network()) == shapes(made.model)


def test_a_stage_that_was_not_kept_is_not_the_next_ones_network(tmp_path: Path) -> None:
    made = unfinished(tmp_path, 4, "keep_stages=false")
    with pytest.raises(BenchError, match="stage=0: expected a finished stage, of which"):
        load_network(made.folder.path, stage=0)


# -- files that are written while they are read ------------------------------------------------------------------------

OWNER = checkpoint.Owner("mine", Provenance())


def saved(folder: Path, numbers: int) -> Path:
    """A checkpoint, saved so often."""
    path = folder / "checkpoint.pt"
    for number in range(1, numbers + 1):
        checkpoint.save(path, {"number": number}, OWNER)
    return path


def names(folder: Path) -> list[str]:
    """Of the files in a folder."""
    return sorted(one.name for one in folder.iterdir())


def test_a_checkpoint_is_read_while_it_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, 1)
    own = checkpoint.read_file

    def moved(candidate: Path, most: int) -> bytes:
        monkeypatch.undo()
        path.replace(checkpoint.previous(path))
        return own(candidate, most)

    monkeypatch.setattr(checkpoint, "read_file", moved)
    found = checkpoint.load(path)
    assert found is not None
    assert found["number"] == 1
    assert names(tmp_path) == ["checkpoint.previous.pt"]


@pytest.mark.parametrize("locked", [False, True])
def test_what_cannot_be_read_now_stays(locked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, 2)

    def fails(candidate: Path, most: int) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(candidate))

    monkeypatch.setattr(checkpoint, "read_file", fails)
    with pytest.raises(StorageError, match=r"^cannot read .*/checkpoint\.pt: Too many open files$"):
        checkpoint.load(path, locked)
    assert names(tmp_path) == ["checkpoint.previous.pt", "checkpoint.pt"]


def test_only_who_holds_the_lock_sets_a_damaged_checkpoint_aside(tmp_path: Path) -> None:
    path = saved(tmp_path, 2)
    path.write_bytes(path.read_bytes()[:1000])
    for locked in (False, True):
        found = checkpoint.load(path, locked)
        assert found is not None
        assert found["number"] == 1
        assert (path in tmp_path.iterdir()) != locked
    assert names(tmp_path) == ["checkpoint.previous.pt", "checkpoint.pt.damaged-1"]
