"""The share of growing in a whole run: training, growing, evaluating, and what is none of them."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from bench.core.callbacks import Callback
from bench.core.store import RunFolder
from bench.run.config import Settings
from bench.run.protocol import Run
from bench.speed.tables import Row

PHASES = ("train", "grow", "eval")


def whole_run(settings: Settings, repeats: int) -> Row:
    """Carry out the configured run ``repeats`` times, each in an empty folder, and give medians of its seconds.

    Returns:
        ``method``, ``backbone``, ``data``, ``stages``, ``sample``; seconds ``train s``, ``grow s``, ``eval s``,
        ``overhead s`` (building, checkpoints, records) and ``total s``; ``grow share``, of the total.

    Raises:
        BenchError: The run fails.
    """
    runs = [_once(settings) for _ in range(repeats)]
    row: Row = {group: settings.name(group) for group in ("method", "backbone", "data")}
    row |= {"stages": settings.growth.stages, "sample": settings.growth.sample}
    row |= {f"{phase} s": median(run[phase] for run in runs) for phase in (*PHASES, "overhead", "total")}
    row["grow share"] = median(run["grow"] / run["total"] for run in runs)
    return row


def _once(settings: Settings) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        here = Settings.of({**settings.options, "runs_dir": folder})
        at = RunFolder(Path(folder), here.options)
        started = time.perf_counter()
        record = Run(here, at, Callback()).execute()
        total = time.perf_counter() - started
    seconds = {phase: float(sum(getattr(stage.seconds, phase) for stage in record.stages)) for phase in PHASES}
    return {**seconds, "overhead": total - sum(seconds.values()), "total": total}
