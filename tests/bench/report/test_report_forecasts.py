"""What is said of predictions: how often plans contradicted them, and how far they can be trusted."""

from __future__ import annotations

from typing import Any

from bench.report.analysis.events import forecasts
from bench.report.views.forecasts import Forecasts


def event(**fields: Any) -> dict[str, Any]:
    usual = {"method": "s2d", "step": 0.01, "seed": 0, "rung": 1, "predicted": 1e-4, "measured": 1e-4, "chosen": True}
    return {**usual, "trust": None, "judged": 0, "contradicted": 0, **fields}


def test_contradictions_are_counted_by_method_and_step() -> None:
    events = [
        event(judged=2, contradicted=1, trust="kinks"),
        event(judged=1, measured=-1e-4, contradicted=1, trust="kinks, max pooling"),
        event(method="s3d", judged=3, trust="second order"),
        event(method="s3d", step=0.1),  # of before there were verdicts
    ]
    one, two, old = forecasts(events)
    assert (one["judged"], one["contradicted"], one["trust"]) == (3, 2, "kinks; kinks, max pooling")
    assert (two["judged"], two["contradicted"], two["trust"]) == (3, 0, "second order")
    assert (old["judged"], old["trust"]) == (0, None)


def test_the_table_shows_them() -> None:
    class Found:
        contenders: tuple[Any, ...] = ()

    *_, table = Forecasts(None).of_setting(Found())  # type: ignore[arg-type]
    columns = {column.title: column for column in table.columns}
    shown = next(iter(forecasts([event(judged=2, contradicted=1, trust="kinks")])))
    assert columns["Contradicted"].shown(shown).text == "1 of 2"
    assert columns["Trust"].shown(shown).text == "kinks"
    old = next(iter(forecasts([event()])))
    assert columns["Contradicted"].shown(old).text == columns["Trust"].shown(old).text == "\u2013"
