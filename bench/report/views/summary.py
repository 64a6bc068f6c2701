"""What the numbers of a setting say, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bench.core.numbers import TIMES, count, listed, plural
from bench.core.record import RunState
from bench.report.analysis.compare import AREA, LAST
from bench.report.analysis.findings import Findings
from bench.report.analysis.rungs import depth, mean_of
from bench.report.analysis.statistics import FEWEST
from bench.report.analysis.tuning import step_text
from bench.report.views.base import Block, Prose, View, views


@views.register("summary")
class Summary(View):
    """The head of a setting."""

    order, always = 0, True

    def of_setting(self, findings: Findings) -> Iterator[Block]:
        parts = (_leader, _verdicts, _savings, _steps, _stopped) if findings.contenders else (_nothing,)
        yield Prose(tuple(line for part in (*parts, _unfinished) for line in part(findings)))


def _nothing(findings: Findings) -> Iterator[str]:
    yield "No run of this setting is done, so there is nothing to compare yet."


def _leader(findings: Findings) -> Iterator[str]:
    score, last = findings.score, {row["method"]: row for row in findings.rungs}
    best = score.best([row["test_mean"] for row in last.values()])
    label, row = next((label, row) for label, row in last.items() if row["test_mean"] == best)
    text, rival = score.sentence(*mean_of(row, "test")), score.sentence(*mean_of(last[findings.baseline], "test"))
    yield (
        f"At the last rung the best mean {score.name} is that of {label}: {text} over {plural(row['seeds'], 'seed')}, "
        f"with {count(row['params_mean'])} parameters"
        f"{'' if label == findings.baseline else f'; {findings.baseline} {rival}'}."
    )


def _verdicts(findings: Findings) -> Iterator[str]:
    pairs = [row for row in findings.pairs if row["baseline"] == findings.baseline]
    for measure, where in ((LAST, "at the last rung"), (AREA, "in area over log size")):
        groups: dict[str, list[str]] = {}
        for row in (row for row in pairs if row["measure"] == measure):
            better = row["verdict"].removesuffix(" better")
            kind = {row["method"]: "{} better", findings.baseline: "{} worse"}.get(better, f"{better} for {{}}")
            groups.setdefault(kind, []).append(row["method"])
        if groups:
            parts = "; ".join(kind.format(listed(names)) for kind, names in groups.items())
            yield f"Seed by seed against {findings.baseline}, {where}: {parts}."
    if pairs and any(len(one.runs) < 5 for one in findings.contenders):
        yield (
            f"With so few seeds only large differences can be told from chance, and with fewer than {FEWEST} none; "
            "that none can be concluded does not mean that there is none."
        )


def _savings(findings: Findings) -> Iterator[str]:
    last = [one for one in findings.reached if one["rung"] == findings.reached[-1]["rung"]]
    if not last or findings.control is None:
        return
    ratios = [(one["method"], one["needed"], one["needed"] / one["params"]) for one in last if one["needed"]]
    parts = [f"{method} needs {count(needed)} ({ratio:.2f}{TIMES})" for method, needed, ratio in ratios]
    never = [one["method"] for one in last if one["needed"] is None]
    if never:
        parts.append(f"{listed(never)} never {'gets' if len(never) == 1 else 'get'} there")
    yield (
        f"For the mean {findings.score.name} that {findings.control.label} has with {count(last[0]['params'])} "
        f"parameters, {'; '.join(parts)}. These ratios are of means, without an interval."
    )


def _steps(findings: Findings) -> Iterator[str]:
    tuned = [one for one in findings.contenders if one.tried]
    sizes = {len({tried.step for tried in one.tried}) for one in tuned}
    if sizes == {1}:
        steps = sorted({step_text(one.step) for one in tuned})
        yield (
            f"No step was tuned: {'every method ran' if len(steps) == 1 else 'methods ran'} at step {listed(steps)}. A "
            "method may do better at another, so this is no verdict on the methods."
        )
    elif len(sizes) == 1:
        chosen = [f"{one.label} {step_text(one.step)}" for one in tuned]
        yield f"Each method had {sizes.pop()} steps to choose from on validation: {', '.join(chosen)}."
    elif sizes:
        parts = ", ".join(f"{one.label} {len(one.tried)}" for one in tuned)
        yield f"The methods did not have the same number of steps to choose from ({parts}): compare with care."


def _stopped(findings: Findings) -> Iterator[str]:
    stages = ((one, run.stages[k]) for one in findings.contenders for run in one.runs.values() for k in depth(one))
    reasons = Counter((one.label, s.growth.stopped) for one, s in stages if s.growth and s.growth.stopped)
    for (label, reason), number in sorted(reasons.items()):
        times = plural(number, "time")
        yield f"{label} stopped short of a rung {times} ({reason}); training went on at the size it had."


def _unfinished(findings: Findings) -> Iterator[str]:
    states = Counter(str(cell.state) for cell in findings.setting.cells if cell.state is not RunState.DONE)
    if states:
        parts = [f"{number} {state}" for state, number in sorted(states.items())]
        yield f"Not in these numbers: {listed(parts)}, listed under Runs."
