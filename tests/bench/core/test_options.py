"""Options are plain, finite data of their types."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import BenchError, ConfigError
from bench.core.options import check_form, require_plain, typed


@dataclass(frozen=True)
class Config:
    whole: int = 1
    number: float = 1.0
    step: float | str = 0.1
    sample: int | str = 8
    some: dict[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [("step", 1, 1.0), ("step", "0.05", 0.05), ("step", "line", "line"), ("sample", "16", 16), ("number", 3, 3.0)],
)
def test_a_number_is_a_number_however_it_is_typed(name: str, value: object, found: object) -> None:
    made = getattr(typed("x.", Config, {name: value}), name)
    assert made == found
    assert type(made) is type(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("number", value) for value in (float("nan"), float("inf"), "nan", "-inf", "1e999", 10**400)),
        *(("step", value) for value in ("nan", "inf", float("inf"))),
        *(("whole", value) for value in (2**53 + 1, -(10**30))),
        *(("some", value) for value in ({"a": [float("nan")]}, {"a": {1: 2}}, {"a": Path()}, {"a": "\udc80"})),
    ],
)
def test_what_json_cannot_hold_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^x.{name}") as error:
        typed("x.", Config, {name: value})
    assert "\n" not in str(error.value)


def test_a_nest_has_an_end() -> None:
    deep: list[Any] = []
    for _ in range(50):
        deep = [deep]
    with pytest.raises(ConfigError, match="nested at most"):
        require_plain("x", deep)
    require_plain("x", {"a": [1, 2.5, None, True, "ä", [[]]]})


def test_a_default_is_held_to_the_same() -> None:
    @dataclass(frozen=True)
    class Endless:
        ratio: float = float("inf")

    with pytest.raises(ConfigError, match=r"^x\.ratio=inf: expected a finite number"):
        typed("x.", Endless, {})


def test_options_that_leave_the_process_are_named() -> None:
    @dataclass(frozen=True)
    class Leaving:
        def __post_init__(self) -> None:
            raise SystemExit(1)

    with pytest.raises(BenchError, match=r"^x: SystemExit: 1"):
        typed("x.", Leaving, {})


@pytest.mark.parametrize("seed", [None, True, 1.5, "x", -1])
def test_a_run_has_a_seed(seed: object) -> None:
    groups: dict[str, Any] = {
        group: {"name": "x"} for group in ("method", "backbone", "data", "train", "growth", "logger")
    }
    usual = {**groups, "runs_dir": "runs", "rerun": "none", "seed": 0}
    check_form(usual)
    if seed != -1:  # its range is the run's to check
        with pytest.raises(ConfigError, match=r"^seed="):
            check_form({**usual, "seed": seed})
