"""How numbers are written."""

from __future__ import annotations


def count(value: float) -> str:
    """A whole number with thousands set off."""
    return f"{value:,.0f}"


def engineering(value: float) -> str:
    """Three digits and a prefix: 1.23 M."""
    for factor, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor * 0.9995:
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.3g}"
