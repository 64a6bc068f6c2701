"""What growing cost, and what else growth events left on record."""

from __future__ import annotations

from collections.abc import Iterator

from bench.core.numbers import count, duration, engineering, scientific, share
from bench.report.analysis.events import growth_cost, notes
from bench.report.analysis.findings import Findings
from bench.report.views.base import Block, View, views
from bench.report.views.table import METHOD, Column, Shown, Table, untitled

THREE = "{:.3g}".format


@views.register("receipts")
class Receipts(View):
    """Cost of growing, and notes."""

    section, order = "What growing cost", 50

    def of_setting(self, findings: Findings) -> Iterator[Block]:
        about = (
            "Means over runs, with the share in training and growing together. Products are with splitting operators "
            "over the sample; the residual is the largest relative one of any eigenpair used; not converged are the "
            "neurons of all events whose residual is beyond a thousandth, whose eigenvalues may be far off; the gap is "
            "the largest relative change of the outputs at step zero, which is rounding where surgery is right."
        )
        columns = (
            METHOD,
            Column("seconds", "Time", show=lambda row: Shown(duration(row["seconds"]), share(row["seconds_share"]))),
            *untitled("seconds_share"),
            Column("flops", "Operations", show=lambda row: Shown(engineering(row["flops"]), share(row["flops_share"]))),
            *untitled("flops_share"),
            Column("products", "Products", count),
            Column("splits", "Neurons split", count),
            Column("births", "Neurons born", count),
            Column("residual", "Largest residual", scientific),
            Column("unconverged", "Not converged", count),
            Column("gap", "Function gap", scientific),
        )
        rows = [row for one in findings.contenders for row in growth_cost(one)]
        yield Table("growing", columns, rows, "What growing cost", about)
        about = (
            "Over growth events; each method's file says what its numbers are. Fast S2D: the summed curvature that the "
            "integer programme and the published linear one would take, by what share the linear one falls short of it "
            "(gap), and by what share the integer one may fall short of the optimum at most (optimality_gap)."
        )
        titles = {"mean": "Mean", "low": "Smallest", "high": "Largest"}
        numbers = (Column(name, title, THREE) for name, title in titles.items())
        columns = (METHOD, Column("name", "Number", words=True), Column("events", "Events", count), *numbers)
        rows = [row for one in findings.contenders for row in notes(one)]
        yield Table("notes", columns, rows, "What methods put on record", about)
