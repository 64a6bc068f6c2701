"""The registry of loggers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.core.callbacks import Callback
from bench.core.options import Options
from bench.core.registry import Registry
from bench.core.store import RunFolder


class Logger(Callback):
    """A callback that writes somewhere and must be closed, whether or not the run came to its end."""

    def close(self) -> None:
        """Write what is left; after `Callback.on_run_end` there is nothing to do."""


Start = Callable[[], Logger]
"""Starts a logger. It may load packages, write files, wait a bounded time for a server, and raise anything."""

loggers: Registry[Callable[[Any, Options, RunFolder], Start | None]] = Registry(
    "logger", "bench.logger", "growth_bench.loggers"
)
"""Loggers by name: the modules of this package, and other packages' by their entry points.

A factory takes its options, all of the run's and the run's folder, and touches nothing yet."""
