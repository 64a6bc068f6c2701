"""How numbers are written."""

from __future__ import annotations

import pytest

from bench.core.numbers import count, engineering


def test_thousands_are_set_off() -> None:
    assert [count(value) for value in (0, 999, 1234.4, 1e7)] == ["0", "999", "1,234", "10,000,000"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (999.4, "999"), (999.6, "1 k"), (1234, "1.23 k"), (5.687e8, "569 M"), (-2e12, "-2 T"), (3e15, "3 P")],
)
def test_three_digits_and_a_prefix(value: float, text: str) -> None:
    assert engineering(value) == text
