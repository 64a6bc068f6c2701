"""The measure of a setting, and how its values are written."""

from __future__ import annotations

from dataclasses import dataclass

from bench.core.numbers import MINUS
from bench.report.analysis.statistics import FEWEST

INTERVAL = "± is half the 95 % t interval; two seeds, too few for one, show their range instead, and one seed nothing."


@dataclass(frozen=True)
class Score:
    """A measure."""

    accuracy: bool  # in per cent, higher is better; else a loss, lower is better
    name: str  # in running text
    title: str  # as a heading, with unit and direction
    unit: str  # of differences

    def best(self, values: list[float]) -> float | None:
        """The best of some values; None of none."""
        return (max if self.accuracy else min)(values, default=None)

    def text(self, value: float, sign: bool = False) -> str:
        """One value, or a difference with its sign."""
        plus = "+" if sign else ""
        text = f"{100 * value:{plus}.2f}" if self.accuracy else f"{value:{plus}.4g}"
        return text.replace("-", MINUS) if sign else text

    def mean(self, mean: float, low: float | None, high: float | None, n: int) -> tuple[str, str]:
        """A mean, with half its interval's width; and apart, the range of two seeds."""
        text = self.text(mean)
        if low is None or high is None:
            return text, ""
        if n < FEWEST:
            return text, f"{self.text(low)} to {self.text(high)}"
        half = (high - low) / 2
        return f"{text} ± {100 * half:.2f}" if self.accuracy else f"{text} ± {half:.2g}", ""

    def sentence(self, mean: float, low: float | None, high: float | None, n: int) -> str:
        """The same in running text, with the unit."""
        text, ends = self.mean(mean, low, high, n)
        return f"{text}{' %' if self.accuracy else ''}{f' ({ends})' if ends else ''}"


ACCURACY = Score(True, "test accuracy", "Test accuracy, %", " points")
LOSS = Score(False, "test loss", "Test loss (lower is better)", "")
