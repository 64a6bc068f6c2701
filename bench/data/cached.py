"""Decoded images in a file, so that the next run starts at once."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor

from bench.core.errors import StorageError
from bench.core.files import locked, write_atomic
from bench.core.output import notice


def cached(folder: str | None, key: str, stamp: list[int], make: Callable[[], Tensor]) -> Tensor:
    """What ``make`` returns, from a file where one has it.

    Of several processes one makes it, and the others wait for that. Where the folder cannot be written nothing is kept.

    Args:
        folder: Where files are kept, one for each key; ``~`` is the home folder. None: nowhere.
        key: What it is.
        stamp: Of what it is made from (`bench.core.provenance.stamp`); a file with another one is replaced.
        make: Makes it.
    """
    if folder is None:
        return make()
    path = Path(folder).expanduser() / f"{key}.pt"
    if (found := _read(path, stamp)) is not None:
        return found
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(path.with_suffix(".lock")))
        except (OSError, StorageError) as error:
            notice(f"data.cache={folder}: cannot be written, so images are decoded anew each time ({error})")
            return make()
        if (found := _read(path, stamp)) is not None:
            return found
        made = make()
        content = io.BytesIO()
        torch.save({"stamp": stamp, "images": made}, content)
        try:
            write_atomic(path, content.getvalue())
        except StorageError as error:
            notice(f"data.cache={folder}: {error}")
        return made


def _read(path: Path, stamp: list[int]) -> Tensor | None:
    try:
        found = torch.load(path, weights_only=True, mmap=True)
        kept = found["images"] if found["stamp"] == stamp else None
    except Exception:  # there is none, or a damaged one, which is replaced
        return None
    return kept if isinstance(kept, Tensor) else None
