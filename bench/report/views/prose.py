"""What the numbers of a setting say, in sentences."""

from __future__ import annotations

from collections import Counter

from bench.report.analysis.compare import AREA, LAST, reached
from bench.report.analysis.findings import Findings
from bench.report.analysis.statistics import FEWEST
from bench.report.views.numbers import TIMES, count, listed, plural, step_text


def summary(findings: Findings) -> tuple[str, ...]:
    """Sentences for the head of a setting."""
    if not findings.columns:
        return ("No run of this setting is done, so there is nothing to compare yet.", *_unfinished(findings))
    lines = [
        _leader(findings),
        *_verdicts(findings),
        *_savings(findings),
        *_steps(findings),
        *_stopped(findings),
        *_unfinished(findings),
    ]
    return tuple(lines)


def _leader(findings: Findings) -> str:
    score = findings.score
    last = {label: made[-1] for label, made in findings.rungs.items()}
    pick = max if score.accuracy else min
    label = pick(last, key=lambda name: last[name].score.mean)
    rung, unit = last[label], " %" if score.accuracy else ""
    seeds = plural(rung.score.n, "seed")
    text = (
        f"At the last rung the best mean {score.name} is that of {label}: {score.mean(rung.score)}{unit} over {seeds}, "
        f"with {count(rung.params)} parameters"
    )
    others = [f"{n} {score.mean(r.score)}{unit}" for n, r in last.items() if n == findings.baseline.label != label]
    return f"{text}; {others[0]}." if others else f"{text}."


def _verdicts(findings: Findings) -> list[str]:
    lines = []
    for measure, where in ((LAST, "at the last rung"), (AREA, "in area over log size")):
        found = [one for one in findings.comparisons if one.measure == measure]
        groups: dict[str, list[str]] = {}
        for one in found:
            groups.setdefault(_kind(one.verdict, one.method), []).append(one.method)
        if groups:
            parts = [f"{_joined(kind, len(names))} {listed(names)}" for kind, names in groups.items()]
            lines.append(f"Seed by seed against {findings.baseline.label}, {where}: {'; '.join(parts)}.")
    if any(len(column.runs) < 5 for column in findings.columns) and lines:
        lines.append(
            f"With so few seeds only large differences can be told from chance, and with fewer than {FEWEST} none; "
            "that none can be concluded does not mean that there is none."
        )
    return lines


def _kind(verdict: str, method: str) -> str:
    if verdict == f"{method} better":
        return "better"
    return "worse" if verdict.endswith(" better") else verdict


def _joined(kind: str, number: int) -> str:
    return f"{kind} {'is' if number == 1 else 'are'}" if kind in ("better", "worse") else f"{kind} for"


def _savings(findings: Findings) -> list[str]:
    control = findings.control
    if control is None or len(findings.columns) < 2:
        return []
    found = reached(findings.columns, findings.rungs, control, findings.score.accuracy)
    last = [one for one in found if one.rung == max(each.rung for each in found)] if found else []
    if not last:
        return []
    parts = [
        f"{one.method} needs {count(one.needed)} ({one.needed / one.params:.2f}{TIMES})" for one in last if one.needed
    ]
    never = [one.method for one in last if one.needed is None]
    if never:
        parts.append(f"{listed(never)} never {'gets' if len(never) == 1 else 'get'} there")
    return [
        f"For the mean {findings.score.name} that {control.label} has with {count(last[0].params)} parameters, "
        f"{'; '.join(parts)}. These ratios are of means, without an interval."
    ]


def _steps(findings: Findings) -> list[str]:
    tuned = [column for column in findings.columns if column.tried]
    if not tuned:
        return []
    budgets = {tuple(step_text(one.step) for one in column.tried) for column in tuned}
    sizes = {len(budget) for budget in budgets}
    if sizes == {1}:
        steps = sorted({step_text(column.step) for column in tuned})
        return [
            f"No step was tuned: {'every method ran' if len(steps) == 1 else 'methods ran'} at step {listed(steps)}. A "
            "method may do better at another, so this is no verdict on the methods."
        ]
    if len(sizes) == 1:
        chosen = [f"{column.label} {step_text(column.step)}" for column in tuned]
        return [f"Each method had {sizes.pop()} steps to choose from on validation: {', '.join(chosen)}."]
    parts = [f"{column.label} {len(column.tried)}" for column in tuned]
    return [
        f"The methods did not have the same number of steps to choose from ({', '.join(parts)}): compare with care."
    ]


def _stopped(findings: Findings) -> list[str]:
    reasons: Counter[tuple[str, str]] = Counter()
    for label, made in findings.rungs.items():
        for rung in made:
            for reason, times in rung.stopped.items():
                reasons[label, reason] += times
    return [
        f"{label} stopped short of a rung {plural(times, 'time')} ({reason}); training went on at the size it had."
        for (label, reason), times in sorted(reasons.items())
    ]


def _unfinished(findings: Findings) -> list[str]:
    states = Counter(cell.state for cell in findings.setting.cells if cell.state != "done")
    if not states:
        return []
    parts = [f"{number} {state}" for state, number in sorted(states.items())]
    return [f"Not in these numbers: {listed(parts)}, listed under Runs."]
