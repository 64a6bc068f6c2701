"""Files that are there whole or not at all, read only if they are files, and locks on them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from filelock import FileLock, Timeout

from bench.core.errors import StorageError

PARTIAL = ".partial"
"""How the names of files end that are being written."""

PROBING = 0.5
"""Seconds that a lock may be held by those who only ask whether somebody has it; it takes them less than one in a
thousand."""

MOST_BYTES = 2**28
"""Of a text that is read whole."""


def write_atomic(path: Path, content: bytes | bytearray | str) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        StorageError: The disk is full or the folder cannot be written; what was there before still is.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise StorageError(
            f"cannot write {path}: {error.strerror}; nothing is lost, run the same command again"
        ) from error


def require_writable(folder: Path) -> None:
    """Make a file in a folder, which need not be there yet, and take it away again; nothing stays.

    Raises:
        StorageError: That cannot be.
    """
    made = list[Path]()
    try:
        for place in (*reversed(folder.absolute().parents), folder.absolute()):
            if not place.is_dir():
                if place.exists():
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                place.mkdir()
                made.append(place)
        with NamedTemporaryFile(dir=folder, prefix=".", suffix=PARTIAL):
            pass
    except OSError as error:
        raise StorageError(
            f"cannot write to {folder}: {error.strerror}; expected a folder that can be written"
        ) from None
    finally:
        for place in reversed(made):
            with suppress(OSError):  # somebody else's file is in it already
                place.rmdir()


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file; anything else of its name, as a pipe that nobody writes to, is not waited for.

    Raises:
        OSError: There is no such file, it cannot be read, is no regular file, or is longer than ``most`` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if found.st_size > most:
            raise OSError(errno.EFBIG, f"longer than {most:,} bytes", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, wait: float = -1) -> Iterator[None]:
    """Hold the lock that a file is.

    Args:
        path: The file; it is made where it is not there.
        wait: Seconds to wait for a process that has it; below zero for as long as it takes.

    Raises:
        Timeout: Another process has it for longer.
        StorageError: The file system keeps no locks, or the file cannot be made.
    """
    lock = FileLock(path, timeout=wait)
    try:
        lock.acquire()
    except Timeout:
        raise
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(
            f"cannot lock {path}: {reason}; runs need a folder that can be written, on a file system with locks"
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock; where nobody can say, as in a folder that cannot be written, none is said to."""
    if not path.is_file():
        return False
    try:
        with locked(path, wait=0):
            return False
    except Timeout:
        return True
    except StorageError:
        return False


def set_aside(path: Path) -> Path:
    """Rename a damaged file so that it is kept but not read again."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.replace(aside)
    return aside
