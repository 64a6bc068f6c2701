"""What a view is, and where views are found.

A view is a class, with a frozen dataclass of options if it has any, in a file of this package or in another package
that offers it by the entry point group ``growth_bench.views``. What it makes is in the page, in Markdown, in LaTeX and
in the CSV files, and users set its options by its name (``python -m bench.report lengths.digits=3``)::

    @views.register("lengths", Options)
    class Lengths(View):
        section = "Training"

        def of_setting(self, findings: Findings) -> Iterator[Block]:
            rows = [{"method": one.label, "epochs": ...} for one in findings.contenders]
            yield Table("lengths", (METHOD, Column("epochs", "Epochs")), rows, "Epochs", "How long methods trained.")
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.core.registry import Registry
from bench.report.analysis.findings import Findings, Overview
from bench.report.views.chart import Chart
from bench.report.views.table import Table


@dataclass(frozen=True)
class Prose:
    """Lines of one or more sentences."""

    lines: tuple[str, ...]
    is_shown = True


Block = Table | Chart | Prose


class View:
    """A part of the report. Blocks without rows are not shown, so a view need not ask."""

    section: str = ""  # the heading that it stands under, with others of the same; empty for a setting's head
    order: int = 1000  # views stand in this order
    always: bool = False  # whether it also speaks of a setting without a done run

    def __init__(self, options: object) -> None:
        self.options = options

    def of_setting(self, findings: Findings) -> Iterable[Block]:
        """What there is on one setting."""
        return ()

    def of_report(self, overview: Overview) -> Iterable[Block]:
        """What there is on the whole, at its end."""
        return ()


views: Registry[type[View]] = Registry("view", "bench.report.views", "growth_bench.views")
"""Views by name."""
