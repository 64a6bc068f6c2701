"""Methods against each other: paired by seed, and by the parameters that they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import product

from bench.report.analysis.rungs import Row, common_sizes, size_curve
from bench.report.analysis.statistics import FEWEST, LEVEL, Paired, area, curve, holm, on_front, paired, size_to_reach
from bench.report.analysis.tuning import Contender

LAST, AREA = "last rung", "area"
BASELINES = ("static", "random_split", "net2net")


def named(contenders: Sequence[Contender], name: str | None) -> Contender | None:
    """The one of this label, or the only one of the method of this name."""
    found = [one for one in contenders if one.label == name] or [one for one in contenders if one.method == name]
    return found[0] if len(found) == 1 else None


def choose_baseline(contenders: Sequence[Contender], wanted: str | None = None) -> Contender:
    """The one to compare with: the wanted one if it is there, else a control, ``static`` first."""
    controls = [one for name in BASELINES for one in contenders if one.method == name]
    return named(contenders, wanted) or [*controls, *contenders][0]


def areas(contenders: Sequence[Contender]) -> dict[str, dict[int, float]]:
    """Area under score against log size by label and seed, over the sizes that all runs cover; empty without any."""
    low, high = common_sizes(run for one in contenders for run in one.runs.values())
    found: dict[str, dict[int, float]] = {}
    for one in contenders:
        values = {seed: area(size_curve(run), low, high) for seed, run in one.runs.items()}
        found[one.label] = {seed: value for seed, value in values.items() if value is not None}
    return found


def compare(
    contenders: Sequence[Contender], baseline: Contender, areas: Mapping[str, dict[int, float]], accuracy: bool
) -> Iterator[Row]:
    """Every other method against a baseline, on both measures, for ``pairs.csv``; ``areas`` as `areas` finds them.

    ``p_holm`` is corrected for the comparisons with this baseline on this measure; numbers are None without common
    seeds, or without a common range of sizes.
    """
    last = {one.label: {seed: run.stages[-1].test for seed, run in one.runs.items()} for one in contenders}
    for measure, values in ((LAST, last), (AREA, areas)):
        others = [one.label for one in contenders if one is not baseline]
        results = [_paired(values[label], values[baseline.label], accuracy) for label in others]
        corrected = holm([result.p if result else None for result in results])
        for label, result, p in zip(others, results, corrected, strict=True):
            yield {
                "method": label,
                "baseline": baseline.label,
                "measure": measure,
                **(asdict(result) if result else dict.fromkeys(Paired.__dataclass_fields__) | {"seeds": 0}),
                "p_holm": p,
                "verdict": _verdict(label, baseline.label, result, p, accuracy),
            }


def _paired(a: dict[int, float], b: dict[int, float], accuracy: bool) -> Paired | None:
    seeds = sorted(set(a) & set(b))
    return paired([a[seed] for seed in seeds], [b[seed] for seed in seeds], accuracy) if seeds else None


def _verdict(label: str, baseline: str, result: Paired | None, p: float | None, accuracy: bool) -> str:
    if result is None:
        return "nothing in common"
    if result.seeds < FEWEST:
        return f"too few seeds ({result.seeds})"
    if p is None:
        return "no variation between seeds"
    if p >= 1 - LEVEL:
        return "no difference can be concluded"
    return f"{label} better" if (result.difference > 0) == accuracy else f"{baseline} better"


def reached(contenders: Sequence[Contender], rungs: Sequence[Row], control: Contender, accuracy: bool) -> Iterator[Row]:
    """How few parameters each method needs to be as good as the control at each rung above the seed network.

    For ``reach.csv``: ``target`` and ``params`` are the control's means; ``needed`` is on the method's mean curve, None
    where it never gets there, and ``at_once`` where it is that good from its first size on; ``seeds`` of the ``of`` in
    common have a curve of their own that gets to the control's score at the same seed.
    """
    others = [one for one in contenders if one is not control]
    for row, one in product([row for row in rungs if row["method"] == control.label and row["rung"]], others):
        points = curve([(each["params_mean"], each["test_mean"]) for each in rungs if each["method"] == one.label])
        needed = size_to_reach(points, row["test_mean"], accuracy)
        seeds = sorted(set(one.runs) & set(control.runs))
        targets = {seed: control.runs[seed].stages[row["rung"]].test for seed in seeds}
        hits = [size_to_reach(size_curve(one.runs[seed]), targets[seed], accuracy) for seed in seeds]
        yield {
            "rung": row["rung"],
            "method": one.label,
            "target": row["test_mean"],
            "params": row["params_mean"],
            "needed": needed,
            "at_once": needed is not None and needed == points[0][0],
            "seeds": sum(hit is not None for hit in hits),
            "of": len(seeds),
        }


def fronts(rows: Sequence[Row], costs: Iterable[str], accuracy: bool) -> list[Row]:
    """Rungs by size, with by each cost whether no other undercuts it there at no worse a mean score."""
    made = [{name: row[name] for name in ("method", "rung", "test_mean")} for row in rows]
    for cost in costs:
        on = on_front([(row[f"{cost}_mean"], row["test_mean"]) for row in rows], accuracy)
        for one, row, is_on in zip(made, rows, on, strict=True):
            one |= {cost: row[f"{cost}_mean"], f"front_{cost}": is_on}
    return sorted(made, key=lambda row: (row["params"], row["method"]))
