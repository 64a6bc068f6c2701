"""Data of one's own from a function: types decide what they are, missing parts are held out, mistakes are one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset, TensorDataset

from bench.core import output
from bench.core.errors import BenchError, ConfigError, DataError
from bench.data import Dataset, load

MODULE = """
found = None

def data(**options):
    return found(**options)

NUMBER = 3
"""
Own = Callable[..., Dataset]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Own:
    """Loads what a function returns, as ``data=import:own_module:data``."""
    (tmp_path / "own_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "own_module", raising=False)
    import own_module  # type: ignore[import-not-found]

    def loaded(found: object, seed: int = 0, **options: Any) -> Dataset:
        own_module.found = found if callable(found) and not isinstance(found, TorchDataset) else lambda **_: found
        return load({"name": "import:own_module:data", **options}, seed)

    return loaded


def labels(count: int, classes: int = 3) -> torch.Tensor:
    return torch.arange(count) % classes


def vectors(count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    return 5 + 2 * torch.randn(count, 4, generator=torch.Generator().manual_seed(count)), labels(count)


class Pictures(TorchDataset):  # type: ignore[type-arg]
    """Images of PIL's, every other one grey."""

    classes = ("ape", "bee", "cat")

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        if index >= 12:
            raise IndexError
        image = Image.new("RGB", (6, 5), (index, 0, 0))
        return (image if index % 2 else image.convert("L")), index % 3


# -- what is returned --------------------------------------------------------------------------------------------------


def test_two_pairs(own: Own) -> None:
    train, test = vectors(40), vectors(20)
    data = own((train, test), validation=10)
    assert (data.task, data.outputs, data.input_shape) == ("classification", 3, (4,))
    assert (len(data.train), len(data.validation), data.held_out) == (30, 10, ("validation",))
    assert data.test.inputs.equal(test[0])
    together = torch.cat([data.train.inputs, data.validation.inputs])
    assert together.sort(0).values.equal(train[0].sort(0).values)


def test_three_parts_and_parts_by_name(own: Own) -> None:
    train, validation, test = vectors(40), vectors(16), vectors(20)
    for found in ((train, validation, test), {"train": train, "test": test, "validation": validation}):
        data = own(found)
        assert data.train.inputs.equal(train[0])
        assert data.validation.inputs.equal(validation[0])
        assert data.test.inputs.equal(test[0])
        assert data.held_out == ()
        assert len(own(found, train_size=7).train) == 7


def test_pytorchs_data_sets(own: Own) -> None:
    train, test = vectors(40), vectors(20)
    one = own((TensorDataset(*train), TensorDataset(*test)))
    other = own((Listed(train), Listed(test)))
    assert one.digest() == other.digest() == own((train, test)).digest()


class Listed(TorchDataset):  # type: ignore[type-arg]
    """Examples one by one, with no end but an `IndexError`."""

    def __init__(self, pair: tuple[torch.Tensor, torch.Tensor]) -> None:
        self.pair = pair

    def __len__(self) -> int:
        return len(self.pair[0])

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.pair[0][index].numpy(), int(self.pair[1][index])


def test_a_data_set_of_images(own: Own) -> None:
    data = own(Pictures(), validation=2, test=3)
    assert data.input_shape == (3, 5, 6)
    assert data.train.inputs.dtype == torch.uint8
    assert data.classes == ("ape", "bee", "cat")


def test_options_are_the_functions(own: Own) -> None:
    assert len(own(lambda count: vectors(count), options={"count": 50}, validation=5, test=5).train) == 40


# -- types decide ------------------------------------------------------------------------------------------------------


def test_bytes_are_scaled_and_floats_are_not(own: Own) -> None:
    """So that both are fed alike, normalised by the training part."""
    pixels = torch.randint(256, (60, 2, 3, 3), dtype=torch.uint8)
    for inputs, unit in ((pixels, 255), (pixels.double(), 1)):
        data = own((inputs, labels(60)))
        fed, _ = data.batch(data.train, torch.arange(len(data.train)))
        assert torch.allclose(fed.mean((0, 2, 3)), torch.zeros(2), atol=1e-5)
        assert torch.allclose(fed.std((0, 2, 3), correction=0), torch.ones(2), atol=1e-5)
        assert torch.allclose(data.mean, data.train.inputs.double().mean((0, 2, 3)).float() / unit)
        assert data.record().mean == data.mean.tolist()
        plain = own((inputs, labels(60)), normalise=False)
        fed, _ = plain.batch(plain.train, torch.arange(9))
        assert torch.allclose(fed, plain.train.inputs[:9].float() / unit)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((30, 3, 6, 5), (3, 6, 5)),
        ((30, 6, 5, 3), (3, 6, 5)),
        ((30, 2, 3, 3), (2, 3, 3)),
        ((30, 6, 5), (1, 6, 5)),
        ((30, 7), (7,)),
        ((30,), (1,)),
    ],
)
def test_shapes(shape: tuple[int, ...], expected: tuple[int, ...], own: Own) -> None:
    inputs = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    data = own((inputs, labels(30)), normalise=False)
    assert data.input_shape == expected
    if shape == (30, 6, 5, 3):
        first = inputs.transpose(0, 3, 1, 2)
        assert {tuple(one.flatten().tolist()) for one in data.test.inputs} <= {tuple(one.ravel()) for one in first}


@pytest.mark.parametrize("targets", [torch.randn(40), torch.randn(40, 2), np.random.default_rng(0).normal(size=40)])
def test_targets_that_are_floats_are_values(targets: Any, own: Own) -> None:
    data = own((vectors()[0], targets))
    assert (data.task, data.outputs) == ("regression", 1 if targets.ndim == 1 else 2)
    assert data.train.targets.dtype == torch.float32
    assert data.train.targets.shape == (len(data.train), data.outputs)


def test_the_task_may_be_said(own: Own) -> None:
    inputs, classes = vectors()
    assert own((inputs, classes), task="regression").outputs == 1
    assert own((inputs, classes.float()), task="classification").outputs == 3
    assert own((inputs, classes), classes=5).outputs == 5
    with pytest.raises(DataError, match="targets that are no whole numbers; expected numbers of classes"):
        own((inputs, classes + 0.5), task="classification")


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.uint16, bool, ">i4"])
def test_classes_of_any_whole_type(kind: Any, own: Own) -> None:
    data = own((vectors()[0], (np.arange(40) % 2).astype(kind)[:, None]))
    assert (data.outputs, data.train.targets.dtype, data.train.targets.dim()) == (2, torch.int64, 1)


def test_classes_by_name(own: Own) -> None:
    names = np.array(["dog", "cat"])[np.arange(40) % 2]
    data = own(((vectors()[0], names), (vectors(20)[0], names[:20].tolist())))
    assert data.classes == ("cat", "dog")
    assert data.test.targets.tolist() == [1, 0] * 10


def test_symbols(own: Own) -> None:
    data = own((torch.arange(120).view(40, 3), labels(40)))
    assert (data.input_dtype, data.input_shape, data.mean.numel()) == (torch.int64, (3,), 0)


# -- held out ----------------------------------------------------------------------------------------------------------


def test_a_missing_test_part_is_held_out_and_said(own: Own, capsys: pytest.CaptureFixture[str]) -> None:
    output.notice.cache_clear()
    one, two = (own(vectors(50), seed=seed) for seed in (0, 1))
    said = "no test part; 10 of 50 training examples are held out (data.test=0.2)\n"
    assert capsys.readouterr().err == f"data=import:own_module:data: {said}"  # once
    assert (len(one.train), len(one.validation), len(one.test)) == (36, 4, 10)
    assert one.record().held_out == ["test", "validation"]
    assert one.test.inputs.equal(two.test.inputs)  # whatever the run's seed
    assert not one.validation.inputs.equal(two.validation.inputs)
    assert not one.test.inputs.equal(own(vectors(50), split_seed=1).test.inputs)
    rows = torch.cat([one.train.inputs, one.validation.inputs, one.test.inputs])
    assert rows.sort(0).values.equal(vectors(50)[0].sort(0).values)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def put(tensor: torch.Tensor, value: float) -> torch.Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[:] = tensor.view(-1).masked_fill(torch.arange(tensor.numel()) % 9 == 0, value)
    return tensor


def raises(**options: object) -> None:
    raise RuntimeError("two\nlines")


def leaves(**options: object) -> None:
    raise SystemExit(3)


WRONG: list[tuple[object, dict[str, Any], str]] = [
    (3, {}, r"the function returned int; expected \(train, test\) or"),
    (None, {}, r"the function returned NoneType; expected"),
    ((vectors()[0],) * 4, {}, r"the function returned tuple of Tensor, Tensor, Tensor, Tensor; expected"),
    (raises, {}, "RuntimeError: two lines"),
    (leaves, {}, "SystemExit: 3"),
    (vectors(), {"options": {"nothing": 1}}, ""),
    ((vectors()[0], labels(39)), {}, "the train part has 40 inputs and 39 targets; expected as many"),
    ((torch.empty(0, 4), torch.empty(0)), {}, "the train part has no examples"),
    ((put(vectors()[0], float("nan")), labels(40)), {}, "part has inputs that are not finite"),
    ((vectors()[0], put(torch.randn(40), float("inf"))), {}, "part has targets that are not finite"),
    ((vectors()[0], torch.ones(40).long()), {"classes": 2}, "all examples of the train part are of class 1"),
    ((vectors()[0], labels(40) + 1), {}, r"targets are 1, 2, 3 up to 3, 3 different ones; .* data\.classes=4"),
    ((vectors()[0], labels(40) - 1), {}, "part has classes from -1 to 1; expected numbers from 0 to 1"),
    ((vectors()[0], labels(40)), {"classes": 2}, "part has classes from 0 to 2; expected numbers from 0 to 1"),
    ((vectors()[0], torch.eye(40).long()), {}, r"targets of type int64 and shape .*; expected int64 of shape \(N,\)"),
    ((vectors()[0].int(), labels(40)), {}, "part has inputs of type int32; expected uint8 images, floats or"),
    ((torch.zeros(40, 1, 2, 3, 4), labels(40)), {}, r"shape \(\d+, 1, 2, 3, 4\); expected images \(N, C, H, W\)"),
    ((np.array([{}] * 40), labels(40)), {}, "train inputs of type ndarray are no array of numbers"),
    ((vectors(), (torch.zeros(9, 5), labels(9))), {}, r"the test part has inputs of shape \(5,\); expected \(4,\)"),
    ({"train_inputs": vectors()[0]}, {}, "no targets of the train part among train_inputs; expected arrays inputs"),
    ({"test": vectors()}, {}, "no part train, only test"),
    ({"train": 3}, {}, r"a part that is int; expected \(train, test\)"),
    (TensorDataset(vectors()[0]), {}, "items that are tuple of Tensor; expected pairs"),
]


@pytest.mark.parametrize(("found", "options", "message"), WRONG, ids=[message for *_, message in WRONG])
def test_what_cannot_be_trained_on(found: object, options: dict[str, Any], message: str, own: Own) -> None:
    if options.get("options"):
        options, message, found = options, "TypeError: .*nothing", lambda: vectors()
    with pytest.raises(BenchError, match=rf"^data=import:own_module:data: .*{message}") as error:
        own(found, **options)
    assert "\n" not in str(error.value)


class Broken(Listed):
    """One item cannot be had."""

    error: Exception = KeyError("no such file")

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        if index == 7:
            raise self.error
        return super().__getitem__(index)


class Streamed(IterableDataset):  # type: ignore[type-arg]
    """The same, one after the other."""

    def __init__(self, items: Broken) -> None:
        self.items = items

    def __iter__(self) -> Iterator[tuple[np.ndarray, int]]:
        return (self.items[i] for i in range(len(self.items)))


@pytest.mark.parametrize("form", [lambda items: items, Streamed])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("no such\nfile"), r"KeyError: 'no such\nfile'"),
        (ValueError("no\nimage"), "ValueError: no image"),
        (IndexError(), "IndexError"),
    ],
)
def test_an_item_that_raises_is_named_with_what_it_raises(
    form: Callable[[Broken], object], error: Exception, said: str, own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Broken, "error", error)
    found = {"train": Listed(vectors()), "test": form(Broken(vectors()))}
    for parts, part in ((found, "test"), (found["test"], "train")):
        with pytest.raises(DataError) as raised:
            own(parts)
        assert str(raised.value) == f"data=import:own_module:data: the {part} part: item 7 raises {said}"


@pytest.mark.parametrize("name", ["", "own_module", "own_module:", "own_module:NUMBER", "own_module:no", "no.such:f"])
def test_a_name_that_is_no_function(name: str, own: Own) -> None:
    with pytest.raises(ConfigError, match=rf"^data=import:{name}: expected import:package.module:function, a function"):
        load({"name": f"import:{name}"}, 0)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("validation", 0, "a share above 0 and below 1, or a number of examples"),
        ("test", 1.5, "a share above 0 and below 1, or a number of examples"),
        ("test", 40, "a number from 1 to 39"),
        ("validation", 32, "a number from 1 to 31"),
        ("train_size", 30, "a number from 1 to 29, or null for all"),
        ("task", "clustering", "one of classification, regression"),
        ("classes", 1, "a number from 2 to"),
        ("crop", 2, "images, which the inputs are not"),
        ("flip", True, "images, which the inputs are not"),
    ],
)
def test_options_out_of_range(option: str, value: Any, message: str, own: Own) -> None:
    with pytest.raises(ConfigError, match=rf"^data\.{option}={value}: expected {message}"):
        own(vectors(40), **{option: value})


def test_a_number_of_classes_for_values(own: Own) -> None:
    with pytest.raises(ConfigError, match=r"^data\.classes=3: expected null, as the targets are values"):
        own((vectors()[0], torch.randn(40)), classes=3)


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (torch.linspace(1e5, 3e5, 40), "targets have mean 2e+05 and deviation 6e+04; training expects"),
        (torch.linspace(0, 1e-4, 40), "targets have mean 5e-05 and deviation"),
        (torch.eye(3)[labels(40)], "targets are floats with a single 1 in each row"),
        (torch.linspace(-1, 1, 40), ""),
        (torch.zeros(40, 2), ""),
    ],
)
def test_values_that_are_hardly_meant_are_remarked_on(
    targets: torch.Tensor, said: str, own: Own, capsys: pytest.CaptureFixture[str]
) -> None:
    output.notice.cache_clear()
    own((vectors()[0], targets))
    told = capsys.readouterr().err
    assert said in told
    assert ("targets" in told) == bool(said)
