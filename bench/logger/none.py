"""No logger beside the run's own record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.logger.base import Start, loggers
from bench.store import Run


@dataclass(frozen=True)
class Config:
    """It has no options."""


@loggers.register("none", Config)
def none(config: Config, options: Mapping[str, Any], run: Run) -> Start | None:
    """Nobody is told."""
    return None
