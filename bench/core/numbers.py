"""How numbers and lists are written."""

from __future__ import annotations

from collections.abc import Sequence

DASH = "\u2013"
"""Stands where there is no number."""

TIMES = "\u00d7"
MINUS = "\u2212"

PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(value: float) -> str:
    """A whole number with thousands set off."""
    return f"{value:,.0f}"


def engineering(value: float, digits: int = 3) -> str:
    """Three digits, or so many, and a prefix: 1.23 M."""
    for factor, prefix in PREFIXES:
        if abs(value) >= factor * (1 - 0.5 * 10.0**-digits):
            return f"{value / factor:.{digits}g} {prefix}"
    return f"{value:.{digits}g}"


def duration(seconds: float) -> str:
    """Seconds, or minutes and hours of them."""
    if seconds >= 3600:
        return f"{seconds / 3600:.2f} h"
    if seconds >= 100:
        return f"{seconds / 60:.1f} min"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds:.2g} s"


def scientific(value: float) -> str:
    """Two digits and an exponent."""
    return f"{value:.1e}"


def share(value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.1f} %"


def p_value(value: float) -> str:
    """A p value."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def plural(number: int, noun: str, more: str = "") -> str:
    """``3 seeds``, ``1 seed``; ``more`` is the plural that does not end in s."""
    return f"{number} {noun if number == 1 else more or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def capital(text: str) -> str:
    """With a capital first letter."""
    return text[:1].upper() + text[1:]
