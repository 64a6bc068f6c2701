"""What was found as CSV and as Markdown: in short by what predictions are said to be, and every network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles

from bench.core.files import write_atomic
from bench.core.numbers import DASH, scientific, share
from bench.core.survey import Row, markdown, write_csv
from bench.growth.judge import BAND
from bench.trust.measure import EPSILON, EXAMPLES, LAYERS, STEPS, Found, all_of

ABOUT = f"""\
By `python -m bench.trust`. Each network is trained for {STEPS} steps of Adam on the digits (resized for torchvision's
networks; `gpt` on text, `rbf` on its own data). In each of at most {LAYERS} layers S2D splits the half of the neurons
with the most negative curvature by a step of {EPSILON:g}, one layer at a time, then all at once. Ratio: measured over
predicted fall of the loss on {EXAMPLES} training examples ({EXAMPLES // 2} for torchvision's networks), 1 where the
prediction is exact; layers whose fall is within rounding of the loss are left out. Worst: the ratio furthest from 1.
Pooling: max pools as the network has them, or average pools in their place; empty where it has none. Trust: what the
record of a growth event says of such a prediction."""


def write(out: Path, found: Sequence[Found]) -> None:
    """Write ``trust.csv`` and ``trust.md``.

    Args:
        out: Created if absent.
        found: In the order of the rows.

    Raises:
        StorageError: The folder cannot be written.
    """
    rows = [_row(one, lambda value: "" if value is None else f"{value:.4g}") for one in found]
    write_csv(out / "trust.csv", list(rows[0]) if rows else [], rows)
    shown = [_row(one, lambda value: DASH if value is None else f"{value:.3g}") for one in found]
    parts = ["# Predicted against measured", ABOUT, "## In short", markdown(summary(found, "trust"))]
    parts += ["## By activation and pooling", markdown(summary(found, "form"))]
    parts += ["## Every network", markdown(shown)]
    write_atomic(out / "trust.md", "\n\n".join(parts) + "\n")


def summary(found: Sequence[Found], by: str) -> list[Row]:
    """Ratios over layers, by what the prediction is said to be (``trust``), or by activation and pooling (``form``)."""
    groups: dict[str, list[Found]] = {}
    for one in found:
        key = one.trust if by == "trust" else f"{one.case.activation}, {one.case.pooling or 'no'} pooling"
        if one.ratios:
            groups.setdefault(key, []).append(one)
    rows = []
    for key, members in sorted(groups.items()):
        ratios = sorted(all_of(members))
        low, *_, high = quantiles(ratios, n=20) if len(ratios) > 1 else (ratios[0], ratios[0])
        rows.append(
            {
                "trust" if by == "trust" else "activation, pooling": key,
                "networks": str(len(members)),
                "layers": str(len(ratios)),
                "median": f"{median(ratios):.3f}",
                "90 % within": f"{low:.2f} to {high:.2f}",
                "within 10 %": share(sum(abs(ratio - 1) <= 0.1 for ratio in ratios) / len(ratios)),
                "contradicted": share(sum(not BAND[0] <= ratio <= BAND[1] for ratio in ratios) / len(ratios)),
                "wrong sign": share(sum(ratio <= 0 for ratio in ratios) / len(ratios)),
            }
        )
    return rows


def _row(one: Found, number: Callable[[float | None], str]) -> Row:
    case = one.case
    return {
        "network": case.name,
        "pooling": case.pooling,
        "activation": case.activation,
        "layers": str(len(one.ratios or ())),
        "median": number(one.middle),
        "worst": number(one.worst),
        "whole plan": number(one.whole),
        "predicted": "" if one.predicted is None else scientific(one.predicted),
        "trust": one.failed or one.trust,
    }
