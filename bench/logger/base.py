"""The registry of loggers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bench.observer import Observer
from bench.registry import Registry
from bench.store import Run


class Logger(Observer, Protocol):
    """An observer that writes somewhere and must be closed, whether or not the run came to its end."""

    def close(self) -> None:
        """Write what is left; after `Observer.end` there is nothing to do."""


Start = Callable[[], Logger]
"""Starts a logger. It may load packages, write files, wait a bounded time for a server, and raise anything."""

loggers: Registry[Callable[[Any, Mapping[str, Any], Run], Start | None]] = Registry("logger", "bench.logger")
"""Loggers by name; a factory takes its options, the whole configuration and the run, and touches nothing yet."""
