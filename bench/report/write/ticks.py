"""Where an axis has its ticks, and what they say: round numbers, and no two with the same text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, log10

from bench.core.numbers import engineering


def linear(low: float, high: float, most: int = 7) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, between two numbers."""
    raw = (high - low) / most
    power = 10.0 ** floor(log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    return [k * step for k in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def logarithmic(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers for a logarithmic axis; those of a linear one where its range is short."""
    found: list[float] = []
    for steps in ((1, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1, 3), (1,)):
        every = [step * 10.0**k for k in range(floor(log10(low)), ceil(log10(high)) + 1) for step in steps]
        found = [tick for tick in every if low <= tick <= high]
        if len(found) <= most:
            break
    return found[:: ceil(len(found) / (most + 1)) or 1] if len(found) > 2 else linear(low, high, most)


def labels(ticks: Sequence[float]) -> list[str]:
    """What the ticks say, short, with as many digits as tell them apart and from what is between them."""
    apart = min((abs(b - a) for a, b in pairwise(ticks)), default=0.0)
    for digits in range(3, 17):
        if all(abs(float(f"{tick:.{digits - 1}e}") - tick) <= 0.01 * apart for tick in ticks):
            break
    return [_label(tick, digits) for tick in ticks]


def _label(tick: float, digits: int) -> str:
    if tick == 0:
        return "0"
    if abs(tick) < 1e-3:
        mantissa, exponent = f"{tick:.{digits - 1}e}".split("e")
        return f"{float(mantissa):.{digits}g}e{int(exponent)}"
    return engineering(tick, digits).replace(" ", "")
