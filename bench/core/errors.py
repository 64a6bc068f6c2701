"""The one family of errors that a user sees as a single line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from bench.core.output import visible


class BenchError(Exception):
    """A user's mistake or a failed run: shown as one line, never as a traceback.

    Attributes:
        recorded: The run's record says it too.
    """

    recorded = False

    def __str__(self) -> str:
        """One line, whatever names of somebody's files are in it."""
        return visible(super().__str__())


class ConfigError(BenchError):
    """An option has a value that cannot work.

    Args:
        option: The option as the user types it, e.g. ``"method.c"``.
        value: The value found.
        expected: What would be right, e.g. ``"a number of at least 1"``.
    """

    def __init__(self, option: str, value: object, expected: str) -> None:
        super().__init__(f"{option}={value}: expected {expected}")


class DataError(BenchError):
    """A data set is missing or unreadable."""


class Busy(BenchError):
    """Another process is at the run."""


class StorageError(BenchError):
    """A file cannot be written."""


class PlanError(BenchError):
    """A growth plan asks for what no surgery can do."""


class NothingToGrow(BenchError):
    """A network has no channels that can be split.

    Args:
        reasons: What cannot be split, and why.
    """

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = "; ".join(reasons)
        super().__init__(f"nothing of the model can grow: {self.reasons}")


class TrainingDiverged(BenchError):
    """The training loss became NaN or infinite."""


class Refused(BenchError):
    """A method declines a (method, backbone) pair; the reason is shown in the report's cell."""


def one_line(error: BaseException) -> str:
    """Somebody else's exception on one line: its type and its message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


EXHAUSTED = ("DefaultCPUAllocator", "out of memory", "ALLOC_FAILED")
"""What a `RuntimeError` says of memory, of the processor, a driver or a library, where PyTorch has no type for it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory is used up; PyTorch has a type for a GPU's alone."""
    names = {kind.__name__ for kind in type(error).__mro__}
    told = isinstance(error, RuntimeError) and any(words in str(error) for words in EXHAUSTED)
    return told or bool(names & {"MemoryError", "OutOfMemoryError"})


@contextmanager
def foreign(what: str) -> Iterator[None]:
    """Call somebody else's code, which may raise anything, ``SystemExit`` too; Ctrl-C remains Ctrl-C.

    Args:
        what: Whose it is and what it was to do, e.g. ``"method=mine"``.

    Raises:
        BenchError: As it was raised inside, or in place of whatever else was.
    """
    try:
        yield
    except (BenchError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise BenchError(f"{what}: {one_line(error)}") from error


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """The choice that a mistyped name is nearest to, as the end of a message; empty if none is near."""
    found = difflib.get_close_matches(name, list(choices), n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def require(holds: bool, option: str, value: object, expected: str) -> None:
    """Raise `ConfigError` unless ``holds``."""
    if not holds:
        raise ConfigError(option, value, expected)


def require_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `ConfigError` unless ``value`` is one of ``choices``."""
    require(value in choices, option, value, "one of " + ", ".join(choices))
