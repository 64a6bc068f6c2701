"""Where each method put its neurons."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.analysis.events import widths
from bench.report.analysis.findings import Findings
from bench.report.analysis.rungs import Row
from bench.report.views.base import Block, View, views
from bench.report.views.chart import Axis, Chart
from bench.report.views.table import METHOD, Column, Pivot, Shown, Table, untitled

FOUR = "{:.4g}".format


@views.register("widths")
class Widths(View):
    """Mean width of each group at each rung: a panel for each group, and a table."""

    section, order = "Widths", 60

    def of_setting(self, findings: Findings) -> Iterator[Block]:
        rows = [{**row, "panel": f"group {row['name']}"} for one in findings.contenders for row in widths(one)]
        title, x, y = (
            "Where each method put its neurons",
            Axis("rung", "Rung", whole=True),
            Axis("width_mean", "Neurons"),
        )
        yield Chart("widths", title, "Mean width over seeds.", rows, (x,), y, panel="panel", tip=_tip)
        about = "Mean number of neurons over seeds, by method and group of neurons, with the group's first layer."
        group = Column("group", "Group", show=lambda row: Shown(row["name"]), words=True)
        pivot = Pivot("rung", Column("width_mean", format=FOUR), lambda rung: f"rung {rung}")
        columns = (METHOD, group, *untitled("layer rung width_mean"))
        yield Table("widths", columns, rows, "Widths by rung", about, pivot=pivot, folded=True)


def _tip(row: Row) -> str:
    return f"{row['panel']}, rung {row['rung']}: {FOUR(row['width_mean'])} neurons"
