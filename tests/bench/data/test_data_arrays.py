"""Named arrays in a file: whatever they are called, the same data; nothing in the file is run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.core import output
from bench.core.errors import ConfigError, DataError
from bench.data import Dataset, load

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "train_inputs": RANDOM.integers(0, 256, (40, 6, 5, 3), np.uint8),
    "train_targets": np.arange(40) % 3,
    "test_inputs": RANDOM.integers(0, 256, (20, 6, 5, 3), np.uint8),
    "test_targets": np.arange(20) % 3,
}


def read(path: Path, **options: Any) -> Dataset:
    return load({"name": f"file:{path.name}", "root": str(path.parent), **options}, 0)


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [
        ("{}_inputs", "{}_targets"),
        ("x_{}", "y_{}"),
        ("X_{}", "Y_{}"),
        ("{}_images", "{}_labels"),
        ("{}.data", "{}.targets"),
    ],
)
def test_names_of_arrays(inputs: str, targets: str, tmp_path: Path) -> None:
    names = {
        f"{part}_{role}": name.format(part)
        for part in ("train", "test")
        for role, name in zip(("inputs", "targets"), (inputs, targets), strict=True)
    }
    data = read(npz(tmp_path / "one.npz", **{names[key]: value for key, value in ARRAYS.items()}))
    assert data.input_shape == (3, 6, 5)
    assert data.test.inputs.equal(torch.from_numpy(ARRAYS["test_inputs"]).permute(0, 3, 1, 2))
    assert data.held_out == ("validation",)


def test_a_file_of_pytorchs_is_the_same(tmp_path: Path) -> None:
    torch.save({key: torch.from_numpy(value) for key, value in ARRAYS.items()}, tmp_path / "one.pt")
    assert read(tmp_path / "one.pt").digest() == read(npz(tmp_path / "one.npz", **ARRAYS)).digest()


def test_a_validation_part_and_names_of_classes(tmp_path: Path) -> None:
    path = npz(
        tmp_path / "one.npz",
        **ARRAYS,
        val_x=np.zeros((6, 6, 5, 3), np.uint8),
        val_y=np.arange(6) % 3,
        classes=np.array(["ape", "bee", "cat"]),
    )
    data = read(path)
    assert (len(data.train), len(data.validation), data.held_out) == (40, 6, ())
    assert data.classes == ("ape", "bee", "cat")


def test_what_is_not_used_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output.notice.cache_clear()
    read(npz(tmp_path / "one.npz", **ARRAYS, tets_inputs=np.zeros(3), ids=np.zeros(3)))
    assert capsys.readouterr().err == "data=file:one.npz: not used: tets_inputs, ids\n"


class Mark:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    torch.save({"inputs": Mark(mark)}, tmp_path / "one.pt")
    np.savez(tmp_path / "one.npz", inputs=np.array([Mark(mark)]), targets=np.zeros(1))
    for name in ("one.pt", "one.npz"):
        with pytest.raises(DataError, match=rf"^data=file:{name}: cannot be read as named arrays \(") as error:
            read(tmp_path / name)
        assert "\n" not in str(error.value)
    assert not mark.exists()


def missing(path: Path) -> None:
    """Write nothing."""


WRONG = [
    (missing, "one.npz", r"no such file below data\.root=.*; expected a file that ends in \.npz, \.pt"),
    (Path.mkdir, "one.npz", "no such file"),
    (Path.touch, "one.npz", "cannot be read as named arrays"),
    (Path.touch, "one.pt", "cannot be read as named arrays"),
    (Path.touch, "one.csv", r"a file that ends in \.csv; expected one of \.npz"),
    (lambda path: path.write_bytes(b"PK\3\4" + bytes(99)), "one.npz", "cannot be read as named arrays"),
    (lambda path: path.write_bytes(b"\x93NUMPY"), "one.npz", "cannot be read as named arrays"),
    (lambda path: torch.save([1], path), "one.pt", "holds a list; expected arrays by name"),
    (lambda path: npz(path, train=np.zeros(3)), "one.npz", "no inputs of the train part among train; expected arrays"),
    (lambda path: npz(path), "one.npz", "no inputs of the train part among nothing"),
    (lambda path: npz(path, x=np.zeros(3)), "one.npz", "no targets of the train part among x"),
    (lambda path: npz(path, x=np.zeros(3), y=np.zeros(3), x_test=np.zeros(3)), "one.npz", "no targets of the test"),
    (lambda path: npz(path, x=np.zeros(3), inputs=np.zeros(3)), "one.npz", "arrays x and inputs are both inputs"),
]


@pytest.mark.parametrize(("write", "name", "message"), WRONG, ids=[message for *_, message in WRONG])
def test_what_cannot_be_read(write: Any, name: str, message: str, tmp_path: Path) -> None:
    write(tmp_path / name)
    with pytest.raises(DataError, match=rf"^data=file:{name}: {message}") as error:
        read(tmp_path / name)
    assert "\n" not in str(error.value)


def test_no_path() -> None:
    with pytest.raises(ConfigError, match=r"^data=file:: expected file:PATH$"):
        load({"name": "file:"}, 0)
