"""What a run shows at its end: a table, or a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.core.identity import LATENCY
from bench.core.record import EXACT, GrowthRecord, RunRecord, RunState
from bench.core.table import Folding
from bench.network.cost import cost, incomplete

ABOUT = "~"
CONTRADICTED = " !"

GUESSING = 1.5
"""Up to this many times the accuracy of guessing, trained weights are taken not to know the data."""


def table(record: RunRecord) -> Folding:
    """One row per stage: costs, accuracy, loss drop predicted and measured, seconds of training and of growing."""
    classified = any(stage.classified for stage in record.stages)
    drawn = Folding(f"{record.method} on {record.data}, {record.backbone}, seed {record.seed}")
    shown = {name: cost(name) for name in dict.fromkeys(("params", "macs", record.config["growth"].get("cost")))}
    score = "%" if classified else "loss"
    columns = ["stage", *(one.heading.replace(", ", "\n") for one in shown.values())]
    measured = [LATENCY] if LATENCY in shown else []  # the others are never above their target
    columns += [*(f"{name}\nallowed" for name in measured), f"val {score}", f"test {score}"]
    for column in [*columns, "loss drop\npredicted", "loss drop\nmeasured", "train s", "grow s"]:
        drawn.add_column(column, justify="right")
    for stage in record.stages:
        growth = stage.growth or GrowthRecord()
        drawn.add_row(
            f"{stage.stage} {growth.stopped}" if growth.stopped else str(stage.stage),
            *(one.text(stage.costs[name]) if name in stage.costs else "" for name, one in shown.items()),
            *(shown[name].text(stage.target_cost) for name in measured),
            *(f"{100 * score:.2f}" if classified else f"{score:.4g}" for score in (stage.validation, stage.test)),
            _drop(growth.predicted_drop, before=ABOUT * (growth.trust not in (None, EXACT))),
            _drop(growth.measured_drop, behind=CONTRADICTED * (growth.contradicted > 0)),
            *(f"{seconds:.2f}" for seconds in (stage.seconds.train, stage.seconds.grow)),
        )
    drawn.caption = "\n".join(_remarks(record)) or None
    return drawn


def unconverged(record: RunRecord) -> str | None:
    """A warning where the search for eigenpairs has not converged; None where it has."""
    growths = [stage.growth for stage in record.stages if stage.growth is not None and stage.growth.unconverged]
    if not growths:
        return None
    count, all_of_them = sum(g.unconverged for g in growths), sum(g.searched for g in growths)
    worst = max(growth.residual_max or 0.0 for growth in growths)
    engine = growths[0].engine
    others = " or ".join(name for name in ("lanczos", "dense") if name != engine)
    what = f"{engine} has not converged for {count:,} of {all_of_them:,} neurons (largest residual {worst:.1e})"
    return f"{what}: try growth.engine={others}, or growth.engine_options"


def _drop(drop: float | None, before: str = "", behind: str = "") -> str:
    return "" if drop is None else f"{before}{drop:.2e}{behind}"


def _remarks(record: RunRecord) -> Iterator[str]:
    """What the marks in the table mean."""
    growths = [stage.growth for stage in record.stages if stage.growth]
    limits = list(dict.fromkeys(one.trust for one in growths if one.trust not in (None, EXACT)))
    if limits:
        yield f"{ABOUT} not exact to second order: {'; '.join(map(str, limits))}"
    if found := sum(one.contradicted for one in growths):
        yield f"{CONTRADICTED.strip()} contradicts the prediction ({found} of {sum(g.judged for g in growths)} plans)"
    if left_out := list(dict.fromkeys(name for one in growths for name in one.left_out)):
        yield f"left out, as they contradicted the prediction: {', '.join(left_out)}"
    if record.uncounted:
        yield incomplete(record.uncounted)
    if (warning := unconverged(record)) is not None:
        yield warning
    if (warning := guessing(record)) is not None:
        yield warning


def guessing(record: RunRecord) -> str | None:
    """A warning where the weights that a run starts from know nothing of its data; None where they do."""
    path, first = record.config["backbone"].get("weights"), record.stages[0] if record.stages else None
    if path is None or first is None or first.epochs or first.val_accuracy is None or record.dataset is None:
        return None
    if first.val_accuracy > GUESSING / record.dataset.outputs:
        return None
    found = f"{100 * first.val_accuracy:.1f} % of {record.dataset.outputs} classes"
    return f"backbone.weights={path}: no better than guessing ({found}): another normalisation, or order of classes?"


def summary(record: RunRecord, swept: Sequence[str] = ()) -> str:
    """A finished run in one line, for sweeps; ``swept`` are its options that others of the sweep do not have."""
    name = " ".join([record.data, record.backbone, record.method, f"seed {record.seed}", *swept])
    if record.status is not RunState.DONE:
        return f"{record.status}: {name}: {record.reason}"
    ends = record.stages[0], record.stages[-1]
    first, last = (f"{100 * end.test:.2f} %" if end.classified else f"loss {end.test:.4g}" for end in ends)
    size = f"{ends[0].params:,} to {ends[1].params:,} parameters"
    return f"done: {name}: {size}, test {first} to {last}, {record.seconds:.1f} s"
