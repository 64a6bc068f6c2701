"""A run that was stopped goes on from its last checkpoint, and ends with the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.record import RunRecord
from bench.run import checkpoint
from bench.run.progress import Progress
from tests.runs import Counting, Fatal, Killed, numbers, prepared

THREE = "train.epochs=3"
ALWAYS = "checkpoint_seconds=0"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """The run that nothing stopped: two epochs of the seed network and twice three."""
    return prepared(tmp_path_factory.mktemp("undisturbed"), THREE).execute()


def kill(folder: Path, at: int, *overrides: str) -> None:
    """Begin a run and kill it at the end of an epoch, before the checkpoint there."""
    with pytest.raises(Killed):
        prepared(folder, THREE, *overrides, callback=Fatal(at)).execute()


@pytest.mark.parametrize("at", range(1, 9))
def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(at: int, undisturbed: RunRecord, tmp_path: Path) -> None:
    kill(tmp_path, at, ALWAYS)
    heard = Counting()
    record = prepared(tmp_path, THREE, ALWAYS, callback=heard).execute()
    assert numbers(record) == numbers(undisturbed)
    assert [len(stage.history.val_loss) for stage in record.stages] == [2, 3, 3]
    if at > 2:  # the seed network was kept, and so were the epochs before the last checkpoint
        assert heard.epochs <= 8 - at + 1


def test_without_checkpoints_inside_a_stage_the_stage_is_done_again(undisturbed: RunRecord, tmp_path: Path) -> None:
    kill(tmp_path, 7)
    heard = Counting()
    assert numbers(prepared(tmp_path, THREE, callback=heard).execute()) == numbers(undisturbed)
    assert heard.epochs == 3


def test_stages_that_are_done_are_heard_again(tmp_path: Path) -> None:
    class Ends(Counting):
        def __init__(self) -> None:
            super().__init__()
            self.begun: list[tuple[int, ...]] = []
            self.ended: list[int] = []

        def on_stage_begin(self, stage: int, stages: int, epochs: int, done: int) -> None:
            self.begun.append((stage, stages, epochs, done))

        def on_stage_end(self, record: Any) -> None:
            self.ended.append(record.stage)

    kill(tmp_path, 7, ALWAYS)
    heard = Ends()
    prepared(tmp_path, THREE, ALWAYS, callback=heard).execute()
    assert heard.ended == [0, 1, 2]
    assert heard.begun == [(2, 3, 3, 1)]


def test_a_damaged_checkpoint_is_done_again(undisturbed: RunRecord, tmp_path: Path) -> None:
    made = prepared(tmp_path, THREE)
    made.folder.path.mkdir(parents=True)
    made.folder.checkpoint_path.write_bytes(b"PK half a file")
    assert numbers(made.execute()) == numbers(undisturbed)
    assert made.folder.checkpoint_path.with_name("checkpoint.pt.damaged-1").exists()


def test_the_checkpoint_before_a_damaged_one_is_taken(undisturbed: RunRecord, tmp_path: Path) -> None:
    kill(tmp_path, 7, ALWAYS)
    made = prepared(tmp_path, THREE, ALWAYS)
    content = made.folder.checkpoint_path.read_bytes()
    made.folder.checkpoint_path.write_bytes(content[: len(content) // 2])
    assert numbers(made.execute()) == numbers(undisturbed)


def test_progress_survives_as_tensors_and_plain_data(tmp_path: Path) -> None:
    made = prepared(tmp_path, THREE)
    made.execute()
    state = made.progress.state_dict()
    json.dumps({name: value for name, value in state.items() if name != "lineage"})
    again = Progress.from_state_dict(state)
    assert {**vars(again), "lineage": None} == {**vars(made.progress), "lineage": None}
    assert all(torch.equal(again.lineage[name], value) for name, value in made.progress.lineage.items())


# -- checkpoints of the first version ---------------------------------------------------------------------------------

NEW_FIELDS = ("eval_seconds", "train_losses", "val_losses")
NEW_IN_A_STAGE = ("costs", "history")


def make_old(path: Path) -> dict[str, Any]:
    """Rewrite a checkpoint as the first version wrote it; its progress."""
    found = checkpoint.load(path)
    assert found is not None
    state = found["state"]
    state["train_loss"] = state["train_losses"][-1] if state["train_losses"] else None
    state["stages"] = [{k: v for k, v in stage.items() if k not in NEW_IN_A_STAGE} for stage in state["stages"]]
    for name in NEW_FIELDS:
        del state[name]
    assert set(state) == {
        *("stage", "epochs", "epoch", "growth", "train_seconds", "train_loss", "stages", "history", "lineage")
    }
    checkpoint.save(path, found)
    return dict(state)


def without_epochs(record: RunRecord) -> dict[str, Any]:
    """Numbers but for those of single epochs, which early checkpoints do not have."""
    found = numbers(record)
    for stage in found["stages"]:
        del stage["history"]
    return found


@pytest.mark.parametrize("at", [2, 4, 5, 8])
def test_an_early_checkpoint_and_seed_network_are_gone_on_with(at: int, undisturbed: RunRecord, tmp_path: Path) -> None:
    kill(tmp_path, at, ALWAYS)
    made = prepared(tmp_path, THREE, ALWAYS)
    early = [
        make_old(path) for path in (made.folder.checkpoint_path, *(tmp_path / "seeds").glob("*.pt")) if path.exists()
    ]
    assert early
    heard = Counting()
    record = prepared(tmp_path, THREE, ALWAYS, callback=heard).execute()
    assert without_epochs(record) == without_epochs(undisturbed)
    assert heard.epochs <= 8 - at + 1
    done = early[0]["stage"]
    for stage, whole in zip(record.stages, undisturbed.stages, strict=True):
        since = {-1: stage.epochs, 0: early[0]["epoch"], 1: 0}[(stage.stage > done) - (stage.stage < done)]
        assert stage.history.train_loss == whole.history.train_loss[since:]
        assert stage.history.val_loss == whole.history.val_loss[since:]


def test_a_seed_network_of_the_first_version_serves_other_methods(tmp_path: Path) -> None:
    expected = prepared(tmp_path / "new", "method=net2net").execute()
    prepared(tmp_path / "old", "method=s2d").execute()
    (seed,) = (tmp_path / "old" / "seeds").glob("*.pt")
    make_old(seed)
    record = prepared(tmp_path / "old", "method=net2net").execute()
    assert without_epochs(record) == without_epochs(expected)
    assert record.stages[0].costs == expected.stages[0].costs
