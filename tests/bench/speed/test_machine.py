"""A process of its own: what it returns, what it raises, and how its end is told."""

import os

import pytest

from bench.core.errors import BenchError
from bench.speed.machine import apart


def test_it_is_another_process_and_returns_what_the_function_does():
    assert apart(divmod, 7, 2) == (3, 1)
    assert apart(os.getpid) != os.getpid()


def test_errors_come_through_and_a_killed_process_is_told():
    with pytest.raises(ValueError, match="invalid literal"):
        apart(int, "x")
    with pytest.raises(BenchError, match="ended by the system"):
        apart(os._exit, 9)
