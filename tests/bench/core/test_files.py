"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import socket
import threading
from pathlib import Path

import pytest
from filelock import Timeout

from bench.core.errors import StorageError
from bench.core.files import PROBING, is_locked, locked, read_file, require_writable, set_aside, write_atomic


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    write_atomic(path, "old")

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="nothing is lost"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_a_damaged_file_is_kept_under_a_name_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    for number, content in enumerate(("one", "two"), start=1):
        write_atomic(path, content)
        aside = set_aside(path)
        assert aside.name == f"run.json.damaged-{number}"
        assert aside.read_text() == content
        assert not path.exists()


def odd(path: Path, kind: str) -> None:
    """Something of this name that is no file."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket"])
def test_what_is_no_file_is_not_waited_for(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    odd(Path("run.json"), kind)
    with pytest.raises(OSError, match=r"run\.json"):
        read_file(Path("run.json"))
    assert not is_locked(Path("run.json"))


def test_a_file_has_an_end(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(OSError, match="longer than 4 bytes"):
        read_file(path, 4)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EROFS, errno.ENOTSUP])
def test_a_file_system_without_locks_is_one_line(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".lock"
    path.touch()

    def none(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", none)
    with pytest.raises(StorageError, match=f"^cannot lock {path}: {os.strerror(number)}"), locked(path):
        pass
    assert not is_locked(path)


def test_a_lock_that_another_has_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with locked(path):
        assert is_locked(path)
        with pytest.raises(Timeout), locked(path, wait=0.1):
            pass
    assert not is_locked(path)


def test_who_only_asks_keeps_nobody_from_a_lock(tmp_path: Path) -> None:
    path, asking = tmp_path / ".lock", threading.Event()
    path.touch()
    asking.set()

    def ask() -> None:
        while asking.is_set():
            is_locked(path)

    others = [threading.Thread(target=ask) for _ in range(3)]
    for one in others:
        one.start()
    try:
        for _ in range(300):
            with locked(path, wait=PROBING):
                pass
    finally:
        asking.clear()
        for one in others:
            one.join()


def test_whether_a_folder_can_be_written_is_found_out_and_leaves_nothing(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match=f"^cannot write to {folder}: Not a directory; expected"):
            require_writable(folder)
    (tmp_path / "full").mkdir()
    require_writable(tmp_path / "full" / "more")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]
    if Path("/proc").is_dir():
        with pytest.raises(StorageError, match=r"^cannot write to /proc/none: "):
            require_writable(Path("/proc/none"))
