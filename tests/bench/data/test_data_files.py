"""Torchvision's files: read as torchvision reads them, fetched once, explained when missing."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST
from torchvision.transforms import v2

from bench.core.errors import ConfigError, DataError
from bench.data import load
from bench.data.files import read
from bench.data.split import statistics

CLASSES = {"mnist": MNIST, "fashion_mnist": FashionMNIST, "cifar10": CIFAR10, "cifar100": CIFAR100}
every = pytest.mark.parametrize("name", CLASSES)


def same_as_torchvision(name: str, root: Path, examples: int, validation: int) -> None:
    """Compare the test part with torchvision's own pipeline, image by image."""
    data = load({"name": name, "root": str(root), "download": False, "validation": validation}, seed=0)
    scale = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    reference = CLASSES[name](root, train=False, transform=v2.Compose([scale, v2.Normalize(data.mean, data.std)]))
    inputs, targets = data.batch(data.test, torch.arange(examples))
    assert len(data.test) == len(reference)
    for i in range(examples):
        image, target = reference[i]
        torch.testing.assert_close(inputs[i], torch.as_tensor(image), atol=1e-5, rtol=1e-5)
        assert targets[i] == target


@every
def test_small_files(name: str, files: Path) -> None:
    same_as_torchvision(name, files, examples=20, validation=10)


@every
@pytest.mark.skipif("GROWTH_BENCH_DATA" not in os.environ, reason="GROWTH_BENCH_DATA names no folder of real data")
def test_the_real_files(name: str) -> None:
    root = Path(os.environ["GROWTH_BENCH_DATA"])
    same_as_torchvision(name, root, examples=50, validation=5000)
    data = load({"name": name, "root": str(root), "download": False}, seed=3)
    assert len(data.train) + len(data.validation) == (60000 if "mnist" in name else 50000)
    assert data.test.targets.bincount(minlength=data.outputs).min() >= 0.8 * 10000 / data.outputs
    expected = {"mnist": 0.1307, "fashion_mnist": 0.2860, "cifar10": 0.4914, "cifar100": 0.5071}[name]
    assert statistics(data.train.inputs)[0][0] == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_grey_images_are_normalised_by_the_training_part(name: str, files: Path) -> None:
    data = load({"name": name, "root": str(files), "validation": 10, "train_size": 5}, seed=0)
    inputs, _ = data.batch(data.train, torch.arange(5))
    assert inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert inputs.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert (data.crop, data.flip) == (0, False)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_colour_images_follow_the_published_recipe(name: str, files: Path) -> None:
    data = load({"name": name, "root": str(files), "validation": 10}, seed=0)
    torch.testing.assert_close(data.mean, torch.tensor([0.4914, 0.4822, 0.4465]))
    torch.testing.assert_close(data.std, torch.tensor([0.2023, 0.1994, 0.2010]))
    assert (data.crop, data.flip) == (4, True)


@every
def test_a_negative_crop(name: str) -> None:
    with pytest.raises(ConfigError, match=r"data\.crop=-1: expected a number of pixels, 0 or more"):
        load({"name": name, "crop": -1}, seed=0)


@every
@pytest.mark.parametrize("download", [False, True])
def test_missing_files_are_one_line(
    name: str, download: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = "http://127.0.0.1:9/"  # the discard port: refuses at once
    monkeypatch.setattr(MNIST, "mirrors", [nowhere])
    monkeypatch.setattr(FashionMNIST, "mirrors", [nowhere])
    monkeypatch.setattr(CIFAR10, "url", nowhere)
    monkeypatch.setattr(CIFAR100, "url", nowhere)
    with pytest.raises(DataError, match=rf"^data={name}: .*data\.root={tmp_path} .*data\.download=true") as caught:
        load({"name": name, "root": str(tmp_path), "download": download}, seed=0)
    assert "\n" not in str(caught.value)
    printed = capsys.readouterr()
    assert printed.out == ""
    said_at_once = printed.err.startswith(f"data={name}: fetching its files into data.root={tmp_path}\n")
    assert said_at_once is download


def test_a_damaged_file_is_one_line(files: Path) -> None:
    path = files / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"data=mnist: no readable files .*remove damaged ones"):
        load({"name": "mnist", "root": str(files)}, seed=0)


def test_many_readers_download_once(tmp_path: Path) -> None:
    done, inside = tmp_path / "done", threading.Lock()
    downloads: list[bool] = []

    def source(root: Path, train: bool, download: bool) -> Any:
        if not done.exists():
            if not download:
                raise RuntimeError("Dataset not found")
            assert inside.acquire(blocking=False), "two downloads at once"
            time.sleep(0.05)
            downloads.append(True)
            done.touch()
            inside.release()
        return SimpleNamespace(data=torch.zeros(2, 4, 4, dtype=torch.uint8), targets=[0, 1])

    with ThreadPoolExecutor(4) as workers:
        parts = list(workers.map(lambda _: read(source, "fake", str(tmp_path), True), range(4)))
    assert len(downloads) == 1
    assert all(train.inputs.shape == (2, 1, 4, 4) for train, _ in parts)


def test_files_that_are_there_take_no_lock(files: Path) -> None:
    load({"name": "mnist", "root": str(files), "validation": 10}, seed=0)
    assert not list(files.glob(".*"))
