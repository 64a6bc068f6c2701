"""Every stage of every finished run as a pandas table, for notebooks::

from bench.report.frame import frame

frame("results/runs").groupby(["method", "rung"])["test_accuracy"].mean()
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.report.read.cells import cells
from bench.report.read.folder import read
from bench.report.views.build import build


def frame(runs_dir: str | Path = "results/runs") -> pd.DataFrame:
    """One row per rung of each finished run, with the columns of the report's ``stages.csv``.

    Args:
        runs_dir: Where runs are kept; what is no whole record is left out, as in the report.
    """
    found = read(Path(runs_dir))
    made = build(cells(found, str(runs_dir), None), found.left_out, "runs")
    return pd.DataFrame([dict(row) for row in made.data.get("stages", ())])
