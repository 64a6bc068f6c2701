"""The state of networks stage by stage, and how well it tells their final scores."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.analysis.findings import Findings
from bench.report.analysis.rungs import Row
from bench.report.analysis.state import BY_GROUP, DROP, NUMBERS, group_states, states, tellers
from bench.report.views.base import Block, View, views
from bench.report.views.chart import Axis, Chart
from bench.report.views.table import METHOD, Column, Shown, Table, untitled

TITLES = {
    "rank": "Rank per width",
    "cosine": "Largest cosine",
    "norm": "Row norm",
    "gradient": "Newborn gradient",
    "first_norm": "First row norm",
    "train_accuracy": "Train accuracy, %",
    DROP: "Immediate fall of the loss",
}
ABOUT = (
    "Rank per width: effective rank (Roy and Vetterli, 2007) of what a group's neurons put out on 1,024 training "
    "examples, over their number. Largest cosine: mean over neurons of the largest to another of the group, between "
    "their rows of parameters. Row norm: their mean norm over that of a fresh network of the same widths, and of the "
    "first group alone. Newborn gradient: of the loss right after growing, by the rows of newborn neurons over that "
    "by the others. Train accuracy: on the same examples, without augmentation. Means over groups and seeds, at the "
    "end of stages but for the gradient."
)


@views.register("state")
class States(View):
    """A chart and a table by rung, correlations with the final score, and each group's numbers in the CSV alone."""

    section, order = "State of the networks", 65

    def of_setting(self, findings: Findings) -> Iterator[Block]:
        found = [row for one in findings.contenders for row in states(one)]
        drawn = [
            {**row, "panel": TITLES[name], "value": row[name] * _scale(name)}
            for name in NUMBERS
            for row in found
            if row[name] is not None
        ]
        x, y = Axis("rung", "Rung", whole=True), Axis("value", "Mean over seeds")
        title = "State of the networks at each rung"
        yield Chart("state", title, "Each number is described at the table.", drawn, (x,), y, panel="panel", tip=_tip)
        numbers = (Column(name, TITLES[name], _per_cent if _scale(name) > 1 else "{:.3g}".format) for name in NUMBERS)
        columns = (METHOD, Column("rung", "Rung"), *numbers)
        yield Table("state", columns, found, "State of the networks by rung", ABOUT, heads=2, folded=True)
        score = findings.score.name
        about = (
            f"Spearman's rank correlation of each number with the {score} at the last rung, over the grown runs at all "
            "steps: of its value there, and of its mean over the grown rungs. Beside them the fall of the loss that "
            "growth events made before any training. That is no cause, and runs of one method are alike."
        )
        columns = (
            Column("number", "Number", show=lambda row: Shown(TITLES[row["number"]]), words=True),
            Column("runs", "Runs"),
            Column("last", "At the last rung", "{:+.2f}".format),
            Column("mean", "Mean over rungs", "{:+.2f}".format),
        )
        rows = list(tellers(findings.setting.variants))
        yield Table("tellers", columns, rows, f"What tells the final {score}", about)
        groups = [row for variant in findings.setting.variants for row in group_states(variant)]
        yield Table("group_state", untitled(("method", "step", "seed", "rung", "group", *BY_GROUP)), groups)


def _scale(name: str) -> float:
    return 100.0 if name == "train_accuracy" else 1.0


def _per_cent(value: float) -> str:
    return f"{100 * value:.2f}"


def _tip(row: Row) -> str:
    return f"{row['panel']}, rung {row['rung']}: {row['value']:.3g}"
