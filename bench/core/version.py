"""Which code this is."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path


def version() -> str:
    """The package's version, and the commit where it runs from a checkout."""
    try:
        number = installed("growth-bench")
    except PackageNotFoundError:
        number = "unknown"
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return number
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
        commit = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return number
    return f"{number}+{commit}"
