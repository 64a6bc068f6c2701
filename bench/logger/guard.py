"""What keeps a logger from ever stopping, delaying or cluttering a run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress

from bench.core.callbacks import Callback
from bench.core.record import RunRecord, StageRecord
from bench.logger.base import Logger, Start

LONGEST = 300
"""Characters of a reason that are shown."""

_said: set[str] = set()


class NotHere(Exception):
    """A logger cannot start, for a reason that a user understands as it stands."""


class Guard(Callback):
    """A callback that hands everything to a logger until the logger fails.

    The logger is started when there is first something to tell, so a run that is skipped or cannot begin starts
    none. Whatever it raises ends the logger, not the run; one line on standard error says so, once a process.

    Args:
        name: The logger's name, as in ``logger=NAME``.
        start: Starts it.
    """

    def __init__(self, name: str, start: Start) -> None:
        self.name = name
        self._start: Start | None = start
        self._logger: Logger | None = None

    def on_stage_begin(self, stage: int, stages: int, epochs: int, done: int) -> None:
        """Training of a stage begins."""
        self._tell(lambda logger: logger.on_stage_begin(stage, stages, epochs, done))

    def on_epoch_end(self, train_loss: float, val_loss: float) -> None:
        """An epoch has ended."""
        self._tell(lambda logger: logger.on_epoch_end(train_loss, val_loss))

    def on_stage_end(self, record: StageRecord) -> None:
        """A stage has been measured."""
        self._tell(lambda logger: logger.on_stage_end(record))

    def on_run_end(self, record: RunRecord) -> None:
        """The run has ended."""
        self._tell(lambda logger: logger.on_run_end(record))

    def close(self) -> None:
        """Close the logger if it was started; nothing is told after that."""
        logger, self._logger, self._start = self._logger, None, None
        if logger is not None:
            try:
                logger.close()
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # as in _tell
                self._say(error)

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _tell(self, message: Callable[[Logger], None]) -> None:
        try:
            if self._start is not None:
                start, self._start = self._start, None
                self._logger = start()
            if self._logger is not None:
                message(self._logger)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever it is, SystemExit too, the run is worth more
            failed, self._logger = self._logger, None
            self._say(error)
            if failed is not None:
                with suppress(Exception, SystemExit):
                    failed.close()

    def _say(self, error: BaseException) -> None:
        say(f"logger={self.name}: {reason(error)}; the run goes on without it")


def reason(error: BaseException) -> str:
    """An error as part of one line."""
    text = " ".join(str(error).split()).rstrip(".")
    if not isinstance(error, NotHere):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def say(line: str) -> None:
    """Print a line on standard error unless this process has said it before."""
    if line not in _said:
        _said.add(line)
        with suppress(OSError, ValueError):  # standard error may be closed
            print(line, file=sys.stderr)
