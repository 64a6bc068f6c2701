"""How numbers are written."""

from __future__ import annotations

from dataclasses import dataclass

from bench.report.analysis.statistics import Mean
from bench.report.analysis.tuning import Step
from bench.report.views.document import Axis

DASH = "\u2013"
"""Stands where there is no number."""

TIMES = "\u00d7"
MINUS = "\u2212"


@dataclass(frozen=True)
class Score:
    """The measure of a setting: accuracy in per cent, higher is better, or loss, lower is better."""

    accuracy: bool

    @property
    def name(self) -> str:
        """In running text."""
        return "test accuracy" if self.accuracy else "test loss"

    @property
    def title(self) -> str:
        """As a heading, with unit and direction."""
        return "Test accuracy, %" if self.accuracy else "Test loss (lower is better)"

    @property
    def unit(self) -> str:
        """Of differences."""
        return " points" if self.accuracy else ""

    @property
    def axis(self) -> Axis:
        """As a chart's axis."""
        if self.accuracy:
            return Axis("y", self.title, scale=100.0, most=100.0)
        return Axis("y", self.title, log=True)

    def text(self, value: float, sign: bool = False) -> str:
        """One value, or a difference with its sign."""
        plus = "+" if sign else ""
        text = f"{100 * value:{plus}.2f}" if self.accuracy else f"{value:{plus}.4g}"
        return text.replace("-", MINUS) if sign else text

    def mean(self, mean: Mean) -> str:
        """Mean and half the interval's width."""
        half = mean.half
        return self.text(mean.mean) if half is None else f"{self.text(mean.mean)} ± {self.half(half)}"

    def half(self, value: float) -> str:
        """Half the width of an interval."""
        return f"{100 * value:.2f}" if self.accuracy else f"{value:.2g}"

    def range(self, mean: Mean) -> str:
        """The ends of an interval of differences."""
        if mean.low is None or mean.high is None:
            return DASH
        return f"{self.text(mean.low, True)} to {self.text(mean.high, True)}"


def count(value: float) -> str:
    """A whole number with thousands set off."""
    return f"{value:,.0f}"


def engineering(value: float) -> str:
    """Three digits and a prefix: 1.23 M."""
    for factor, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor * 0.9995:
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.3g}"


def seconds(value: float) -> str:
    """Seconds, or minutes and hours of them."""
    if value >= 3600:
        return f"{value / 3600:.2f} h"
    if value >= 100:
        return f"{value / 60:.1f} min"
    return f"{value:.2f} s" if value >= 1 else f"{value:.2g} s"


def scientific(value: float | None) -> str:
    """Two digits and an exponent; a dash for nothing."""
    return DASH if value is None else f"{value:.1e}"


def share(value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.1f} %"


def p_value(value: float | None) -> str:
    """A p value."""
    if value is None:
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def step_text(step: Step | None) -> str:
    """A step as one types it."""
    if step is None:
        return DASH
    return step if isinstance(step, str) else f"{step:g}"


def plural(number: int, noun: str) -> str:
    """``3 seeds``, ``1 seed``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
