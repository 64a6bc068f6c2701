"""Runs on data of one's own: what they are named by, what makes them old, and that nobody else runs one's code."""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose
from omegaconf import OmegaConf
from PIL import Image

from bench.core import provenance
from bench.core.errors import BenchError, DataError
from bench.core.identity import identity, seed_identity
from bench.data import load
from bench.plugins import composition
from bench.report import __main__ as report
from bench.report.frame import frame
from bench.run.cell import run_folder
from bench.run.command import run
from bench.run.load import load_network
from bench.status import show
from tests.runs import SHORT

MINE = """
import torch
from parts import COUNT

def data():
    inputs = torch.linspace(-1, 1, COUNT)[:, None]
    return inputs, inputs.sin()
"""


def options(*overrides: str) -> dict[str, Any]:
    """The resolved options of a command line."""
    with composition():
        found = OmegaConf.to_container(compose("config", ["runs_dir=runs", *SHORT, "growth.stages=1", *overrides]))
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with data of each kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("mine", "parts"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    provenance._files.cache_clear()
    Path("mine.py").write_text(MINE)
    Path("parts.py").write_text("COUNT = 80\n")
    arrays(0)
    random = np.random.default_rng(0)
    for name in ("pictures/cat", "pictures/dog"):
        Path(name).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(random.integers(0, 256, (4, 4), np.uint8)).save(f"{name}/{i}.bmp")
    return tmp_path


def arrays(seed: int) -> None:
    random = np.random.default_rng(seed)
    np.savez("some.npz", x=random.normal(size=(80, 3)), y=np.arange(80) % 2)


FOLDER = ("data=folder:pictures", "data.cache=cache")
FILE = ("data=file:some.npz",)
IMPORT = ("data=import:mine:data",)


@pytest.mark.parametrize("chosen", [FOLDER, FILE, IMPORT], ids=["folder", "file", "import"])
def test_a_run_says_what_it_was_trained_on(chosen: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    record = run(options(*chosen))
    assert record.dataset is not None
    assert record.dataset.held_out == ["test", "validation"]
    assert sum(record.dataset.examples.values()) == (40 if chosen is FOLDER else 80)
    assert record.dataset.task == ("regression" if chosen is IMPORT else "classification")
    assert record.dataset.classes == (["cat", "dog"] if chosen is FOLDER else [])
    assert len(record.dataset.mean) == record.dataset.input_shape[0]
    assert record.stages[-1].classified is (chosen is not IMPORT)
    capsys.readouterr()
    assert run(options(*chosen)) == record
    assert "done already" in capsys.readouterr().out


def overwrite_image() -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save("pictures/cat/7.bmp")  # a file of the same size


def add_image() -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save("pictures/cat/new.bmp")


def edit_source() -> None:
    Path("parts.py").write_text("COUNT = 90\n")
    provenance._files.cache_clear()


@pytest.mark.parametrize(
    ("chosen", "change", "message"),
    [
        (FOLDER, overwrite_image, "the data"),
        (FOLDER, add_image, "the data"),
        (FILE, lambda: arrays(1), "the data"),
        (IMPORT, edit_source, r"data \(parts\.py\)"),
    ],
)
def test_other_content_is_not_taken_for_the_same(chosen: tuple[str, ...], change: Any, message: str) -> None:
    run(options(*chosen))
    change()
    with pytest.raises(BenchError, match=rf"^changed since this run was made: {message}; rerun=all"):
        run(options(*chosen))


@pytest.mark.parametrize("chosen", [FOLDER, FILE])
def test_the_same_content_with_another_time_is(chosen: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    run(options(*chosen))
    for path in (Path("some.npz"), *Path("pictures").rglob("*.bmp")):
        os.utime(path, (1, 1))
    run(options(*chosen))
    assert "done already" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_path_is_one_however_it_is_spelt(kind: str, place: Path) -> None:
    """And where it lies does not enter, as for files that are fetched."""
    spelt = [options(f"data={kind}:{path}") for path in ("a/b", "./a/b", "a//b/", "a/c/../b")]
    spelt.append(options(f"data={kind}:a/b", "data.root=/elsewhere"))
    assert {one["data"]["name"] for one in spelt} == {f"{kind}:a/b"}
    assert len({identity(one) for one in spelt}) == len({run_folder(one).path for one in spelt}) == 1
    others = [options(f"data={kind}:{path}") for path in ("b", "/a/b", "../a/b", "a/b/c")]
    assert (
        len({identity(one) for one in [*others, spelt[0]]})
        == len({seed_identity(one) for one in [*others, spelt[0]]})
        == 5
    )
    assert len(run_folder(options('data="' + kind + ":" + 500 * "/ä" + '"')).path.name.encode()) < 200


def test_a_cache_changes_no_number() -> None:
    assert identity(options(*FOLDER)) == identity(options(FOLDER[0], "data.cache=null"))
    assert identity(options(*FOLDER)) != identity(options(*FOLDER, "data.resize=3"))


def test_a_mistake_leaves_no_run() -> None:
    for chosen in ("data=folder:none", "data=file:none.npz", "data=import:mine:none"):
        with pytest.raises(BenchError, match=rf"^{chosen}: "):
            run(options(chosen))
    np.savez("some.npz", x=np.zeros((9, 3)), y=np.arange(9) % 2 * 5)
    with pytest.raises(DataError, match="targets are 0, 5 up to 5"):
        run(options(*FILE))
    assert not list(Path("runs").glob("*-*"))


def test_who_reads_a_runs_folder_does_not_run_what_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    record = run(options(*IMPORT))
    (folder,) = Path("runs").glob("import_mine_data-*")
    for name in ("mine", "parts"):
        monkeypatch.delitem(sys.modules, name)
        Path(f"{name}.py").write_text("raise SystemExit('was run')")
    provenance._files.cache_clear()
    load_network(folder)
    assert len(frame("runs")) == len(record.stages)
    monkeypatch.setattr(sys, "argv", ["bench.report", "runs_dir=runs", "out=report"])
    report.main()
    assert "import:mine:data" in Path("report/report.md").read_text()
    show(["runs_dir=runs", *SHORT, "growth.stages=1", *IMPORT])
    assert not {"mine", "parts"} & set(sys.modules)
    assert json.loads((folder / "run.json").read_text())["dataset"]["task"] == "regression"


def test_whole_numbers_for_a_network_of_values_are_explained(place: Path) -> None:
    np.savez("whole.npz", x=np.arange(240).reshape(80, 3), y=np.arange(80) % 2)
    with pytest.raises(BenchError, match=r"; inputs of int64 are symbols, and values are floats$"):
        run(options("data=file:whole.npz"))


DRAWN = """
import random
import numpy as np
import torch

SHIFT = torch.randn(1)

def data(late=False):
    class Late(torch.utils.data.Dataset):
        def __len__(self):
            return 60
        def __getitem__(self, i):
            return torch.rand(3), i % 2
    inputs = torch.randn(80, 3) + SHIFT + torch.from_numpy(np.random.rand(80, 3)) + random.random()
    return (Late(), Late()) if late else ((inputs[:60], torch.arange(60) % 2), (inputs[60:], torch.arange(20) % 2))
"""


@pytest.mark.parametrize("late", [False, True])
def test_what_a_function_draws_is_the_same_for_every_seed(late: bool, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(DRAWN)
    chosen = ("data=import:mine:data", f"+data.options.late={late}")
    before = torch.get_rng_state()
    tests = []
    for seed, split_seed in ((0, 0), (1, 0), (0, 1)):
        sys.modules.pop("mine", None)
        data = load({**options(*chosen)["data"], "split_seed": split_seed}, seed)
        tests.append(data.test.inputs)
    assert torch.equal(tests[0], tests[1])
    assert not torch.equal(tests[0], tests[2])
    assert torch.equal(before, torch.get_rng_state())
    record = run(options(*chosen))
    capsys.readouterr()
    sys.modules.pop("mine", None)
    torch.manual_seed(5)
    random.seed(5)
    assert run(options(*chosen)) == record
    assert "done already" in capsys.readouterr().out
