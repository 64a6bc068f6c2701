"""Any of torchvision's sets for classification: its parts by whatever it calls them, mistakes in one line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.datasets
from torchvision.datasets import VisionDataset

from bench.core.errors import ConfigError, DataError
from bench.data import load

FAKE = {"name": "torchvision:FakeData", "options": {"size": 60, "image_size": [3, 8, 8], "num_classes": 3}}


@pytest.mark.parametrize(("own", "known"), [("MNIST", "mnist"), ("CIFAR10", "cifar10")])
def test_the_same_examples_as_our_own_reader(own: str, known: str, files: Path) -> None:
    options = {"root": str(files), "download": False, "validation": 10}
    one, two = load({"name": f"torchvision:{own}", **options}, 0), load({"name": known, **options}, 0)
    for part in ("train", "validation", "test"):
        assert getattr(one, part).inputs.equal(getattr(two, part).inputs)
        assert getattr(one, part).targets.equal(getattr(two, part).targets)
    assert one.files == two.files != {}


@pytest.mark.skipif("GROWTH_BENCH_DATA" not in os.environ, reason="GROWTH_BENCH_DATA names no folder of real data")
def test_the_real_files() -> None:
    data = load({"name": "torchvision:MNIST", "root": os.environ["GROWTH_BENCH_DATA"], "download": False}, 0)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [54000, 6000, 10000]
    assert data.classes[3] == "3 - three"
    assert float(data.mean) == pytest.approx(0.1307, abs=2e-3)


def test_a_set_without_parts_and_with_options() -> None:
    data = load(FAKE, 0)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [43, 5, 12]
    assert (data.input_shape, data.held_out) == ((3, 8, 8), ("test", "validation"))
    assert load({**FAKE, "resize": 4}, 0).input_shape == (3, 4, 4)


class Split(VisionDataset):
    """A set whose parts are called train and val, as some of torchvision's are."""

    def __init__(self, root: str, split: str = "train", download: bool = False) -> None:
        if split not in ("train", "val"):
            raise ValueError(f"Unknown value '{split}' for argument split")
        self.fake = torchvision.datasets.FakeData(20 if split == "train" else 8, (3, 4, 4), 2)

    def __len__(self) -> int:
        return len(self.fake)

    def __getitem__(self, index: int) -> Any:
        return self.fake[index]


class Kept(Split):
    """One that hands its arguments on, as torchvision's EMNIST does."""

    def __init__(self, root: str, letters: bool, **kwargs: Any) -> None:
        super().__init__(root, **kwargs)
        if not kwargs["download"]:
            raise RuntimeError("Dataset not found")


def test_parts_by_split(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for kind in (Split, Kept):
        monkeypatch.setattr(torchvision.datasets, kind.__name__, kind, raising=False)
        monkeypatch.setattr(torchvision.datasets, "__all__", (*torchvision.datasets.__all__, kind.__name__))
    data = load({"name": "torchvision:Split", "root": str(tmp_path), "validation": 2}, 0)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [18, 2, 8]
    kept = {"name": "torchvision:Kept", "root": str(tmp_path), "validation": 2}
    assert load({**kept, "options": {"letters": True}}, 0).digest() == data.digest()
    with pytest.raises(ConfigError, match=r"^data\.options=\{\}: expected arguments of .*Kept: split, letters \("):
        load(kept, 0)
    whole = load({"name": "torchvision:Split", "root": str(tmp_path), "options": {"split": "val"}, "test": 2}, 0)
    assert len(whole.train) + len(whole.validation) + len(whole.test) == 8


@pytest.mark.parametrize(
    ("name", "hint"),
    [("mnist", r"\(did you mean MNIST\?\)"), ("CIFAR11", r"\(did you mean CIFAR10"), ("ImageFolder", "")],
)
def test_a_name_that_torchvision_has_not(name: str, hint: str) -> None:
    expected = "expected torchvision:NAME with the name of a class in torchvision.datasets"
    with pytest.raises(ConfigError, match=rf"^data=torchvision:{name}: {expected} ?{hint}"):
        load({"name": f"torchvision:{name}"}, 0)


def test_options_that_it_does_not_take() -> None:
    with pytest.raises(
        ConfigError, match=r"^data\.options=\{'sise': 3\}: expected arguments of .*: size, image_size, "
    ):
        load({"name": "torchvision:FakeData", "options": {"sise": 3}}, 0)


@pytest.mark.parametrize("download", [False, True])
def test_files_that_are_missing(download: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(DataError, match=r"^data=torchvision:MNIST: no readable files in data\.root=") as error:
        load({"name": "torchvision:MNIST", "root": str(tmp_path), "download": download}, 0)
    assert "\n" not in str(error.value)


def test_targets_that_are_no_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets.FakeData, "__getitem__", lambda self, i: (torch.zeros(3), {"box": 1}))
    with pytest.raises(DataError, match=r"^data=torchvision:FakeData: .*targets of type dict are no array of numbers"):
        load(FAKE, 0)
