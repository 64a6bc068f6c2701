"""Standard output that may be closed or full, and lines beside it on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def standard_output() -> Iterator[None]:
    """All that is printed within reaches standard output; where it cannot, one line says so and the command has failed.

    Raises:
        SystemExit: Standard output is closed, as with ``>&-`` or behind ``| head -1``, or its disk is full.
    """
    if sys.stdout is None:
        sys.exit("error: standard output is closed")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.filename is not None or not is_lost():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at its end
        sys.exit(f"error: standard output: {error.strerror}")


def visible(text: str) -> str:
    """Text on one line that moves no cursor: what cannot be printed, as terminal escapes in a name, is written out."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def note(text: str) -> None:
    """Say at once, on standard error, what is about to take long; above a progress bar where there is one."""
    print(visible(text), file=sys.stderr, flush=True)


def is_lost() -> bool:
    """Whether nothing can be printed: a line more is tried, for what could not be written is forgotten."""
    try:
        print(flush=True)
    except OSError:
        return True
    return False


@cache
def notice(text: str) -> None:
    """Say something in one line on standard error, once in a process."""
    note(text)
