"""How the step of each method was chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from bench.core.numbers import DASH
from bench.report.analysis.findings import Findings
from bench.report.analysis.rungs import Row
from bench.report.analysis.tuning import order, step_text
from bench.report.views.base import Block, View, views
from bench.report.views.table import METHOD, Column, Pivot, Shown, Table, untitled


@views.register("steps")
class Steps(View):
    """Methods by steps tried."""

    section, order = "Steps", 30

    def of_setting(self, findings: Findings) -> Iterator[Block]:
        rows = [
            {"method": one.label, **asdict(tried), "steps": len(one.tried), "chosen_step": one.step}
            for one in findings.contenders
            for tried in one.tried
        ]
        about = (
            f"Mean validation {'accuracy, %' if findings.score.accuracy else 'loss'}, over the grown rungs and the "
            "seeds that all steps have (n); test data play no part. The best step is compared in this report; one that "
            "failed on a seed cannot be chosen, and a dash is one not tried. Equal split has the size of its noise as "
            "its step; controls from scratch have none."
        )

        def tried(row: Row) -> Shown:
            failed = f"{row['failed']} failed" if row["failed"] else ""
            if row["validation"] is None:
                return Shown(failed or DASH)
            seeds = f"n {row['common'] or row['seeds']}"
            return Shown(findings.score.text(row["validation"]), failed or seeds, best=row["chosen"])

        heads = (METHOD, Column("steps", "Steps tried"), Column("chosen_step", "Chosen"))
        columns = (*heads, *untitled("step seeds failed common validation chosen"))
        value = Column("failed", show=tried)
        pivot = Pivot("step", value, lambda step: f"step {step_text(step)}", order)
        title = "The step of each method, chosen on validation"
        yield Table("steps", columns, rows, title, about, pivot=pivot)
