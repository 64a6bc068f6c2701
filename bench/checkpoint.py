"""Where a run stands, as a file: network, optimiser, lineage and the stages done."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from bench.store import write_atomic


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically: tensors and plain data only."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomic(path, buffer.getvalue())


def load(path: Path, device: torch.device) -> dict[str, Any] | None:
    """Read a checkpoint with ``weights_only=True``; None if there is none or it cannot be read."""
    try:
        found = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        return None
    except Exception:  # a damaged file may fail in any way; the run is done again
        return None
    return found if isinstance(found, dict) else None
