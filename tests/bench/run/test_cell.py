"""A cell: which folder is a run's, where it stands, and what to type for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.identity import AFRESH, NO_STEP, UNUSED
from bench.core.record import RunState
from bench.core.store import RunFolder
from bench.run.cell import Cell, run_folder
from tests.runs import options


@pytest.mark.parametrize(
    ("overrides", "without"),
    [
        (["method=s2d"], ()),
        (["method=static"], AFRESH),
        (["method=shrink_perturb"], NO_STEP),
        (["method=net2net", "method.step=false"], NO_STEP),
    ],
)
def test_what_a_method_makes_no_use_of_is_not_in_its_runs_name(
    overrides: list[str], without: tuple[str, ...], tmp_path: Path
) -> None:
    chosen = options(tmp_path, *overrides)
    assert run_folder(chosen).path == RunFolder(tmp_path, chosen, without).path


@pytest.mark.parametrize("without", UNUSED)
def test_a_folder_that_is_there_decides_without_asking_the_method(without: tuple[str, ...], tmp_path: Path) -> None:
    chosen = {**options(tmp_path), "method": {"name": "of a package that is gone"}}
    assert run_folder(chosen).path == RunFolder(tmp_path, chosen).path  # its run says what is wrong
    there = RunFolder(tmp_path, chosen, without)
    there.path.mkdir(parents=True)
    assert run_folder(chosen).path == there.path


def test_a_cell_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = options(tmp_path, "seed=3")

    def cell() -> Cell:
        return Cell(chosen, run_folder(chosen), ["method=s3d", "seed=3", "data.root=a b"])

    made = cell()
    assert (made.name("method"), made.seed, made.id) == ("s3d", 3, made.folder.id)
    assert made.command == "python -m bench method=s3d seed=3 'data.root=a b'"
    assert (made.state, made.record, made.remedy) == (RunState.MISSING, None, made.command)
    remedies = {}
    for state in RunState:
        other = cell()
        other.__dict__["standing"] = type(made.standing)(state)
        remedies[state] = other.remedy
    nothing, again = (RunState.DONE, RunState.REFUSED), (RunState.FAILED,)
    assert [remedies[state] for state in nothing] == ["", ""]
    assert [remedies[state] for state in again] == [f"{made.command} rerun=failed"]
    assert {remedies[state] for state in RunState if state not in (*nothing, *again)} == {made.command}
