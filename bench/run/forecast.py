"""How long something will take, by what is done of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from bench.core.identity import seed_identity
from bench.core.record import RunState, Seconds
from bench.run.cell import Cell

MOST = 2.0
"""How many times as long as the one before a stage is taken to last at most."""


@dataclass(frozen=True)
class Work:
    """Of a sweep, in seconds of one worker.

    Attributes:
        done: What was worked.
        left: What is left to do; None where nothing tells.
    """

    done: float
    left: float | None


def stages_left(durations: Sequence[float], count: int) -> float:
    """Seconds that ``count`` more stages take if they go on growing as those done have, at least one."""
    first, last = durations[0], durations[-1]
    growth = (last / first) ** (1 / (len(durations) - 1)) if len(durations) > 1 and first > 0 else 1.0
    growth = min(max(growth, 1.0), MOST)
    return sum(last * growth**k for k in range(1, count + 1))


def in_words(seconds: float) -> str:
    """As in ``about 12 min left``."""
    if seconds < 90:
        return f"about {max(seconds, 1):.0f} s left"
    return f"about {seconds / 60:.0f} min left" if seconds < 5400 else f"about {seconds / 3600:.1f} h left"


def work(found: Sequence[Cell], spent: Mapping[str, Sequence[Seconds]], ended: Mapping[str, RunState]) -> Work:
    """What is done and left of a sweep.

    Seed networks are counted once, however many runs share one.

    Args:
        found: The sweep's cells.
        spent: Times of the stages that are done, by the cell's id.
        ended: The cells that nothing is left to do for, by id, and how they ended.
    """
    seeds, grown, typical = dict[str, float](), dict[str, float](), defaultdict[str, list[float]](list)
    expected: dict[str, float | None] = {}
    for cell in found:
        seed, *stages = [one.train + one.grow + one.eval for one in spent.get(cell.id, ())] or [0.0]
        seeds[seed_identity(cell.options)] = max(seeds.get(seed_identity(cell.options), 0.0), seed)
        grown[cell.id], expected[cell.id] = sum(stages), _expected(cell, stages, ended.get(cell.id))
        if (whole := expected[cell.id]) is not None:
            typical[cell.name("method")].append(whole)
    every = [whole for several in typical.values() for whole in several]
    trained = [seconds for seconds in seeds.values() if seconds]
    done = sum(grown.values()) + sum(trained)
    if not every:
        return Work(done, 0.0 if ended.keys() >= grown.keys() else None)
    left = (len(seeds) - len(trained)) * mean(trained or [0.0])
    for cell in found:
        if cell.id not in ended:
            whole = expected[cell.id]
            usual = mean(typical.get(cell.name("method"), every))
            left += max((usual if whole is None else whole) - grown[cell.id], 0.0)
    return Work(done, left)


def _expected(cell: Cell, stages: Sequence[float], ended: RunState | None) -> float | None:
    """What growing takes a run in all, the seed network left out; None if it does not tell."""
    if ended is not None:
        return sum(stages) if ended is RunState.DONE else None
    growth = cell.options["growth"]
    if not stages or growth.get("budget") is not None:
        return None
    return sum(stages) + stages_left(stages, max(int(growth["stages"]) - len(stages), 0))
