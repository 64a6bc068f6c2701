"""The state of networks stage by stage (`bench.growth.diagnostics`), and how well it tells their final scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from bench.core.record import Diagnostics, RunRecord, StageRecord
from bench.report.analysis.rungs import Row, depth
from bench.report.analysis.statistics import rank_correlation
from bench.report.analysis.tuning import Contender, done
from bench.report.read.settings import Variant

BY_GROUP = ("rank", "cosine", "norm", "gradient")
"""Diagnostics that each group has."""
NUMBERS = (*BY_GROUP, "first_norm", "train_accuracy")
"""Those of a stage: means over groups, the norm of the first group's rows apart, and the training accuracy."""
DROP = "measured_drop"
"""Beside them: the immediate fall of the loss at the growth event."""


def numbers(stage: StageRecord) -> dict[str, float | None]:
    """`NUMBERS` of a stage; None for what it has not."""
    found = stage.diagnostics or Diagnostics()
    means = {name: fmean(one.values()) if (one := getattr(found, name)) else None for name in BY_GROUP}
    first = found.norm.get(next(iter(stage.widths), ""))
    return {**means, "first_norm": first, "train_accuracy": found.train_accuracy}


def states(contender: Contender) -> Iterator[Row]:
    """Means over seeds at each rung, of the seeds that have the number; none for records without diagnostics."""
    for k in depth(contender):
        found = [numbers(run.stages[k]) for run in contender.runs.values() if run.stages[k].diagnostics]
        if found:
            yield {
                "method": contender.label,
                "rung": k,
                **{name: _mean([one[name] for one in found]) for name in NUMBERS},
            }


def group_states(variant: Variant) -> Iterator[Row]:
    """The diagnostics of each group, at every stage of every run."""
    for step, record in done(variant):
        for stage in record.stages:
            for group in stage.widths if stage.diagnostics else ():
                head = {"method": variant.label, "step": step, "seed": record.seed, "rung": stage.stage, "group": group}
                yield {**head, **{name: getattr(stage.diagnostics, name).get(group) for name in BY_GROUP}}


def tellers(variants: Sequence[Variant]) -> Iterator[Row]:
    """Spearman's rank correlation of each diagnostic, and of the immediate fall of the loss, with the final score.

    Over the grown runs at all steps, of those that have the number: ``last`` of its value at the last rung, ``mean`` of
    its mean over the grown rungs. Networks that started afresh have no state that growing left them with.
    """
    records = [record for variant in variants for _, record in done(variant) if _is_grown(record)]
    for name in (*NUMBERS, DROP):
        found = [(values, record.stages[-1].test) for record in records if (values := _values(record, name))]
        final = [test for _, test in found]
        last, mean = ([of(values) for values, _ in found] for of in (lambda values: values[-1], fmean))
        if found:
            yield {
                "number": name,
                "runs": len(found),
                "last": rank_correlation(last, final),
                "mean": rank_correlation(mean, final),
            }


def _is_grown(record: RunRecord) -> bool:
    growths = [stage.growth for stage in record.stages if stage.growth]
    return bool(growths) and not any(growth.restart for growth in growths)


def _values(record: RunRecord, name: str) -> list[float]:
    """A number at the grown rungs; none unless all have it."""
    stages = record.stages[1:]
    found = [s.growth.measured_drop if s.growth and name == DROP else numbers(s).get(name) for s in stages]
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else []


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
