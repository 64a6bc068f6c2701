"""Independent random streams of one seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def stream(seed: int, purpose: str) -> torch.Generator:
    """A generator on the CPU whose numbers depend on ``seed`` and ``purpose`` alone.

    Args:
        seed: Any integer.
        purpose: What the numbers are for; another purpose gives other numbers.
    """
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def seed_global(seed: int) -> None:
    """Seed what other people's code may draw from: the generators of PyTorch, NumPy and Python that all share."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the global one is what others may use
    random.seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within it what draws from the global generators draws the same each time; after it they are as they were."""
    others = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        seed_global(seed)
        try:
            yield
        finally:
            random.setstate(others[0])
            np.random.set_state(others[1])  # noqa: NPY002
