"""The embedded digits and the sets made by a teacher."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from bench.core.errors import ConfigError
from bench.data import load


def test_digits_are_the_real_ones() -> None:
    data = load({"name": "digits"}, seed=0)
    assert (len(data.train), len(data.validation), len(data.test)) == (1187, 250, 360)
    ours = torch.cat([part.inputs for part in (data.train, data.validation, data.test)]).flatten(1)
    levels, classes = load_digits(return_X_y=True)
    theirs = torch.from_numpy(levels * (255 / 16)).round().byte()
    assert sorted(ours.tolist()) == sorted(theirs.tolist())
    _, test = train_test_split(range(len(classes)), test_size=360, random_state=0, stratify=classes)
    assert data.test.inputs.flatten(1).equal(theirs[test])
    assert data.test.targets.equal(torch.from_numpy(classes)[test])
    assert ours.max() == 255
    assert data.test.targets.bincount().min() >= 34


def test_the_planted_teacher_has_variance_one_and_clean_tests() -> None:
    clean, noisy = (load({"name": "planted", "noise": noise, "outputs": 3}, seed=0) for noise in (0.0, 0.5))
    for part in (clean.train, clean.validation, clean.test):
        assert part.targets.var().item() == pytest.approx(1, rel=0.1)
    assert (noisy.train.targets - clean.train.targets).std().item() == pytest.approx(0.5, rel=0.05)
    assert noisy.test.targets.equal(clean.test.targets)
    assert noisy.train.inputs.equal(clean.train.inputs)


def test_rbf_is_a_bounded_function_on_its_range() -> None:
    data = load({"name": "rbf"}, seed=0)
    assert (len(data.train), len(data.validation), len(data.test)) == (1000, 200, 1000)
    inputs, targets = data.batch(data.train, torch.arange(1000))
    assert inputs.equal(data.train.inputs)
    assert -5 <= inputs.min() < -4.9
    assert 4.9 < inputs.max() <= 5
    order = inputs.flatten().argsort()
    steps = targets.flatten()[order].diff().abs() / inputs.flatten()[order].diff().clamp_min(1e-6)
    assert steps.quantile(0.99) < 15 * 3  # 15 neurons, slopes up to 3


@pytest.mark.parametrize("name", ["planted", "rbf"])
def test_the_teacher_has_its_own_seed(name: str) -> None:
    first, other = (load({"name": name, "teacher_seed": seed}, seed=0) for seed in (0, 1))
    assert not first.test.targets.equal(other.test.targets)


@pytest.mark.parametrize("name", ["planted", "rbf"])
def test_no_part_depends_on_the_sizes_of_the_others(name: str) -> None:
    usual = {"name": name, "train_size": 100, "validation": 50, "test_size": 70}
    made = load(usual, seed=0)
    for size, changed in (("train_size", "train"), ("validation", "validation"), ("test_size", "test")):
        other = load({**usual, size: 33}, seed=0)
        for part in ("train", "validation", "test"):
            one, two = getattr(made, part), getattr(other, part)
            same = len(one) == len(two) and one.inputs.equal(two.inputs) and one.targets.equal(two.targets)
            assert same == (part != changed), (size, part)


@pytest.mark.parametrize("name", ["planted", "rbf"])
def test_the_runs_seed_draws_the_validation_examples_alone(name: str) -> None:
    one, two = (load({"name": name}, seed=seed) for seed in (0, 1))
    assert one.train.inputs.equal(two.train.inputs)
    assert one.test.inputs.equal(two.test.inputs)
    assert not one.validation.inputs.equal(two.validation.inputs)
    parts = [one.train, one.validation, one.test, two.validation]
    rows = torch.cat([part.inputs for part in parts])
    assert len(rows.unique(dim=0)) > 0.999 * len(rows)  # of numbers between -5 and 5 some are the same
    assert one.record().held_out == []


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("planted", "features", 0),
        ("planted", "width", 0),
        ("planted", "outputs", -1),
        ("planted", "noise", -0.1),
        ("planted", "test_size", 0),
        ("rbf", "neurons", 0),
    ],
)
def test_teachers_that_cannot_be(name: str, option: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"data\.{option}={value}: expected a number of at least"):
        load({"name": name, option: value}, seed=0)
