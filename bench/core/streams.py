"""Independent random streams of one seed."""

from __future__ import annotations

import hashlib

import torch


def stream(seed: int, purpose: str) -> torch.Generator:
    """A generator on the CPU whose numbers depend on ``seed`` and ``purpose`` alone.

    Args:
        seed: Any integer.
        purpose: What the numbers are for; another purpose gives other numbers.
    """
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
