"""Training and validation loss by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.core.errors import require_choice
from bench.report.analysis.findings import Findings
from bench.report.analysis.stages import epoch_rows, loss_curves
from bench.report.views.base import Block, View, views
from bench.report.views.chart import Axis, Chart
from bench.report.views.table import Table, untitled


@dataclass(frozen=True)
class Options:
    """``panels``: one for each ``part`` (training, validation) with methods as lines, or one for each ``method``."""

    panels: str = "part"

    def __post_init__(self) -> None:
        require_choice("losses.panels", self.panels, ("part", "method"))


@views.register("losses", Options)
class Losses(View):
    """A chart of the methods compared, and all runs' epochs in the CSV; nothing where records do not have them."""

    section, order = "Losses by epoch", 70
    options: Options

    def of_setting(self, findings: Findings) -> Iterator[Block]:
        about = (
            "Means over seeds, over the epochs of all stages as far as all seeds went. A method that starts afresh at "
            "a rung begins there with a fresh network."
        )
        rows = [row for one in findings.contenders for row in loss_curves(one)]
        x, y = Axis("epoch", "Epoch, over all stages", whole=True), Axis("loss", "Loss", log=True)
        panel = self.options.panels
        series = "method" if panel == "part" else "part"
        title = "Training and validation loss by epoch"
        yield Chart("losses", title, about, rows, (x,), y, series=series, panel=panel, markers=False)
        epochs = list(epoch_rows(findings.setting))
        yield Table("losses", untitled("method step seed rung epoch train_loss val_loss"), epochs)
