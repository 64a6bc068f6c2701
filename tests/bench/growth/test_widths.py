"""The integer programme over the widths against brute force, and its bound where it is cut short."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.growth.widths import KEPT, Programme, _Relaxation, lower_hull, message, solve, undominated


@st.composite
def programmes(draw: st.DrawFn) -> Programme:
    """Up to five groups of up to five neurons, whose costs are products in any pattern, cycles among them."""
    sizes = draw(st.lists(st.integers(0, 5), min_size=1, max_size=5))
    scale = draw(st.sampled_from([1.0, np.pi, 1e-9, 1e9]))
    tables = []
    for size in sizes:
        steps = draw(st.lists(st.integers(-40, -1), min_size=size, max_size=size))
        if draw(st.booleans()):  # of a group whose neurons are split in two; else of any shape
            tables.append(scale * np.append(0.0, np.cumsum(sorted(steps))))
        else:
            holes = draw(st.lists(st.booleans(), min_size=size, max_size=size))
            tables.append(scale * np.append(0.0, np.where(holes, np.inf, steps)))
    groups, numbers = len(sizes), st.integers(0, 5)
    linear = np.array(draw(st.lists(numbers, min_size=groups, max_size=groups)), dtype=float)
    cross = np.array(draw(st.lists(numbers, min_size=groups**2, max_size=groups**2)), dtype=float)
    shape = draw(st.sampled_from([np.ones, np.eye, lambda n: np.eye(n, k=1), np.triu, np.zeros]))
    pattern = np.triu(np.ones((groups, groups))) if shape is np.triu else _square(shape, groups)
    cross = cross.reshape(groups, groups) * pattern
    whole = Programme(tables, linear, cross, 0.0).cost(np.array(sizes))
    return Programme(tables, linear, cross, draw(st.floats(0, 1.1)) * whole)


def _square(shape: object, groups: int) -> np.ndarray:
    made = shape((groups, groups)) if shape in (np.ones, np.zeros) else shape(groups)  # type: ignore[operator]
    return np.asarray(made)


def brute_force(programme: Programme) -> float:
    every = (np.array(a) for a in product(*(range(len(table)) for table in programme.tables)))
    return min(programme.gain(a) for a in every if programme.cost(a) <= programme.budget)


@settings(max_examples=300, deadline=None)
@given(programmes(), st.sampled_from([KEPT, (1,), (2, 4), ()]))
def test_it_is_brute_force_and_what_is_cut_short_has_a_valid_bound(programme: Programme, kept: tuple[int, ...]) -> None:
    optimum, found = brute_force(programme), solve(programme, kept=kept)
    slack = 1e-9 * abs(optimum)
    assert programme.cost(found.widths) <= programme.budget
    assert found.gain == programme.gain(found.widths)
    assert found.bound <= optimum + slack
    assert found.bound <= found.gain
    if optimum:
        assert found.gap >= (found.gain - optimum) / abs(optimum) - 1e-9
    if kept is KEPT:
        assert found.gain <= optimum + slack
        assert found.gap == 0


def chain(groups: int, neurons: int, closed: bool, seed: int) -> Programme:
    random = np.random.default_rng(seed)
    cross = np.diag(random.choice([1.0, 9.0], groups - 1), 1)
    if closed:
        cross += np.diag(np.ones(groups - 2), 2)
    widths = random.integers(neurons // 2, neurons + 1, groups)
    linear = random.uniform(1, 30, groups)
    gains = [-np.exp(random.normal() + random.normal(size=n)) for n in widths]
    now = linear @ widths + widths @ cross @ widths
    tables = [np.append(0.0, np.cumsum(np.sort(g))) for g in gains]
    return Programme(tables, linear + (cross + cross.T) @ widths, cross, 0.5 * now)


@pytest.mark.parametrize("seed", range(5))
def test_a_chain_of_fourteen_layers_is_solved_to_the_optimum(seed: int) -> None:
    found = solve(chain(14, 32, False, seed))
    assert found.gap == 0


@pytest.mark.parametrize("closed", [False, True])
def test_more_work_never_makes_it_worse(closed: bool) -> None:
    programme = chain(14, 32, closed, 7)
    few, more, most = (solve(programme, kept=kept) for kept in ((1,), (1, 8), KEPT))
    assert few.gain >= more.gain >= most.gain
    assert few.bound <= more.bound <= most.bound <= most.gain
    assert few.gap < 0.05
    again = solve(programme)
    assert (again.gain, again.bound) == (most.gain, most.bound)
    assert np.array_equal(again.widths, most.widths)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kept", [(), (1,), (1, 2), (5,)])
def test_it_is_no_worse_than_where_it_starts(kept: tuple[int, ...], seed: int) -> None:
    programme = chain(14, 32, True, seed)
    best = solve(programme).widths
    again = solve(programme, [best], kept=kept)
    assert again.bound <= again.gain <= programme.gain(best)


@pytest.mark.parametrize("seed", range(3))
def test_a_bound_is_reached_at_the_widths_that_it_names(seed: int) -> None:
    """Along a chain the minimum at a price is exact: the sum of gains there, and the price of what is over budget."""
    programme = chain(8, 12, False, seed)
    relaxation = _Relaxation(programme)
    relaxation.raise_bound()
    assert len(relaxation.priced) > 2
    for one in relaxation.priced:
        reached = programme.gain(one.widths) + one.price * (programme.cost(one.widths) - programme.budget)
        assert one.bound == pytest.approx(reached, rel=1e-12)


@given(st.lists(st.none() | st.integers(-30, 30), min_size=1, max_size=12).filter(any), st.integers(0, 9))
def test_a_message_is_a_minimum_over_lines(drawn: list[int | None], slope: int) -> None:
    values = np.array([np.inf if value is None else value for value in drawn])
    if not np.isfinite(values).any():
        return
    slopes = slope * np.arange(5.0)
    least, where = message(values, slopes)
    expected = (values + slopes[:, None] * np.arange(len(values))).min(1)
    assert least.tolist() == expected.tolist()
    assert (values[where] + slopes * where).tolist() == expected.tolist()
    assert np.isfinite(values[lower_hull(values)[0]]).all()


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(-4, 0)), min_size=1, max_size=20))
def test_what_another_beats_goes_and_of_equals_one_stays(rows: list[tuple[int, int, int]]) -> None:
    keys, costs, gains = (np.array(column) for column in zip(*rows, strict=True))
    kept = undominated(keys[:, None], costs.astype(float), gains.astype(float))
    left = [rows[i] for i in kept]
    assert len(set(left)) == len(left)
    for key, cost, gain in set(rows):
        beaten = any(k == key and c <= cost and g <= gain and (c, g) != (cost, gain) for k, c, g in set(rows))
        assert ((key, cost, gain) in left) != beaten
