"""What holds for every registered data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from bench.core.errors import ConfigError
from bench.data import datasets, load

Small = Callable[[str], dict[str, Any]]
every = pytest.mark.parametrize("name", datasets.names())


def test_the_promised_sets_are_registered() -> None:
    promised = {"digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "planted", "rbf", "text"}
    assert promised <= set(datasets.names())


@every
def test_types_and_shapes(name: str, small: Small) -> None:
    data = load(small(name), seed=0)
    assert data.name == name
    for part in (data.train, data.validation, data.test):
        assert part.inputs.shape == (len(part), *data.input_shape)
        if len(data.input_shape) == 3:
            assert part.inputs.dtype == torch.uint8
            assert data.mean.shape == data.std.shape == data.input_shape[:1]
        elif data.input_dtype == torch.int64:
            assert part.inputs.dtype == torch.int64
            assert 0 <= part.inputs.min() <= part.inputs.max() < data.outputs
            assert data.mean.shape == data.std.shape == (0,)
        else:
            assert part.inputs.dtype == torch.float32
            assert data.mean.shape == data.std.shape == data.input_shape
        if data.task == "classification":
            assert part.targets.dtype == torch.int64
            assert part.targets.shape == (len(part),)
            assert 0 <= part.targets.min() <= part.targets.max() < data.outputs
        else:
            assert part.targets.dtype == torch.float32
            assert part.targets.shape == (len(part), data.outputs)
        inputs, targets = data.batch(part, torch.tensor([3, 0, 3]), torch.Generator())
        assert inputs.dtype == data.input_dtype
        assert inputs.shape == (3, *data.input_shape)
        assert inputs.isfinite().all()
        assert targets.equal(part.targets[[3, 0, 3]])


@every
def test_the_seed_decides_the_validation_part_alone(name: str, small: Small) -> None:
    first, again, other = (load(small(name), seed) for seed in (0, 0, 1))
    for part in ("train", "validation", "test"):
        assert getattr(first, part).inputs.equal(getattr(again, part).inputs)
        assert getattr(first, part).targets.equal(getattr(again, part).targets)
    assert not first.validation.inputs.equal(other.validation.inputs)
    assert first.test.inputs.equal(other.test.inputs)
    assert first.test.targets.equal(other.test.targets)

    def pool(data: Any) -> list[tuple[float, ...]]:
        inputs = torch.cat([data.train.inputs, data.validation.inputs]).flatten(1)
        targets = torch.cat([data.train.targets, data.validation.targets]).view(len(inputs), -1)
        return sorted(map(tuple, torch.cat([inputs.double(), targets.double()], 1)[:, -20:].tolist()))

    held_out = "validation" in first.held_out
    assert pool(first) == pool(other) if held_out else first.train.inputs.equal(other.train.inputs)


@every
def test_parts_share_no_example(name: str, small: Small) -> None:
    data = load(small(name), seed=0)
    parts = (data.train, data.validation, data.test)
    rows = [set(map(tuple, part.inputs.flatten(1).tolist())) for part in parts]
    assert rows[0].isdisjoint(rows[1])
    assert rows[0].isdisjoint(rows[2])
    assert rows[1].isdisjoint(rows[2])


@every
def test_the_training_size_does_not_move_the_validation_part(name: str, small: Small) -> None:
    if name in ("planted", "rbf"):
        pytest.skip("more training examples are further draws here")
    whole, part = load(small(name), seed=0), load(small(name) | {"train_size": 7}, seed=0)
    assert len(part.train) == 7
    assert part.train.inputs.equal(whole.train.inputs[:7])
    assert part.validation.inputs.equal(whole.validation.inputs)


@every
@pytest.mark.parametrize("options", [{"validation": 0}, {"train_size": 0}, {"validation": "many"}, {"colour": 1}])
def test_bad_options_are_named(name: str, options: dict[str, Any], small: Small) -> None:
    (option,) = options
    with pytest.raises(ConfigError, match=rf"^data\.{option}=.*: expected ") as caught:
        load(small(name) | options, seed=0)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"data=digit: expected one of .*did you mean digits"):
        load({"name": "digit"}, seed=0)
