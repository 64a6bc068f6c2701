"""A run that was stopped goes on from its last checkpoint, and ends with the same numbers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.errors import BenchError
from bench.core.record import RunRecord
from bench.growth.event import GrowthEvent
from bench.run import checkpoint
from bench.run.progress import Progress
from bench.run.protocol import Run
from tests.runs import Counting, Fatal, Killed, numbers, of_options, options, prepared

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


@pytest.mark.parametrize("at", range(8))
def test_killed_between_any_two_files_it_ends_with_all(
    at: int, undisturbed: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of the seed network, two of each stage, and each stage's network but the last's, which is the run's."""
    own, saved = checkpoint.save, list[Path]()

    def save(path: Path, *state: Any) -> None:
        if len(saved) == at:
            raise Killed
        saved.append(path)
        own(path, *state)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save)
        with pytest.raises(Killed):
            prepared(tmp_path, THREE).execute()
    run = prepared(tmp_path, THREE)
    assert numbers(run.execute()) == numbers(undisturbed)
    assert sorted(path.name for path in run.folder.path.glob("stage-*.pt")) == ["stage-0.pt", "stage-1.pt"]


def test_seconds_before_a_kill_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(tmp_path, 7, ALWAYS)
    own = Progress.from_state_dict
    monkeypatch.setattr(
        Progress, "from_state_dict", lambda state: own({**state, "train_seconds": 1e4, "eval_seconds": 1e3})
    )
    stage = prepared(tmp_path, THREE, ALWAYS).execute().stages[-1]
    assert 1e4 < stage.seconds.train < 1e4 + 100
    assert 1e3 < stage.seconds.eval < 1e3 + 100


def test_a_growth_that_is_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the first epoch after it, with no checkpoint inside the stage."""
    kill(tmp_path, 3)
    own, targets = GrowthEvent.grow, list[float]()

    def grow(self: GrowthEvent, target: float) -> Any:
        targets.append(target)
        return own(self, target)

    monkeypatch.setattr(GrowthEvent, "grow", grow)
    record = prepared(tmp_path, THREE).execute()
    assert targets == [record.stages[2].target_cost]


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


def test_progress_survives_as_plain_data(tmp_path: Path) -> None:
    made = prepared(tmp_path, THREE)
    made.execute()
    state = made.progress.state_dict()
    json.dumps(state)
    assert vars(Progress.from_state_dict(state)) == vars(made.progress)


# -- what modules share ------------------------------------------------------------------------------------------------

SHARING = """
from torch import nn

class Net(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(64, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.d, self.e = nn.Linear(8, 6), nn.Linear(6, outputs)
        self.c.weight = self.b.weight

    def forward(self, x):
        x = x.flatten(1)
        for layer in (self.a, self.b, self.c, self.d):
            x = layer(x).tanh()
        return self.e(x)

def net(input_shape, outputs):
    return Net(outputs)
"""


def test_tied_weights_stay_tied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a seed network is read that another method trained, and where a run goes on."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "sharing.py").write_text(SHARING)

    def made(folder: str, method: str, callback: Counting | None = None) -> Run:
        chosen = options(tmp_path / folder, f"method={method}", ALWAYS)
        return of_options({**chosen, "backbone": {"name": "import:sharing:net", "options": {}}}, callback)

    expected = made("alone", "random_birth").execute()
    made("both", "net2net").execute()
    second = made("both", "random_birth")
    assert numbers(second.execute()) == numbers(expected)
    assert second.model.c.weight is second.model.b.weight
    for at in (1, 4, 6):
        with pytest.raises(Killed):
            made(f"killed at {at}", "random_birth", Fatal(at)).execute()
        assert numbers(made(f"killed at {at}", "random_birth").execute()) == numbers(expected)


# -- checkpoints of earlier versions ----------------------------------------------------------------------------------


def disown(path: Path) -> None:
    """Rewrite a checkpoint as a version wrote it that kept no record of what made a run."""
    state = checkpoint.load(path)
    assert state is not None
    del state["owner"]
    content = checkpoint._bytes(state)
    digest = hashlib.sha256(content).hexdigest()
    torch.save({"sha256": digest, "content": torch.frombuffer(content, dtype=torch.uint8)}, path)


@pytest.mark.parametrize("at", [4, 8])
def test_an_early_checkpoint_is_not_gone_on_with(at: int, undisturbed: RunRecord, tmp_path: Path) -> None:
    kill(tmp_path, at, ALWAYS)
    disown(prepared(tmp_path, THREE, ALWAYS).folder.checkpoint_path)
    with pytest.raises(BenchError, match=r"of a version that kept no record .*rerun=all starts again"):
        prepared(tmp_path, THREE, ALWAYS).execute()
    assert numbers(prepared(tmp_path, THREE, ALWAYS, "rerun=all").execute())["stages"] == numbers(undisturbed)["stages"]


def test_an_early_seed_network_is_made_anew(undisturbed: RunRecord, tmp_path: Path) -> None:
    prepared(tmp_path, THREE, "method=s2d").execute()
    (seed,) = (tmp_path / "seeds").glob("*.pt")
    disown(seed)
    assert numbers(prepared(tmp_path, THREE).execute()) == numbers(undisturbed)
    assert list((tmp_path / "seeds").glob("*.damaged-*"))


def test_both_checkpoints_of_an_earlier_version_are_set_aside(undisturbed: RunRecord, tmp_path: Path) -> None:
    kill(tmp_path, 7, ALWAYS)
    made = prepared(tmp_path, THREE, ALWAYS, "rerun=all")
    last = made.folder.checkpoint_path
    disown(checkpoint.previous(last))
    last.write_bytes(b"PK half a file")
    assert numbers(made.execute())["stages"] == numbers(undisturbed)["stages"]
