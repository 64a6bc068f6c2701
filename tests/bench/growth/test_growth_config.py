"""Growth comes to an end: what would not is refused, with the option that asks for it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from bench.core.errors import ConfigError
from bench.core.options import typed
from bench.growth.config import GrowthConfig, rungs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 1e300}, r"^growth\.ratio=1e\+300: expected a finite number above 1; at most 1,000,000$"),
        ({"ratio": 1000.0}, r"^growth\.ratio=1000\.0: expected at most 15\.848 with growth\.stages=5"),
        ({"stages": 200}, r"^growth\.stages=200: expected at most 34 with growth\.ratio=1\.5"),
        ({"stages": 30, "ratio": 2.0}, r"^growth\.stages=30: expected at most 19 with growth\.ratio=2"),
        ({"sample": 10**15}, r"^growth\.sample=1000000000000000: expected .* at most 1000000000$"),
        ({"epsilon": 1e9}, r"^growth\.epsilon=1000000000\.0: expected .* at most 1000$"),
        ({"epsilon": float("inf")}, r"^growth\.epsilon=inf"),
        ({"memory": 1e300}, r"^growth\.memory=1e\+300"),
        ({"budget": float("inf")}, r"^growth\.budget=inf"),
        ({"budget": -1.0}, r"^growth\.budget=-1\.0"),
        ({"latency_batch": 10**9}, r"^growth\.latency_batch="),
        ({"refresh_norm": 10**9}, r"^growth\.refresh_norm="),
    ],
)
def test_what_would_not_end_is_refused_before_anything_is_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        typed("growth.", GrowthConfig, options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 1e30}, r"^growth\.budget=1e\+30: expected at most 1,000,000 times the seed network's params, 330$"),
        ({"budget": 100.0}, r"^growth\.budget=100\.0: expected at least the seed network's params, 330$"),
        (
            {"budget": 3e5, "ratio": 1.0001},
            r"^growth\.ratio=1\.0001: expected at least 1\.0347, to come to growth\.budget=300000",
        ),
    ],
)
def test_a_budget_that_cannot_be_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rungs(330.0, GrowthConfig(**options))


def test_advice_can_be_followed() -> None:
    rungs(330.0, GrowthConfig(budget=3e5, ratio=1.0347))
    GrowthConfig(ratio=15.848)
    GrowthConfig(stages=34)


def test_what_ends_is_let_through() -> None:
    assert GrowthConfig(epsilon=1).epsilon == typed("growth.", GrowthConfig, {"epsilon": 1}).epsilon == 1
    assert len(rungs(330.0, GrowthConfig(stages=34))) == 35
    assert rungs(330.0, GrowthConfig(stages=1, ratio=1e6))[-1] == 330e6
    assert rungs(330.0, GrowthConfig(budget=330e6))[-1] == 330e6
    assert rungs(330.0, GrowthConfig(stages=0, ratio=1e6)) == [330.0]


@pytest.mark.parametrize(
    ("seed", "ratio", "budget", "stages"),
    [
        (975.0, 1.4, 1911.0, 2),
        (1000.0, 1.1, 1610.51, 5),
        (330.0, 1.5, 330.0, 0),
        (330.0, 1.5, 331.0, 1),
        (7.0, 2.0, 30.0, 3),
    ],
)
def test_a_ladder_to_a_budget_has_no_rung_twice(seed: float, ratio: float, budget: float, stages: int) -> None:
    made = rungs(seed, GrowthConfig(budget=budget, ratio=ratio))
    assert len(made) == stages + 1
    assert (made[0], made[-1]) == (seed, budget)
    assert all(one * 1.0001 < other <= one * ratio * (1 + 1e-9) for one, other in pairwise(made))
