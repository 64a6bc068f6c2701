"""What a score costs, as two questions: what a whole front of sizes costs, and what one size does.

A method that grows passes through all rungs, so its front costs what its last network does. A control that starts
afresh at each rung pays each size anew: its front costs the sum (`FRONT`), one size that size alone (`SIZE`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from math import inf
from statistics import fmean, median

from bench.core.record import RunRecord
from bench.report.analysis.rungs import SPENT, Row, as_columns, depth, spent
from bench.report.analysis.statistics import mean_interval, paired
from bench.report.analysis.tuning import Contender

FRONT, SIZE = "front", "size"
CONTROLS = {FRONT: "static", SIZE: "static_matched"}
"""The control that has spent as much as growing had: for all sizes, or for one."""


def fronts_by_cost(contender: Contender) -> Iterator[Row]:
    """A method's rungs with what its front had cost by then: means over seeds, the score with its interval."""
    runs = list(contender.runs.values())
    costs = [list(spent(run, front=True)) for run in runs]
    for k in depth(contender):
        score = mean_interval([run.stages[k].test for run in runs])
        means = {f"{name}_mean": fmean(one[k][i] for one in costs) for i, name in enumerate(SPENT)}
        yield {"method": contender.label, "rung": k, **as_columns(score, "test"), **means}


def answers(contenders: Sequence[Contender], question: str, accuracy: bool) -> Iterator[Row]:
    """Every method against the question's control, on common seeds; none without the control.

    The score is the mean over the grown rungs for the whole front, that of the last rung for one size. ``flops`` and
    ``seconds`` are means over those seeds, ``NAME_ratio`` is of the means, method over control.
    """
    control = next((one for one in contenders if one.method == CONTROLS[question]), None)
    if control is None:
        return
    for one in contenders:
        seeds = sorted(set(one.runs) & set(control.runs))
        if one is control or not seeds:
            continue
        both = [[each.runs[seed] for seed in seeds] for each in (one, control)]
        own, others = ([_score(run, question) for run in runs] for runs in both)
        costs = [[fmean(_cost(run, question)[i] for run in runs) for runs in both] for i in range(len(SPENT))]
        yield {
            "method": one.label,
            "control": control.label,
            "score": fmean(own),
            **asdict(paired(own, others, accuracy)),
            **{name: mine for name, (mine, _) in zip(SPENT, costs, strict=True)},
            **{f"{name}_ratio": mine / its if its else None for name, (mine, its) in zip(SPENT, costs, strict=True)},
        }


def _cost(record: RunRecord, question: str) -> tuple[float, float]:
    return list(spent(record, question == FRONT))[-1]


def _score(record: RunRecord, question: str) -> float:
    stages = record.stages[1:] or record.stages
    return fmean(stage.test for stage in stages) if question == FRONT else stages[-1].test


def times(contenders: Sequence[Contender], targets: Sequence[float], accuracy: bool) -> Iterator[Row]:
    """What each method had spent when a stage first ended at least as good as each target, by both ways of counting.

    ``NAME`` is the median over seeds, None where half of them or more never get there; ``seeds`` of ``of`` do.
    Methods that do not start afresh have spent the same by either way, and are listed once, as of the front.
    """
    for target in targets:
        for one in contenders:
            ways = {way: [first(run, target, way, accuracy) for run in one.runs.values()] for way in (FRONT, SIZE)}
            for way, found in ways.items():
                if way == SIZE and found == ways[FRONT]:
                    continue
                middle = [median(cost[i] if cost else inf for cost in found) for i in range(len(SPENT))]
                yield {
                    **{"target": target, "method": one.label, "question": way},
                    **{name: value if value < inf else None for name, value in zip(SPENT, middle, strict=True)},
                    **{"seeds": sum(cost is not None for cost in found), "of": len(found)},
                }


def first(record: RunRecord, target: float, question: str, accuracy: bool) -> tuple[float, float] | None:
    """What had been spent at the first stage that ended at least as good as a target; None where none did."""
    for stage, cost in zip(record.stages, spent(record, question == FRONT), strict=True):
        if (stage.test >= target) if accuracy else (stage.test <= target):
            return cost
    return None
