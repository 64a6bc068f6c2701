"""Where a run stands, as a file: network, optimiser, lineage and the stages done.

A checkpoint is replaced atomically, carries its own checksum, and the one before it is kept. A damaged file is set
aside under another name, and the run goes on from the last good one.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from bench.core.files import set_aside, write_atomic

Content = dict[str, Any]
"""Tensors and plain data."""


def save(path: Path, state: Content) -> None:
    """Write a checkpoint of tensors and plain data; the file that was there becomes the previous one."""
    content = _bytes(state)
    whole = _bytes(
        {"sha256": hashlib.sha256(content).hexdigest(), "content": torch.frombuffer(content, dtype=torch.uint8)}
    )
    if path.exists():
        path.replace(previous(path))
    write_atomic(path, whole)


def load(path: Path) -> Content | None:
    """Read the last good checkpoint, to the CPU, with ``weights_only=True``; None if there is none."""
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            whole = torch.load(candidate, map_location="cpu", weights_only=True)
            content = bytes(whole["content"].numpy())
            if hashlib.sha256(content).hexdigest() != whole["sha256"]:
                raise ValueError("checksum")
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except Exception:  # a damaged file may fail in any way
            set_aside(candidate)
            continue
        if isinstance(state, dict):
            return state
    return None


def previous(path: Path) -> Path:
    """Where the checkpoint before the last one is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def _bytes(state: Content) -> bytearray:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return bytearray(buffer.getvalue())
