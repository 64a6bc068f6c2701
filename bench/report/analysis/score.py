"""The measure of a setting, and how its values are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.core.numbers import DASH, MINUS
from bench.report.analysis.statistics import FEWEST


def beside(seeds: Iterable[int]) -> str:
    """What stands beside means over so many seeds, in sentences."""
    found = set(seeds)
    said = {
        "± is half the 95 % t interval.": max(found, default=0) >= FEWEST,
        "Two seeds show their range, smallest to largest: they are too few for a useful interval.": 2 in found,
        "A single seed shows no interval.": 1 in found,
    }
    return " ".join(text for text, is_so in said.items() if is_so)


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

    def ends(self, low: float | None, high: float | None) -> str:
        """The ends of an interval of differences."""
        return DASH if low is None or high is None else f"{self.text(low, True)} to {self.text(high, True)}"


ACCURACY = Score(True, "test accuracy", "Test accuracy, %", " points")
LOSS = Score(False, "test loss", "Test loss (lower is better)", "")
