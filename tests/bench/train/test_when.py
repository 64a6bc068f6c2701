"""How many epochs each stage has, and what ends one before."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import ConfigError
from bench.train import TrainConfig
from bench.train.when import is_over, planned


def recipe(**options: Any) -> TrainConfig:
    return TrainConfig(**{"epochs": 4, "seed_epochs": 2, **options})


@pytest.mark.parametrize(
    ("share", "stages", "expected"),
    [
        (None, 3, [4, 4, 4]),
        (None, 0, []),
        (0.5, 0, []),
        (0.5, 3, [3, 2, 7]),  # of 14
        (0.0, 3, [6, 6, 0]),
        (0.1, 3, [6, 5, 1]),
        (12 / 14, 3, [0, 0, 12]),
        (0.25, 2, [6, 2]),  # of 10, rounded to even
        (4 / 6, 1, [4]),  # all that the seed leaves
        (0.7, 1, [4]),  # the same, rounded
    ],
)
def test_epochs_by_the_schedule(share: float | None, stages: int, expected: list[int]) -> None:
    assert planned(recipe(final_share=share), stages) == expected


@given(
    st.floats(0, 1),
    st.integers(1, 9),
    st.integers(0, 50),
    st.integers(0, 50),
)
def test_all_runs_train_equally_long(share: float, stages: int, epochs: int, seed: int) -> None:
    config = TrainConfig(epochs=epochs, seed_epochs=seed, final_share=share)
    total = seed + stages * epochs
    try:
        found = planned(config, stages)
    except ConfigError:
        assert round(share * total) > total - seed or (stages == 1 and round(share * total) < total - seed)
        return
    assert sum(found) == stages * epochs
    assert len(found) == stages
    assert min(found) >= 0
    assert found[-1] == round(share * total)
    if stages > 1:
        assert max(found[:-1]) - min(found[:-1]) <= 1


def test_a_share_that_leaves_nothing_for_the_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^train\.final_share=0\.9: expected at most 0\.857, .*seed_epochs=2 of 14"):
        planned(recipe(final_share=0.9), 3)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
def test_of_a_stage_alone_no_other_share_is_taken_than_it_has(share: float) -> None:
    expected = rf"^train\.final_share={share}: expected 0\.666667 or null: .* train\.seed_epochs=2 of 6 epochs$"
    with pytest.raises(ConfigError, match=expected):
        planned(recipe(final_share=share), 1)
    assert planned(recipe(final_share=0.666667), 1) == [4]


@pytest.mark.parametrize(
    ("validation", "expected"),
    [
        ([1.0, 1.0, 1.0], False),  # as many as patience: nothing to compare with
        ([1.0, 1.0, 1.0, 1.0], True),
        ([1.0, 1.2, 1.1, 1.3], True),
        ([1.0, 0.995, 0.995, 0.995], True),  # falls by less than a hundredth
        ([1.0, 0.98, 1.2, 1.2], False),  # fell within the last three
        ([1.0, 0.98, 1.2, 1.2, 1.2], True),
        ([1.0, None, None, None], True),  # not finite is not lower
        ([None, 1.0, 1.0, 1.0], False),
        ([None, None, None, None], False),
        ([], False),
    ],
)
def test_a_stage_has_converged_without_a_lower_loss_for_some_epochs(
    validation: list[float | None], expected: bool
) -> None:
    train = [1.0] * len(validation)
    assert is_over(recipe(when="converged", patience=3), train, validation) == expected
    assert not is_over(recipe(), train, validation)


@pytest.mark.parametrize(
    ("train", "validation", "expected"),
    [([1.0], [1.2], True), ([1.0], [1.05], False), ([1.0], [1.1], False), ([1.0], [None], False), ([], [], False)],
)
def test_a_stage_ends_by_its_gap(train: list[float], validation: list[float | None], expected: bool) -> None:
    assert is_over(recipe(when="gap", gap=0.1), train, validation) == expected


def test_the_gap_is_of_the_last_epoch() -> None:
    assert not is_over(recipe(when="gap"), [1.0, 2.0], [5.0, 2.1])
    assert is_over(recipe(when="gap"), [1.0, 2.0], [1.0, 2.3])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("final_share", -0.1),
        ("final_share", 1.1),
        ("when", "later"),
        ("patience", 0),
        ("gap", -0.1),
        ("gap", inf),
        ("newborn_lr", -1.0),
        ("newborn_lr", inf),
        ("newborn_lr", "fast"),
        ("newborn_warmup", 1.0),
        ("newborn_warmup", -0.1),
    ],
)
def test_a_wrong_value_is_named_in_one_line(option: str, value: object) -> None:
    with pytest.raises(ConfigError) as error:
        recipe(**{option: value})
    assert str(error.value).startswith(f"train.{option}={value}: expected ")
