"""Whether a plan does what it must and what it says: the function stays at epsilon = 0, the loss moves as predicted."""

from __future__ import annotations

import torch

ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-3}
"""Largest change of an output at epsilon = 0, relative to the largest output, that is rounding, by the precision."""

BAND = (0.5, 2.0)
"""Measured over predicted change of the loss, within which one does not contradict the other."""

LEAST_STEP = 1e-4
"""Where halving of steps ends."""


def contradicts(predicted: float, measured: float, rounding: float) -> bool:
    """Whether the loss went the other way, or by another amount altogether; what is not finite contradicts.

    Args:
        predicted: Change of the loss.
        measured: Change of the loss.
        rounding: Changes up to this size are not judged.
    """
    if max(abs(predicted), abs(measured)) <= rounding:
        return False
    return not (predicted and BAND[0] <= measured / predicted <= BAND[1])


def opposes(predicted: float, measured: float, rounding: float) -> bool:
    """Whether the loss went the other way; arguments as in `contradicts`."""
    return contradicts(predicted, measured, rounding) and not predicted * measured > 0
