"""Steps, predictions, cost of growing and widths: tables and charts."""

from __future__ import annotations

from bench.report.analysis.findings import Findings
from bench.report.analysis.growing import forecasts, growth_cost, notes, widths
from bench.report.analysis.tuning import Tried
from bench.report.views.document import Axis, Cell, Chart, Point, Series, Table
from bench.report.views.numbers import DASH, count, engineering, scientific, seconds, share, step_text


def step_table(findings: Findings) -> Table | None:
    """How the step of each method was chosen."""
    columns = [column for column in findings.columns if column.tried]
    if not columns:
        return None
    steps = list(dict.fromkeys(step_text(one.step) for column in columns for one in column.tried))
    rows = []
    for column in columns:
        tried = {step_text(one.step): one for one in column.tried}
        cells = [_tried(findings, tried.get(step)) for step in sorted(steps, key=_as_number)]
        rows.append((Cell(column.label), Cell(str(len(tried))), Cell(step_text(column.step)), *cells))
    score = "accuracy, %" if findings.score.accuracy else "loss"
    return Table(
        key="steps",
        title="The step of each method, chosen on validation",
        about=(
            f"Mean validation {score}, over the grown rungs and the seeds that all steps have; test data play no part. "
            "The best step is compared in this report; one that failed on a seed cannot be chosen. Equal split has the "
            "size of its noise as its step; controls from scratch have none."
        ),
        header=("Method", "Steps tried", "Chosen", *(f"step {step}" for step in sorted(steps, key=_as_number))),
        rows=tuple(rows),
    )


def _tried(findings: Findings, one: Tried | None) -> Cell:
    if one is None:
        return Cell("not tried")
    failed = f"{one.failed} failed" if one.failed else ""
    if one.validation is None:
        return Cell(failed or DASH)
    return Cell(findings.score.text(one.validation), failed or f"n {one.common or one.seeds}", best=one.chosen)


def _as_number(text: str) -> tuple[bool, float, str]:
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text


def forecast_table(findings: Findings) -> Table | None:
    """Predicted against measured fall of the loss, by method and step."""
    found = forecasts(findings.predictions)
    if not found:
        return None
    rows = tuple(
        (
            Cell(one.method),
            Cell(step_text(one.step), best=one.chosen),
            Cell(str(one.events)),
            Cell(DASH if one.ratio is None else f"{one.ratio:.3g}"),
            Cell(DASH if one.rank is None else f"{one.rank:.2f}"),
            Cell(str(one.rose)),
        )
        for one in found
    )
    return Table(
        key="forecast",
        title="Predicted against measured fall of the loss",
        about=(
            "Each growth event predicts by second-order theory how far the splits lower the loss on the sample, and "
            "measures it before any training. Ratio: median of measured over predicted, 1 where theory holds. Rank: "
            "Spearman's correlation over events. Rose: events after which the loss was higher. The step compared in "
            "this report is set off."
        ),
        header=("Method", "Step", "Events", "Measured / predicted", "Rank correlation", "Rose"),
        rows=rows,
    )


def forecast_chart(findings: Findings) -> Chart | None:
    """The predictions, where both sides are above zero, on logarithmic axes."""
    shown = [event for event in findings.predictions if event.predicted > 0 and event.measured > 0]
    if not shown:
        return None
    series = []
    for label in dict.fromkeys(event.method for event in shown):
        points = tuple(
            Point(
                {"predicted": event.predicted},
                event.measured,
                None,
                None,
                f"predicted {event.predicted:.3g}, measured {event.measured:.3g}\n"
                f"rung {event.rung}, seed {event.seed}, step {step_text(event.step)}",
            )
            for event in shown
            if event.method == label
        )
        series.append(Series(label, findings.styles[label], points))
    absent = len(findings.predictions) - len(shown)
    return Chart(
        "forecast",
        "Fall of the loss at each growth event",
        "Points on the line are as predicted."
        + (f" {absent} events with a side of zero or below are not drawn." if absent else ""),
        (Axis("predicted", "Predicted fall of the loss", log=True),),
        Axis("y", "Measured fall of the loss", log=True),
        tuple(series),
        lines=False,
        diagonal=True,
    )


def price_table(findings: Findings) -> Table | None:
    """What growing cost."""
    found = [one for one in map(growth_cost, findings.columns) if one]
    if not found:
        return None
    rows = tuple(
        (
            Cell(one.method),
            Cell(seconds(one.seconds), f"{share(one.seconds_share)} of the run"),
            Cell(engineering(one.flops), f"{share(one.flops_share)} of the run"),
            Cell(count(one.products)),
            Cell(count(one.splits)),
            Cell(scientific(one.residual)),
            Cell(scientific(one.gap)),
        )
        for one in found
    )
    return Table(
        key="price",
        title="What growing cost",
        about=(
            "Means over runs. Shares are of training and growing together. Products are with splitting operators over "
            "the sample; the residual is the largest relative one of any eigenpair used; the gap is the largest "
            "relative change of the outputs at step zero, which is rounding where surgery is right."
        ),
        header=("Method", "Seconds", "Operations", "Products", "Neurons split", "Largest residual", "Function gap"),
        rows=rows,
    )


def note_table(findings: Findings) -> Table | None:
    """What methods put on record besides."""
    found = [note for column in findings.columns for note in notes(column)]
    if not found:
        return None
    rows = tuple(
        (
            Cell(one.method),
            Cell(one.name),
            Cell(count(one.events)),
            *(Cell(f"{value:.3g}") for value in (one.mean, one.low, one.high)),
        )
        for one in found
    )
    return Table(
        key="notes",
        title="What methods put on record",
        about=(
            "Over growth events; each method's file says what its numbers are. Fast S2D: the summed curvature that the "
            "exact programme and the published linear one would take, and by what share the linear one falls short."
        ),
        header=("Method", "Number", "Events", "Mean", "Smallest", "Largest"),
        rows=rows,
    )


def width_table(findings: Findings) -> Table:
    """Mean width of each group at each rung."""
    rows = []
    depth = max(len(made) for made in findings.rungs.values())
    for column in findings.columns:
        for name, values in widths(column).items():
            cells = [Cell(f"{value:.4g}") for value in values] + [Cell(DASH)] * (depth - len(values))
            rows.append((Cell(column.label), Cell(name), *cells))
    return Table(
        key="widths",
        title="Widths by rung",
        about="Mean number of neurons over seeds, by method and group of neurons.",
        header=("Method", "Group", *(f"rung {k}" for k in range(depth))),
        rows=tuple(rows),
        text_columns=(0, 1),
        folded=True,
    )


def width_chart(findings: Findings) -> Chart:
    """The same as lines, one panel for each group."""
    made = {column.label: widths(column) for column in findings.columns}
    groups = list(dict.fromkeys(name for one in made.values() for name in one))
    series = []
    for group in groups:
        for label, values in made.items():
            points = tuple(
                Point({"rung": float(k)}, value, None, None, f"group {group}, rung {k}: {value:.4g} neurons")
                for k, value in enumerate(values.get(group, ()))
            )
            series.append(Series(label, findings.styles[label], points, f"group {group}"))
    return Chart(
        "widths",
        "Where each method put its neurons",
        "Mean width over seeds.",
        (Axis("rung", "Rung", whole=True),),
        Axis("y", "Neurons"),
        tuple(series),
    )
