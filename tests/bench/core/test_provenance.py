"""The code of plugins as it lies there, found without importing it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.core import provenance
from bench.core.provenance import NUMERICS, Provenance, Source, changes, source_of


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, whose files may change."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("loose", "helper", "broken", "mine", "pack"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    provenance._files.cache_clear()
    return tmp_path


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    provenance._files.cache_clear()


def test_what_a_module_imports_from_its_folder_belongs_to_it(here: Path) -> None:
    write(here, loose="import json\n\ndef f():\n    from helper import g\n", helper="import third.part", other="")
    write(here, third__part="x = 1")
    assert set(source_of("loose").files) == {"loose.py", "helper.py", "third/part.py"}
    assert "loose" not in sys.modules


def test_a_package_is_followed_inside(here: Path) -> None:
    write(
        here,
        pack__init="",
        outside="",
        pack__nets__deep="from .. import wide\nfrom ..blocks import conv\nimport outside",
    )
    (here / "pack" / "__init__.py").write_text("from . import shared")
    write(here, pack__wide="", pack__blocks__conv="", pack__shared="", pack__unused="")
    expected = {"pack/__init__.py", "pack/shared.py", "pack/nets/deep.py", "pack/wide.py", "pack/blocks/conv.py"}
    assert set(source_of("pack.nets.deep").files) == expected


@pytest.mark.parametrize("module", ["__main__", "no_such_module", "pack.missing", ""])
def test_what_cannot_be_found_has_no_files(module: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)  # as where Python runs a file
    assert source_of(module).files == {}
    recorded = Provenance(NUMERICS, {"method": Source(module, {"gone.py": "0"})})
    assert changes(recorded) == []  # on another machine nothing can be said


def test_a_file_that_python_cannot_read_is_still_told_apart(here: Path) -> None:
    write(here, broken="def f(:\n")
    before = source_of("broken")
    write(here, broken="def f(:\n ")
    assert before.differences(source_of("broken")) == ["broken.py"]


def test_changes_name_the_option_and_the_file(here: Path) -> None:
    write(here, mine="import helper", helper="a = 1")
    recorded = Provenance(NUMERICS, {"backbone": source_of("mine")})
    assert changes(recorded) == []
    write(here, helper="a = 2")
    assert changes(recorded) == ["backbone (helper.py)"]
    assert changes(Provenance(NUMERICS - 1, {})) == ["the suite's numerics"]
    assert changes(None) != []


def test_a_library_is_known_by_its_release() -> None:
    assert source_of("torchvision", is_library=True).release
    old = Provenance(NUMERICS, {"backbone": Source("torchvision", {}, "0.0.1")})
    (change,) = changes(old)
    assert change.startswith("backbone (torchvision ")
