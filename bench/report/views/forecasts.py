"""What growth events promised and what they did to the loss."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.analysis.events import forecasts, predictions
from bench.report.analysis.findings import Findings
from bench.report.analysis.rungs import Row
from bench.report.analysis.tuning import step_text
from bench.report.views.base import Block, View, views
from bench.report.views.chart import Axis, Chart
from bench.report.views.table import METHOD, NOTHING, Column, Shown, Table, untitled

EVENT = "method step seed rung predicted measured chosen trust judged contradicted"


@views.register("forecasts")
class Forecasts(View):
    """Predicted against measured fall of the loss: a chart of the events, and a table by method and step."""

    section, order = "Predicted and measured", 40

    def of_setting(self, findings: Findings) -> Iterator[Block]:
        events = [row for one in findings.contenders for row in predictions(one)]
        drawn = [row for row in events if row["predicted"] > 0 and row["measured"] > 0]
        about = "Points on the line are as predicted."
        if len(drawn) < len(events):
            about += f" {len(events) - len(drawn)} events with a side of zero or below are not drawn."
        x, y = (Axis(name, f"{name.capitalize()} fall of the loss", log=True) for name in ("predicted", "measured"))
        title = "Fall of the loss at each growth event"
        yield Chart("forecast", title, about, drawn, (x,), y, tip=_tip, lines=False, diagonal=True)
        yield Table("events", untitled(EVENT), events)
        about = (
            "Each growth event predicts by second-order theory how far the splits lower the loss on the sample, and "
            "measures it before any training. Ratio: median of measured over predicted, 1 where theory holds. Rank: "
            "Spearman's correlation over events. Rose: events after which the loss was higher. Contradicted: of the "
            "plans carried out, those whose measured fall has another sign than the predicted one, or is not between "
            "half and twice of it; falls within rounding are not judged. Trust: predictions are exact to second order "
            "in the step, or take a surrogate for kinks of activations or for ties of max pooling, or leave out what "
            "the textbook form does. The step compared in this report is set off."
        )
        columns = (
            METHOD,
            Column("step", "Step", show=lambda row: Shown(step_text(row["step"]), best=row["chosen"])),
            *untitled("chosen"),
            Column("events", "Events"),
            Column("ratio", "Measured / predicted", "{:.3g}".format),
            Column("rank", "Rank correlation", "{:.2f}".format),
            Column("rose", "Rose"),
            Column("contradicted", "Contradicted", show=_contradicted),
            *untitled("judged"),
            Column("trust", "Trust", words=True),
        )
        title = "Predicted against measured fall of the loss"
        yield Table("forecasts", columns, list(forecasts(events)), title, about)


def _contradicted(row: Row) -> Shown:
    return Shown(f"{row['contradicted']} of {row['judged']}") if row["judged"] else NOTHING


def _tip(row: Row) -> str:
    event = f"rung {row['rung']}, seed {row['seed']}, step {step_text(row['step'])}"
    return f"predicted {row['predicted']:.3g}, measured {row['measured']:.3g}\n{event}"
