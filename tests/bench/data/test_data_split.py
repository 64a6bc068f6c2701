"""Carving, statistics and streams."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from bench.core.errors import ConfigError
from bench.core.streams import stream
from bench.data import Part, split
from bench.data.split import hold_out, statistics

POOL = Part(torch.arange(20.0).view(20, 1), torch.arange(20))


@given(st.data(), st.integers(1, 19), st.integers())
def test_parts_are_of_the_asked_size_and_disjoint(data: st.DataObject, validation: int, seed: int) -> None:
    size = data.draw(st.none() | st.integers(1, 20 - validation))
    train, held_out = hold_out(POOL, validation, size, seed)
    assert (len(train), len(held_out)) == (size or 20 - validation, validation)
    assert len({*train.targets.tolist(), *held_out.targets.tolist()}) == len(train) + validation
    for part in (train, held_out):
        assert part.inputs.flatten().long().equal(part.targets)


def test_the_seed_alone_decides_which_examples_are_held_out() -> None:
    """Not what was drawn before from the global stream; and they are the same ones for every size of training part."""

    def held_out(seed: int, drawn: int, size: int | None = None) -> list[int]:
        torch.manual_seed(drawn)
        return hold_out(POOL, 8, size, seed)[1].targets.tolist()

    assert held_out(0, 1) == held_out(0, 2) == held_out(0, 3, size=5)
    assert held_out(0, 1) != held_out(1, 1)


@pytest.mark.parametrize(
    ("validation", "train_size", "message"),
    [
        (99999, None, r"data.validation=99999: expected a number from 1 to 19"),
        (20, None, r"data.validation=20: expected a number from 1 to 19"),
        (0, None, r"data.validation=0: expected a number from 1 to 19"),
        (5, 16, r"data.train_size=16: expected a number from 1 to 15, or null for all"),
        (5, 0, r"data.train_size=0: expected a number from 1 to 15, or null for all"),
    ],
)
def test_sizes_out_of_range(validation: int, train_size: int | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        hold_out(POOL, validation, train_size, seed=0)


def test_statistics_equal_numpy() -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 3, 4, 5), np.uint8)
    mean, std = statistics(torch.from_numpy(images))
    np.testing.assert_allclose(mean, (images / 255).mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(std, (images / 255).std((0, 2, 3)), rtol=1e-6)


@pytest.mark.parametrize("together", [1, 100, 1000])
@pytest.mark.parametrize("shape", [(37, 3, 4, 5), (37, 6)])
def test_statistics_of_floats_are_taken_part_by_part(
    shape: tuple[int, ...], together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split, "TOGETHER", together)
    values = np.random.default_rng(0).normal(100, 1, shape).astype(np.float32)
    entries = (0, *range(2, len(shape)))
    for inputs in (torch.from_numpy(values), torch.from_numpy(values).movedim(1, -1).contiguous().movedim(-1, 1)):
        mean, std = statistics(inputs)
        np.testing.assert_allclose(mean, values.mean(entries, np.float64), rtol=1e-7)
        np.testing.assert_allclose(std, values.std(entries, np.float64), rtol=1e-7)


class Largest(TorchDispatchMode):
    """Bytes of the largest tensor that is made."""

    found = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        of_others = isinstance(made, torch.Tensor) and not made._is_view()
        self.found = max(self.found, made.nbytes if of_others else 0)
        return made


def test_statistics_of_floats_copy_no_more_than_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "TOGETHER", 1000)
    inputs = torch.randn(1000, 3, 5, 5)
    with Largest() as largest:
        statistics(inputs)
    assert 0 < largest.found <= 8 * 1000


def test_a_constant_channel_has_deviation_one() -> None:
    mean, std = statistics(torch.full((2, 1, 3, 3), 51, dtype=torch.uint8))
    torch.testing.assert_close(mean, torch.tensor([0.2]))
    assert std.tolist() == [1.0]


def test_streams_are_independent_and_repeat() -> None:
    def draw(seed: int, purpose: str) -> list[float]:
        return torch.rand(4, generator=stream(seed, purpose)).tolist()

    assert draw(3, "a") == draw(3, "a")
    assert len({tuple(draw(seed, purpose)) for seed in (-1, 0, 1) for purpose in ("a", "b")}) == 6
