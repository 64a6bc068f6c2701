"""What growth events promised, and what they did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from bench.report.analysis.rungs import Row
from bench.report.analysis.statistics import rank_correlation
from bench.report.analysis.tuning import Contender, Step, by_step


def predictions(contenders: Sequence[Contender]) -> Iterator[Row]:
    """All events whose method predicts what they do to the loss, at every step tried."""
    for one in contenders:
        for step, runs in by_step(one.variant).items():
            for seed, record in runs.items():
                for stage in record.stages:
                    growth = stage.growth
                    if growth and growth.predicted_drop is not None and growth.measured_drop is not None:
                        yield {
                            "method": one.label,
                            "step": step,
                            "seed": seed,
                            "rung": stage.stage,
                            "predicted": growth.predicted_drop,
                            "measured": growth.measured_drop,
                            "chosen": one.runs.get(seed) is record,
                        }


def forecasts(events: Sequence[Row]) -> Iterator[Row]:
    """How good predictions are, by method and step: the median of measured over predicted, how often the loss rose
    instead, and Spearman's correlation of both."""
    groups: dict[tuple[str, Step], list[Row]] = {}
    for event in events:
        groups.setdefault((event["method"], event["step"]), []).append(event)
    for (method, step), members in groups.items():
        ratios = [event["measured"] / event["predicted"] for event in members if event["predicted"]]
        yield {
            "method": method,
            "step": step,
            "chosen": any(event["chosen"] for event in members),
            "events": len(members),
            "ratio": median(ratios) if ratios else None,
            "rose": sum(event["measured"] < 0 for event in members),
            "rank": rank_correlation([e["predicted"] for e in members], [e["measured"] for e in members]),
        }
