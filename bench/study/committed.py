"""The tables that are committed beside an answer: every run, every stage, and what made them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bench.core.record import Environment, RunRecord, StageRecord
from bench.network.cost import in_order
from bench.report.analysis.rungs import Row, spent
from bench.report.analysis.stages import widths
from bench.report.analysis.state import numbers
from bench.report.read.command import anywhere
from bench.run.cell import Cell
from bench.study.layout import Layout, Values, done

DIGITS = 6
"""Of the numbers of a stage."""

SCORES = ("train_loss", "val_accuracy", "test_accuracy", "val_loss", "test_loss")
DROPS = ("predicted_drop", "measured_drop", "stopped")

Placed = tuple[Layout, Values, Cell]


def placed(layouts: Sequence[Layout]) -> Iterator[Placed]:
    """Every cell with its place."""
    for layout in layouts:
        for values, own in layout.cells.items():
            for _, cell in sorted(own.items()):
                yield layout, values, cell


def run_rows(layouts: Sequence[Layout]) -> Iterator[Row]:
    """A row for each cell: where it stands, and what to type for it after which ``environment`` (1 is the first)."""
    made = _kinds(layouts)
    for layout, values, cell in placed(layouts):
        record = done(cell)
        yield {
            "id": cell.id,
            "setting": layout.setting.title,
            **layout.named(values),
            "seed": cell.seed,
            "state": str(cell.state),
            "seconds": None if record is None else round(record.seconds, 2),
            "environment": None if record is None else made.index(record.environment) + 1,
            "reason": "" if record else cell.standing.reason,
            "command": anywhere(cell.options, record),
        }


def environments(layouts: Sequence[Layout]) -> list[Row]:
    """What the done runs were made on, numbered from 1, with how many runs each."""
    runs = Counter(record.environment for *_, cell in placed(layouts) if (record := done(cell)))
    kinds = enumerate(_kinds(layouts), 1)
    names = ("torch", "python", "device", "threads", "code")
    return [{"environment": k, **{n: getattr(one, n) for n in names}, "runs": runs[one]} for k, one in kinds]


def _kinds(layouts: Sequence[Layout]) -> list[Environment]:
    found = {record.environment for *_, cell in placed(layouts) if (record := done(cell))}
    return sorted(found, key=lambda one: (one.torch, one.python, one.device, one.threads, one.code))


def stage_rows(layouts: Sequence[Layout]) -> Iterator[Row]:
    """A row for each stage of each done run, with numbers to `DIGITS` digits."""
    for *_, cell in placed(layouts):
        if record := done(cell):
            yield from _stages(cell.id, record)


def _stages(name: str, record: RunRecord) -> Iterator[Row]:
    for stage, (flops, _) in zip(record.stages, spent(record), strict=True):
        seconds = stage.seconds.train + stage.seconds.grow + stage.seconds.eval
        row = {
            "rung": stage.stage,
            **{name: stage.costs[name] for name in in_order(stage.costs)},
            "epochs": stage.epochs,
            **{name: getattr(stage, name) for name in SCORES},
            "flops_to_here": flops,
            "seconds": round(seconds, 3),
            **{name: getattr(stage.growth, name, None) for name in DROPS},
            **_state(stage),
            "widths": widths(stage),
        }
        yield {"id": name, **{key: _short(value) for key, value in row.items()}}


def _state(stage: StageRecord) -> Row:
    """The state of the network, under names that no score has."""
    return {f"state_{name}" if name == "train_accuracy" else name: value for name, value in numbers(stage).items()}


def _short(value: object) -> object:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
