"""A run's records as the flat numbers that loggers plot, and the epochs counted over all stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from bench.core.record import RunRecord, StageRecord

STAGE = "stage"
FINAL = (f"{STAGE}/", "costs/")
"""What of the last stage stands in a run's summary."""


class Clock:
    """Counts epochs from the beginning of a run, over all stages, also where it goes on from a checkpoint.

    Attributes:
        stage: The stage at hand.
    """

    def __init__(self) -> None:
        self.stage = 0
        self._done = 0
        self._lengths: dict[int, int] = {}

    def begin(self, stage: int, done: int) -> None:
        """Training of a stage begins, with some of its epochs behind it."""
        self.stage, self._done = stage, done

    def tick(self) -> int:
        """An epoch has ended: its number, from 1."""
        self._done += 1
        return self.now

    def finished(self, record: StageRecord) -> int:
        """A stage has been measured: the number of its last epoch."""
        self._lengths[record.stage] = record.epochs
        return self._until(record.stage + 1)

    @property
    def now(self) -> int:
        """Epochs done."""
        return self._until(self.stage) + self._done

    def _until(self, stage: int) -> int:
        return sum(epochs for earlier, epochs in self._lengths.items() if earlier < stage)


def values(record: StageRecord) -> dict[str, float | str]:
    """A stage's record, flat: ``stage/val_loss``, ``costs/params``, ``growth/splits``, ``widths/GROUP`` ...

    What is null is left out, and so are its epochs, which were logged one by one; of a list, as of the steps of a
    growth event's rounds, the mean is given.
    """
    content = msgspec.to_builtins(record)
    content.pop("history")
    return dict(_values(content, STAGE))


def _values(content: Mapping[str, object], prefix: str) -> Iterator[tuple[str, float | str]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _values(value, name)
        elif isinstance(value, list):
            if value:
                yield f"{prefix}/{name}", sum(value) / len(value)
        elif isinstance(value, bool | int | float | str) and name != STAGE:
            yield f"{prefix}/{name}", int(value) if isinstance(value, bool) else value


def numbers(record: StageRecord) -> dict[str, float]:
    """The numbers among a stage's `values`."""
    return {name: value for name, value in values(record).items() if not isinstance(value, str)}


def table(stages: Sequence[StageRecord]) -> tuple[list[str], list[list[float | str | None]]]:
    """All stages as columns and rows; what has no value is None."""
    rows = [{STAGE: stage.stage, **values(stage)} for stage in stages]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return columns, [[row.get(name) for name in columns] for row in rows]


def summary(record: RunRecord) -> dict[str, float | str]:
    """A run's outcome: its status, the last stage as ``final/...``, and ``total/...`` costs of training and growing."""
    found: dict[str, float | str] = {"status": str(record.status), "reason": record.reason or ""}
    stages = record.stages
    if stages:
        found["final/stage"] = stages[-1].stage
        last = numbers(stages[-1]).items()
        found |= {f"final/{name.partition('/')[2]}": value for name, value in last if name.startswith(FINAL)}
    for part in ("train", "grow"):
        found[f"total/seconds/{part}"] = sum(getattr(stage.seconds, part) for stage in stages)
        found[f"total/flops/{part}"] = sum(getattr(stage.flops, part) for stage in stages)
    return found
