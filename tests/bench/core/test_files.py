"""Files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import StorageError
from bench.core.files import set_aside, write_atomic


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
