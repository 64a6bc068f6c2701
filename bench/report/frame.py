"""Every stage of every finished run as a pandas table, for notebooks::

from bench.report.frame import frame

frame("results/runs").groupby(["method", "growth.epsilon", "rung"])["test_accuracy"].mean()
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.core.errors import require
from bench.core.output import note
from bench.report.analysis.findings import Findings
from bench.report.analysis.stages import stage_rows
from bench.report.analysis.state import BY_GROUP
from bench.report.read.folder import cells, read
from bench.report.read.settings import flat, settings


def frame(*runs_dirs: str | Path) -> pd.DataFrame:
    """One row per rung of each finished run in these folders; what is no whole record is left out, as in the report.

    Where no run is finished the table is empty, and a line on standard error says so.

    Args:
        runs_dirs: Folders of runs; ``results/runs`` if none is named.

    Returns:
        Columns are those of the report's ``stages.csv``: scores and losses, seconds, operations, and the growth event;
        with every option of the run as ``growth.epsilon``, ``train.lr``, each cost of an inference as ``cost.params``,
        and the state of each group as ``rank.GROUP``, ``cosine.GROUP``, ``norm.GROUP``, ``gradient.GROUP``.

    Raises:
        ConfigError: There is no such folder.
    """
    folders = [str(one) for one in runs_dirs or ("results/runs",)]
    for folder in folders:
        require(Path(folder).is_dir(), "runs_dir", folder, "a folder with runs")
    found = cells(read(*folders))
    records = {cell.record.id: cell.record for cell in found if cell.record}
    rows = []
    for setting in settings(found):
        for row in stage_rows(setting, Findings(setting).contenders):
            record = records[str(row["id"])]
            stage = record.stages[row["rung"]]
            costs = {f"cost.{name}": value for name, value in stage.costs.items()}
            state = {
                f"{name}.{group}": value
                for name in BY_GROUP
                for group, value in (getattr(stage.diagnostics, name).items() if stage.diagnostics else ())
            }
            rows.append({"setting": setting.title, **flat(record.config), **row, **costs, **state})
    if not rows:
        note(f"runs_dir={','.join(folders)}: no finished run, so the table is empty")
    return pd.DataFrame(rows)
