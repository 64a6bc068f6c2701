"""What lies in a folder of runs."""

from __future__ import annotations

from pathlib import Path


def contents(folder: Path) -> dict[Path, bytes]:
    """Of all files below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
