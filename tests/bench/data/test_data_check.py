"""Data that cannot be trained on are refused in one line, before anything is; types decide about scaling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.core.errors import DataError
from bench.data import Dataset, Part, check, datasets, load
from bench.data.split import statistics
from tests.bench.data.conftest import write_idx


def classes(count: int = 6) -> Dataset:
    def part() -> Part:
        return Part(torch.rand(count, 2, 3, 3), torch.arange(count) % 3)

    return Dataset("own", "classification", 3, (2, 3, 3), part(), part(), part(), torch.zeros(2), torch.ones(2))


def values() -> Dataset:
    def part() -> Part:
        return Part(torch.rand(6, 4), torch.rand(6, 2))

    return Dataset("own", "regression", 2, (4,), part(), part(), part(), torch.zeros(4), torch.ones(4))


def with_part(data: Dataset, name: str, inputs: Tensor | None = None, targets: Tensor | None = None) -> Dataset:
    part = getattr(data, name)
    made = Part(part.inputs if inputs is None else inputs, part.targets if targets is None else targets)
    return replace(data, **{name: made})


def put(tensor: Tensor, value: float) -> Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[1] = value
    return tensor


Break = Callable[[], Dataset]
BROKEN: list[tuple[Break, str]] = [
    (lambda: with_part(classes(), "test", targets=torch.arange(5)), "the test part has 6 inputs and 5 targets"),
    (lambda: with_part(classes(), "train", torch.rand(0, 2, 3, 3), torch.arange(0)), "the train part has no examples"),
    (
        lambda: with_part(classes(), "test", torch.rand(6, 2, 4, 3)),
        r"inputs of shape \(2, 4, 3\); expected",
    ),
    (lambda: with_part(classes(), "test", torch.rand(6, 2, 3, 3).half()), "inputs of type float16"),
    (lambda: with_part(classes(), "train", torch.ones(6, 2, 3, 3).int()), "inputs of type int32"),
    (lambda: with_part(classes(), "validation", put(torch.rand(6, 2, 3, 3), float("nan"))), "not finite, in 1 of 6"),
    (lambda: with_part(values(), "train", put(torch.rand(6, 4), float("inf"))), "not finite, in 1 of 6"),
    (lambda: with_part(classes(), "train", targets=torch.tensor([1, 2, 3, 1, 2, 3])), "classes from 1 to 3; .* 0 to 2"),
    (lambda: with_part(classes(), "test", targets=torch.tensor([-1, 2, 0, 1, 2, 0])), "classes from -1 to 2"),
    (lambda: with_part(classes(), "train", targets=torch.rand(6)), "targets of type float32"),
    (lambda: with_part(classes(), "train", targets=torch.zeros(6, 1).long()), r"shape \(6, 1\); expected int64"),
    (lambda: with_part(classes(), "train", targets=torch.ones(6).long()), "are of class 1; expected several"),
    (lambda: with_part(values(), "test", targets=torch.rand(6, 3)), r"expected floats of shape \(N, 2\)"),
    (lambda: with_part(values(), "test", targets=put(torch.rand(6, 2), float("nan"))), "targets that are not finite"),
    (lambda: replace(classes(), mean=torch.zeros(3)), "its mean is .* expected 2 finite numbers"),
    (lambda: replace(classes(), std=torch.tensor([1.0, 0.0])), "expected numbers above 0"),
    (lambda: replace(values(), std=torch.tensor([1.0, 2.0, float("nan"), 1.0])), "its std is"),
]


@pytest.mark.parametrize(("broken", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_what_cannot_be_trained_on(broken: Break, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.names()
    data = broken()
    entry = datasets["digits"]
    monkeypatch.setitem(datasets._entries, "own", replace(entry, name="own", factory=lambda config, seed: data))
    with pytest.raises(DataError, match=rf"^data=own: .*{message}") as error:
        load({"name": "own"}, 0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [classes(), values()], ids=["classes", "values"])
def test_what_can_is_left_as_it_is(data: Dataset) -> None:
    assert check(data, "own") is data


def test_a_factory_that_makes_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.names()
    monkeypatch.setitem(datasets._entries, "own", replace(datasets["digits"], name="own", factory=lambda c, seed: 3))
    with pytest.raises(DataError, match=r"^data=own: its factory made int; expected a bench.data.Dataset"):
        load({"name": "own"}, 0)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_float_images_are_not_scaled(kind: torch.dtype) -> None:
    inputs = (3 + 2 * torch.randn(500, 2, 3, 3)).to(kind)
    mean, std = statistics(inputs)
    part = Part(inputs, torch.arange(500) % 3)
    data = Dataset("own", "classification", 3, (2, 3, 3), part, part, part, mean, std)
    fed, _ = data.batch(part, torch.arange(500))
    assert fed.dtype == torch.float32
    assert torch.allclose(fed.mean((0, 2, 3)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(fed.std((0, 2, 3), correction=0), torch.ones(2), atol=1e-5)


def test_bytes_and_their_float_fractions_are_fed_alike() -> None:
    pixels = torch.randint(256, (50, 2, 3, 3), dtype=torch.uint8)
    fed = []
    for inputs in (pixels, pixels.float() / 255):
        mean, std = statistics(inputs)
        part = Part(inputs, torch.arange(50) % 3)
        data = Dataset("own", "classification", 3, (2, 3, 3), part, part, part, mean, std)
        fed.append(data.batch(part, torch.arange(50))[0])
    assert torch.allclose(*fed, atol=1e-5)


def test_a_channel_without_variation_has_deviation_one() -> None:
    inputs = torch.full((5, 2, 3, 3), 0.1)
    assert statistics(inputs)[1].equal(torch.ones(2))
    assert statistics(torch.full((5, 2, 3, 3), 7, dtype=torch.uint8))[1].equal(torch.ones(2))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (60, np.arange(59) % 10, "60 inputs and 59 targets"),
        (60, np.full(60, 4), "all examples of the train part are of class 4"),
        (60, np.arange(60) % 12, "classes from 0 to 11; expected numbers from 0 to 9"),
        (0, np.arange(0), "no readable files"),
    ],
)
def test_files_that_hold_something_else(images: int, labels: np.ndarray, message: str, files: Path) -> None:
    raw = files / "MNIST" / "raw"
    write_idx(raw / "train-images-idx3-ubyte", np.zeros((images, 28, 28), np.uint8))
    write_idx(raw / "train-labels-idx1-ubyte", labels.astype(np.uint8))
    with pytest.raises(DataError, match=message):
        load({"name": "mnist", "root": str(files), "download": False, "validation": 10}, 0)


def test_images_of_another_size(files: Path) -> None:
    raw = files / "MNIST" / "raw"
    write_idx(raw / "t10k-images-idx3-ubyte", np.zeros((20, 14, 14), np.uint8))
    with pytest.raises(DataError, match=r"^data=mnist: the test part has inputs of shape \(1, 14, 14\); expected"):
        load({"name": "mnist", "root": str(files), "download": False, "validation": 10}, 0)
