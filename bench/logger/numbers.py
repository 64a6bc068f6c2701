"""A run's records as the flat numbers that loggers plot, and the epochs counted over all stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

STAGE = "stage"


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

    def finished(self, record: Mapping[str, Any]) -> int:
        """A stage has been measured: the number of its last epoch."""
        self._lengths[record[STAGE]] = record["epochs"]
        return self._until(record[STAGE] + 1)

    @property
    def now(self) -> int:
        """Epochs done."""
        return self._until(self.stage) + self._done

    def _until(self, stage: int) -> int:
        return sum(epochs for earlier, epochs in self._lengths.items() if earlier < stage)


def values(record: Mapping[str, Any]) -> dict[str, float | str]:
    """A stage's record, flat: ``stage/params``, ``seconds/train``, ``growth/splits``, ``widths/GROUP`` ...

    What is null is left out; of a list, as of the steps of a growth event's rounds, the mean is given.
    """
    return dict(_values(record, STAGE))


def _values(record: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float | str]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _values(value, name)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            if value:
                yield f"{prefix}/{name}", sum(value) / len(value)
        elif value is not None and name != STAGE:
            yield f"{prefix}/{name}", int(value) if isinstance(value, bool) else value


def numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among a stage's `values`."""
    return {name: value for name, value in values(record).items() if not isinstance(value, str)}


def table(stages: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """All stages as columns and rows; a cell without a value is None."""
    rows = [{STAGE: stage[STAGE], **values(stage)} for stage in stages]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return columns, [[row.get(name) for name in columns] for row in rows]


def summary(record: Mapping[str, Any]) -> dict[str, float | str]:
    """A run's outcome: its status, the last stage as ``final/...``, and ``total/...`` costs of training and growing."""
    found: dict[str, float | str] = {"status": record["status"], "reason": record["reason"] or ""}
    stages = record["stages"]
    if stages:
        found["final/stage"] = stages[-1][STAGE]
        last = numbers(stages[-1]).items()
        found |= {name.replace(STAGE, "final", 1): value for name, value in last if name.startswith(f"{STAGE}/")}
    for cost in ("seconds", "flops"):
        for part in ("train", "grow"):
            found[f"total/{cost}/{part}"] = sum(stage[cost][part] for stage in stages)
    return found
