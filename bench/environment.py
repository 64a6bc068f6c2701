"""The machine a run is on."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from bench.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """The device of ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        ConfigError: This machine has no such device.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(device for device in ("cuda", "mps", "cpu") if present[device])
    if not present[name]:
        here = ", ".join(device for device, there in present.items() if there)
        raise ConfigError("device", name, f"one that this machine has: auto, {here}")
    if name == "cuda":
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
    return torch.device(name)


def describe(device: torch.device) -> dict[str, Any]:
    """Python, PyTorch, device, threads and the code's version."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": f"{device.type} ({name})",
        "threads": torch.get_num_threads(),
        "code": _code(),
    }


def _code() -> str:
    """The package's version, and the commit where it runs from a checkout."""
    try:
        number = version("growth-bench")
    except PackageNotFoundError:
        number = "unknown"
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return number
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
        commit = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return number
    return f"{number}+{commit}"
