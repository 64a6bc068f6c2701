"""No logger beside the run's own record."""

from __future__ import annotations

from bench.core.options import Options
from bench.core.registry import NoOptions
from bench.core.store import RunFolder
from bench.logger.base import Start, loggers


@loggers.register("none")
def none(config: NoOptions, options: Options, folder: RunFolder) -> Start | None:
    """Nobody hears anything."""
    return None
