"""Methods over all settings of a report, by scores that are normalised in each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from bench.report.analysis.aggregate import Estimate, estimate, improvement, interquartile_mean, mean_rank
from bench.report.analysis.compare import named
from bench.report.analysis.findings import Findings
from bench.report.analysis.rungs import Row
from bench.report.read.settings import CONTROLS

JUDGES = ("random_split", *CONTROLS)
"""Methods that others are held against."""

Setting = Mapping[str, Sequence[float]]
"""Normalised scores of the runs of each method, by its label."""


def normalised(findings: Findings) -> Setting:
    """Scores at the last rung: 0 is the baseline's seed network, 1 its last rung, means over its seeds.

    Empty with fewer than two methods, or where the baseline's last rung is no better than its seed network.
    """
    if len(findings.contenders) < 2:
        return {}
    baseline = named(findings.contenders, findings.baseline)
    assert baseline is not None
    low, high = (fmean(run.stages[k].test for run in baseline.runs.values()) for k in (0, -1))
    if (high <= low) if findings.setting.accuracy else (high >= low):
        return {}
    return {
        one.label: [(run.stages[-1].test - low) / (high - low) for run in one.runs.values()]
        for one in findings.contenders
    }


def settings_of(found: Sequence[Findings]) -> list[Setting]:
    """Those of a report that can be taken together."""
    return [setting for setting in map(normalised, found) if setting]


def aggregates(settings: Sequence[Setting]) -> Iterator[Row]:
    """Mean rank and interquartile mean of each method over the settings that it has runs in."""
    for label in dict.fromkeys(label for setting in settings for label in setting):
        own = [setting for setting in settings if label in setting]
        scores = [setting[label] for setting in own]
        rank = mean_rank([list(setting).index(label) for setting in own], [len(setting) for setting in own])
        yield {
            **{"method": label, "settings": len(own), "runs": sum(map(len, scores))},
            **_columns("rank", estimate(rank, [values for setting in own for values in setting.values()])),
            **_columns("iqm", estimate(interquartile_mean, scores)),
        }


def improvements(settings: Sequence[Setting], controls: Sequence[str]) -> Iterator[Row]:
    """Probability that a run of each method is better than one of each control, over the settings that have both."""
    labels = list(dict.fromkeys(label for setting in settings for label in setting))
    for label in labels:
        for control in controls:
            both = [setting for setting in settings if {label, control} <= setting.keys()]
            if label == control or not both:
                continue
            found = estimate(improvement, [setting[name] for name in (label, control) for setting in both])
            yield {"method": label, "control": control, "settings": len(both), **_columns("p", found)}


def judges(found: Sequence[Findings]) -> list[str]:
    """Labels of the controls that the settings have."""
    labels = [(one.label, one.method) for findings in found for one in findings.contenders]
    return list(dict.fromkeys(label for judge in JUDGES for label, method in labels if method == judge))


def _columns(name: str, found: Estimate) -> Row:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
