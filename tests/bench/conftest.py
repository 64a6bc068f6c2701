"""What a user installs: the wheel, made once for all tests that need it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def built(target: str, source: Path, place: Path) -> Path:
    """A wheel or an sdist of a source tree."""
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(place)]
    subprocess.run(command, cwd=source, capture_output=True, text=True, check=True)
    (found,) = place.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return found


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is made from the sdist, as package indexes have both."""
    place = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built("sdist", ROOT, place)) as archive:
        archive.extractall(place, filter="data")
    (source,) = (path for path in place.iterdir() if path.is_dir())
    return built("wheel", source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked, with its console script beside it."""
    place = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    points = ConfigParser()
    points.read(next(place.glob("*.dist-info")) / "entry_points.txt")
    module, _, function = points["console_scripts"]["growth-bench"].partition(":")
    (place / "bin").mkdir()
    code = f"import sys\nfrom {module} import {function}\nif __name__ == '__main__':\n    sys.exit({function}())\n"
    (place / "bin" / "growth-bench").write_text(code)
    return place
