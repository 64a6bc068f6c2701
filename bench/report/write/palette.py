"""Colours and markers: told apart without colour vision, in print, and on light and dark ground."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.report.read.settings import CONTROLS


@dataclass(frozen=True)
class Style:
    """How a method is drawn.

    Attributes:
        light: Colour on light ground.
        dark: Colour on dark ground.
        marker: Matplotlib's letter of the marker.
        dashed: Whether its line is dashed.
    """

    light: str
    dark: str
    marker: str
    dashed: bool = False


_COLOURS = (
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#ff8f52"),
    ("#008060", "#2fd0a0"),
    ("#a8428f", "#ec9bd8"),
    ("#806000", "#e6c34d"),
    ("#4b45b0", "#a9a6ff"),
)
_MARKERS = ("o", "s", "^", "D", "v", "p", "h", "P")
_CONTROLS = (Style("#59616b", "#c3c9d1", "X", True), Style("#8a6f5c", "#cbb09c", "*", True))

STYLES = (
    tuple(Style(*_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], i >= len(_COLOURS)) for i in range(24))
    + _CONTROLS
)
"""Styles by number: 24 for methods, then one for each control from scratch."""


def styles(labels: Iterable[tuple[str, str]]) -> dict[str, int]:
    """A number for each (label, method), in order."""
    numbers: dict[str, int] = {}
    free = 0
    for label, _method in labels:
        if label in numbers:
            continue
        if label in CONTROLS:
            numbers[label] = 24 + CONTROLS.index(label)
        else:
            numbers[label] = free % 24
            free += 1
    return numbers
