"""Small image sets in the formats of torchvision's files, read by the real loaders."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets.cifar

from bench.data import datasets


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with 60 training and 20 test images of each set, all pixels random."""
    random = np.random.default_rng(0)
    for name in ("MNIST", "FashionMNIST"):
        raw = tmp_path / name / "raw"
        raw.mkdir(parents=True)
        for part, count in (("train", 60), ("t10k", 20)):
            write_idx(raw / f"{part}-images-idx3-ubyte", random.integers(0, 256, (count, 28, 28), np.uint8))
            write_idx(raw / f"{part}-labels-idx1-ubyte", random.integers(0, 10, count, np.uint8))
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda path, md5=None: Path(path).is_file())
    ten = {f"data_batch_{i}": 12 for i in range(1, 6)} | {"test_batch": 20}
    write_cifar(tmp_path / "cifar-10-batches-py", ten, "labels", 10, random)
    (tmp_path / "cifar-10-batches-py" / "batches.meta").write_bytes(pickle.dumps({"label_names": []}))
    write_cifar(tmp_path / "cifar-100-python", {"train": 60, "test": 20}, "fine_labels", 100, random)
    (tmp_path / "cifar-100-python" / "meta").write_bytes(pickle.dumps({"fine_label_names": []}))
    return tmp_path


def write_idx(path: Path, values: np.ndarray) -> None:
    """The idx format: type, number of dimensions, sizes as big-endian words, bytes."""
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes()
    path.write_bytes(header + values.tobytes())


def write_cifar(folder: Path, sizes: dict[str, int], key: str, classes: int, random: np.random.Generator) -> None:
    """Pickled batches of flat images and their classes."""
    folder.mkdir()
    for name, count in sizes.items():
        images = random.integers(0, 256, (count, 3072), np.uint8)
        content = {"data": images, key: random.integers(0, classes, count).tolist()}
        (folder / name).write_bytes(pickle.dumps(content))


@pytest.fixture
def small(files: Path) -> Callable[[str], dict[str, Any]]:
    """Options by name that read a registered set from `files`, or make a small one."""
    options = {"root": str(files), "download": False, "validation": 10, "test_size": 20}

    def choose(name: str) -> dict[str, Any]:
        known = {field.name for field in fields(datasets[name].config)}
        return {"name": name} | {key: value for key, value in options.items() if key in known}

    return choose
