"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from bench.core.errors import StorageError

PARTIAL = ".partial"
"""How the names of files end that are being written."""


def write_atomic(path: Path, content: bytes | bytearray | str) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        StorageError: The disk is full or the folder cannot be written; what was there before still is.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise StorageError(
            f"cannot write {path}: {error.strerror}; nothing is lost, run the same command again"
        ) from error


def set_aside(path: Path) -> Path:
    """Rename a damaged file so that it is kept but not read again."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.replace(aside)
    return aside
