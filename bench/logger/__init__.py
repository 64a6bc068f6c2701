"""Loggers beside a run's own record: ``make(options, folder)`` gives callbacks of the run.

A logger is never needed and never in the way. It is loaded and started when the run first has something to tell;
whatever fails in it is said in one line on standard error, and the run goes on without it (`bench.logger.guard`).
Which logger is chosen does not enter a run's identity. May import `bench.core` alone.
"""

from __future__ import annotations

from bench.core.options import Options
from bench.core.store import RunFolder
from bench.logger.base import loggers
from bench.logger.guard import Guard
from bench.logger.report import log_report

__all__ = ["log_report", "loggers", "make"]


def make(options: Options, folder: RunFolder) -> list[Guard]:
    """Callbacks that log a run; none for ``logger=none``.

    Args:
        options: The whole resolved configuration; ``options["logger"]`` has the logger's name and options.
        folder: The run's folder.

    Returns:
        Callbacks that are also context managers: leaving them closes the logger of a run that did not come to its end.

    Raises:
        ConfigError: The name or an option is unknown, or a value cannot work.
    """
    chosen = options["logger"]
    entry = loggers[str(chosen.get("name"))]
    start = entry.make(chosen, options, folder)
    return [] if start is None else [Guard(entry.name, start)]
