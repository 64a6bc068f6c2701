"""The text: windows and the characters that follow them, from passages that no two parts share."""

from __future__ import annotations

from importlib.resources import files

import pytest
import torch

from bench.core.errors import ConfigError
from bench.data import load
from bench.data.text import PASSAGE, TEST_PASSAGES, read

PASSAGES = len((files("bench.data") / "text.txt").read_text()) // PASSAGE


def test_the_numbers_are_the_text() -> None:
    symbols, numbers = read()
    text = "".join(symbols[number] for number in numbers)
    assert text == (files("bench.data") / "text.txt").read_text()
    assert "It is a truth universally acknowledged" in text
    assert sorted(set(text)) == list(symbols)


@pytest.mark.parametrize(("length", "stride"), [(1, 1), (32, 8), (100, 300), (999, 5)])
def test_every_window_stands_in_the_text_before_its_target(length: int, stride: int) -> None:
    symbols, numbers = read()
    data = load({"name": "text", "length": length, "stride": stride}, seed=3)
    text = "".join(symbols[number] for number in numbers)
    each = (PASSAGE - length - 1) // stride + 1
    assert len(data.train) == (PASSAGES - TEST_PASSAGES - 20) * each
    assert len(data.validation) == 20 * each
    assert len(data.test) == TEST_PASSAGES * each
    assert data.outputs == len(symbols)
    for part in (data.train, data.validation, data.test):
        for i in torch.linspace(0, len(part) - 1, 5).long():
            window = "".join(symbols[number] for number in (*part.inputs[i], part.targets[i]))
            assert window in text


def test_parts_are_of_different_passages() -> None:
    _, numbers = read()
    data = load({"name": "text", "length": PASSAGE - 1, "stride": 1}, seed=1)
    whole = {tuple(passage.tolist()) for passage in numbers.unfold(0, PASSAGE, PASSAGE)[:, :-1]}
    parts = [{tuple(row.tolist()) for row in part.inputs} for part in (data.train, data.validation, data.test)]
    assert set.union(*parts) == whole
    assert sum(map(len, parts)) == len(whole) == PASSAGES
    last = {tuple(passage.tolist()) for passage in numbers.unfold(0, PASSAGE, PASSAGE)[-TEST_PASSAGES:, :-1]}
    assert parts[2] == last


def test_fewer_windows_to_train_on() -> None:
    some, every = (load({"name": "text", "train_size": size}, seed=0) for size in (50, None))
    assert len(some.train) == 50
    assert {tuple(row.tolist()) for row in some.train.inputs} <= {tuple(row.tolist()) for row in every.train.inputs}
    assert some.validation.inputs.equal(every.validation.inputs)


@pytest.mark.parametrize(
    ("option", "value"),
    [("length", 0), ("length", PASSAGE), ("stride", 0), ("validation", 139 + 20), ("train_size", 0)],
)
def test_sizes_out_of_range_are_named(option: str, value: int) -> None:
    with pytest.raises(ConfigError, match=rf"^data\.{option}={value}: expected "):
        load({"name": "text", option: value}, seed=0)
