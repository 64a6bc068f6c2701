"""Configurations of one's own, in a folder beside the suite's: the same in every command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.core.errors import ConfigError
from bench.core.options import CONF
from bench.core.places import VARIABLE, as_flags, known, own_places, path_of, taken

PRESET = """\
# @package _global_
train: {epochs: 0}
growth: {stages: 0}
threads: 1
hydra: {sweeper: {params: {method: 'net2net,random_split'}}}
"""
QUESTION = "asks: Which?\npresets: [mine]\nfactors: [method]\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a preset and a question of one's own."""
    monkeypatch.setenv(VARIABLE, "")
    folder = tmp_path / "my conf"
    for name, text in (("experiment/mine", PRESET), ("experiment/smoke", PRESET), ("study/which", QUESTION)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_a_folder_is_taken_from_the_arguments_in_each_way_to_type_it(place: Path) -> None:
    for typed in ([f"--config-dir={place}"], ["-cd", str(place)], [f"hydra.searchpath=[file://{place}]"]):
        os.environ[VARIABLE] = ""
        assert taken(["method=s2d", *typed, "seed=1"]) == ["method=s2d", "seed=1"]
        assert own_places() == [place]
        assert taken(["seed=1"]) == ["seed=1"]  # as in a command that this one starts
        assert as_flags() == [f"--config-dir={place}"]
    assert taken(["hydra.searchpath=[pkg://of.somebody]"]) == ["hydra.searchpath=[pkg://of.somebody]"]


def test_the_suites_own_files_come_first(place: Path) -> None:
    assert {"mine", "smoke"} & {*known("experiment")} == {"smoke"}
    taken([f"--config-dir={place}"])
    assert {"mine", "smoke"} & {*known("experiment")} == {"mine", "smoke"}
    assert path_of("experiment/mine").parent.parent == place
    assert path_of("experiment/smoke").parent.parent == CONF


@pytest.mark.parametrize("typed", [["--config-dir=/nowhere"], ["--config-dir"], ["--config-dir="]])
def test_what_is_no_folder_is_refused(typed: list[str], place: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--config-dir=.*: expected a folder$"):
        taken(typed)


def test_every_command_looks_there(place: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(CONF.parent.parent)}

    def said(*words: str) -> str:
        command = [sys.executable, "-m", words[0], f"--config-dir={place}", *words[1:], "runs_dir=runs"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "2 runs: 0 ended already, 2 to do" in said("bench", "-m", "experiment=mine")
    assert "every cell is done" in said("bench.status", "experiment=mine")
    assert "written" in said("bench.report", "experiment=mine", "out=report")
    assert "which: 2 of 2 runs done; written" in said("bench.study", "questions=[which]", "out=study")
    assert "done already" in said("bench", "experiment=mine", "method=net2net")
