"""What growth events promised, did and cost, and what else they left on record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean, median

from bench.core.record import GrowthRecord
from bench.report.analysis.rungs import Row, depth
from bench.report.analysis.statistics import rank_correlation
from bench.report.analysis.tuning import Contender, Step, done


def predictions(one: Contender) -> Iterator[Row]:
    """The events of which a method predicts what they do to the loss, at every step tried."""
    for step, record in done(one.variant):
        head = {"method": one.label, "step": step, "seed": record.seed}
        for stage in record.stages:
            drops = (stage.growth.predicted_drop, stage.growth.measured_drop) if stage.growth else (None, None)
            if None not in drops:
                chosen = one.runs.get(record.seed) is record
                yield {
                    **{**head, "rung": stage.stage, "predicted": drops[0], "measured": drops[1], "chosen": chosen},
                    **{name: getattr(stage.growth, name) for name in ("trust", "judged", "contradicted")},
                }


def forecasts(events: Sequence[Row]) -> Iterator[Row]:
    """How good predictions are, by method and step: the median ratio, how often they failed, and the correlation."""
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
            "judged": sum(event["judged"] for event in members),
            "contradicted": sum(event["contradicted"] for event in members),
            "trust": "; ".join(dict.fromkeys(event["trust"] for event in members if event["trust"])) or None,
            "rank": rank_correlation([e["predicted"] for e in members], [e["measured"] for e in members]),
        }


def growth_cost(contender: Contender) -> Iterator[Row]:
    """What growing cost in a run, on average, and its share in growing and training; the largest residual and gap.

    Nothing for a method that starts afresh at each rung, or has no rung to grow to.
    """
    runs, growths = contender.runs.values(), _growths(contender)
    if all(growth.restart for growth in growths):
        return
    stages = [stage for run in runs for stage in run.stages]
    seconds, flops = sum(s.seconds.grow for s in stages), sum(s.flops.grow for s in stages)
    all_seconds = seconds + sum(s.seconds.train for s in stages)
    all_flops = flops + sum(s.flops.train for s in stages)
    yield {
        "method": contender.label,
        "seconds": seconds / len(runs),
        "seconds_share": seconds / all_seconds if all_seconds else 0.0,
        "flops": flops / len(runs),
        "flops_share": flops / all_flops if all_flops else 0.0,
        "products": sum(growth.products for growth in growths) / len(runs),
        "splits": sum(growth.splits for growth in growths) / len(runs),
        "births": sum(growth.births for growth in growths) / len(runs),
        "residual": max((g.residual_max for g in growths if g.residual_max is not None), default=None),
        "unconverged": sum(growth.unconverged for growth in growths),
        "gap": max((g.function_gap for g in growths if g.function_gap is not None), default=None),
    }


def notes(contender: Contender) -> Iterator[Row]:
    """The numbers that a method put on record, over its growth events, by name in the order of the record."""
    found: dict[str, list[float]] = {}
    for growth in _growths(contender):
        for name, value in growth.notes.items():
            found.setdefault(name, []).append(value)
    for name, values in found.items():
        ends = {"mean": fmean(values), "low": min(values), "high": max(values)}
        yield {"method": contender.label, "name": name, "events": len(values), **ends}


def widths(contender: Contender) -> Iterator[Row]:
    """Mean width of each group at each rung, with what the group's first layer is, where the records say it."""
    runs = list(contender.runs.values())
    layers = {group: layer for run in runs for group, layer in run.layers.items()}
    for group in dict.fromkeys(group for run in runs for group in run.stages[0].widths):
        layer = layers.get(group, "")
        head = {"method": contender.label, "group": group, "layer": layer}
        head["name"] = f"{group} ({layer})" if layer else group
        for k in depth(contender):
            yield {**head, "rung": k, "width_mean": fmean(float(run.stages[k].widths.get(group, 0)) for run in runs)}


def _growths(contender: Contender) -> list[GrowthRecord]:
    return [stage.growth for run in contender.runs.values() for stage in run.stages if stage.growth]
