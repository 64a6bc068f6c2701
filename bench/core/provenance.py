"""What made a run: the source of its plugins, the network that was built, the data, and the suite's numerics.

A run's options name its plugins and data; its provenance says which they were, so that numbers of two versions are
never taken for one another's. Nothing here imports what it looks at, nor PyTorch.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, to_builtins

NUMERICS = 2
"""Raised whenever the same command gives other numbers by more than rounding; runs of another one are made anew."""

WEIGHTS = "the weights that it starts from"


class Source(Struct, frozen=True):
    """The code of a plugin.

    Attributes:
        module: The module that it is written in, or the library that it is of: torchvision, timm.
        files: That module's file, and those that it imports from the same package or folder: what they contain.
        release: Version of the library.
    """

    module: str
    files: dict[str, str] = {}
    release: str = ""

    def differences(self, now: Source) -> list[str]:
        """What is not as it was."""
        names = [name for name in {**self.files, **now.files} if self.files.get(name) != now.files.get(name)]
        return names or ([f"{self.module} {now.release}"] if self.release != now.release else [])


class Provenance(Struct, frozen=True):
    """What made a run.

    Attributes:
        numerics: `NUMERICS` of the suite.
        sources: The plugins' code, by the option that names them.
        network: Of the network as it was built: its operations and the shapes of its parameters.
        data: Of all examples.
        files: `stamp` of the files and folders that the data were read from, by their path below ``data.root``.
        machine: Device and threads, where the ladder is of latency; empty otherwise.
        weights: Of the file that the seed network starts from; empty for none.
    """

    numerics: int = 0
    sources: dict[str, Source] = {}
    network: str = ""
    data: str = ""
    files: dict[str, Annotated[list[int], Meta(min_length=2, max_length=2)]] = {}
    machine: str = ""
    weights: str = ""

    def differences(self, now: Provenance) -> list[str]:
        """What is not as it was, for messages; that a file has another time is no difference."""
        found = [] if self.numerics == now.numerics else ["the suite's numerics"]
        for option, source in self.sources.items():
            if option in now.sources and (names := source.differences(now.sources[option])):
                found.append(f"{option} ({', '.join(names)})")
        named = {
            "network": "the network that is built",
            "data": "the data",
            "machine": "the machine",
            "weights": WEIGHTS,
        }
        return found + [what for name, what in named.items() if getattr(self, name) != getattr(now, name)]

    @property
    def seed_key(self) -> str:
        """Names what a seed network depends on besides its options."""
        sources = {option: self.sources[option].files for option in ("backbone", "data") if option in self.sources}
        return digest_of([self.numerics, sources, self.network, self.data, *filter(None, [self.weights])])[:8]


def changes(recorded: Provenance | None) -> list[str]:
    """What is not as it was when a run was made, as far as the source tells, for messages."""
    if recorded is None:
        return ["the suite, which then kept no record of what makes a run"]
    now = {option: source_of(one.module, one.release != "") for option, one in recorded.sources.items()}
    known = {option: one for option, one in now.items() if one.files or one.release}
    sources = {option: recorded.sources[option] for option in known}
    before = Provenance(recorded.numerics, sources)
    return before.differences(Provenance(NUMERICS, known))


def outdated(changed: Sequence[str], where: str) -> str:
    """What to say of a run that lies there and was made by what is no more, and what to type."""
    what = f"changed since this run was made: {', '.join(changed)}"
    return f"{what}; rerun=all makes it anew, another runs_dir keeps both ({where})"


def source_of(module: str, is_library: bool = False) -> Source:
    """The code of a plugin as it lies there now: the module that it is written in, or the library that it is of."""
    return Source(module, release=_release(module)) if is_library else Source(module, _files(module))


def digest_of_file(path: str | Path) -> str:
    """Sixteen hex digits that name a file's content; ``~`` is the home folder.

    Raises:
        OSError: There is no such file.
    """
    with Path(path).expanduser().open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def digest_of(content: object) -> str:
    """SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(to_builtins(content), sort_keys=True).encode()).hexdigest()


def listing(root: Path, folder: Path) -> dict[str, list[int]]:
    """Size and time of the files in a folder, by their path below ``root``."""
    found = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    return {path.relative_to(root).as_posix(): stamp(path) for path in found if not path.name.startswith(".")}


def stamp(path: Path) -> list[int]:
    """Two numbers that change with what lies there: a file's size in bytes and its time in nanoseconds.

    Of a folder: the size of all files below it, hidden ones left out, and a number that stands for their names, sizes
    and times. Empty where nothing is.
    """
    if path.is_file():
        found = path.stat()
        return [found.st_size, found.st_mtime_ns]
    if not path.is_dir():
        return []
    below = [Path(folder, name) for folder, _, names in os.walk(path, followlinks=True) for name in names]
    there = {file.relative_to(path).as_posix(): stamp(file) for file in below if not file.name.startswith(".")}
    size = sum(one[0] for one in there.values() if one)
    return [size, int(digest_of(there)[:13], 16)]


def _release(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


@cache
def _files(module: str) -> dict[str, str]:
    """Digests of a module's file and of those that it imports from its package, by their path there.

    What stands alone in a folder takes that for its package, and a plugin of the suite its room.
    """
    top, *rest = module.split(".")
    spec = _spec(top)
    places = [*(spec.submodule_search_locations or ())] if spec is not None else []
    if spec is None or not (places or spec.has_location):
        return {}
    base = Path(places[0] if places else str(spec.origin)).parent
    first = _file(base, module) if rest or places else Path(str(spec.origin))
    if first is None:
        return {}
    room = first.parent if top == "bench" else base / top if places else base
    found: dict[Path, str] = {}
    waiting = [first]
    while waiting:
        path = waiting.pop()
        if path in found or room not in path.parents:
            continue
        try:
            content = path.read_bytes()
        except OSError:
            continue
        found[path] = hashlib.sha256(content).hexdigest()[:16]
        waiting += [file for name in _imported(content, path, base) if (file := _file(base, name)) is not None]
    return {path.relative_to(base).as_posix(): found[path] for path in sorted(found)}


def _spec(top: str) -> ModuleSpec | None:
    try:
        found = find_spec(top)
    except (ImportError, ValueError):  # a module made by hand has none
        found = None
    return found or PathFinder.find_spec(top, [os.getcwd()])


def _file(base: Path, module: str) -> Path | None:
    place = base.joinpath(*module.split("."))
    return next((path for path in (place.with_name(f"{place.name}.py"), place / "__init__.py") if path.is_file()), None)


def _imported(content: bytes, path: Path, base: Path) -> Iterator[str]:
    """Names of modules that a file imports, and of what may be one."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return
    package = list(path.relative_to(base).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield from _with_parents(one.name)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            whole = ".".join([*start, *(node.module or "").split(".")]).strip(".")
            yield from _with_parents(whole)
            yield from (f"{whole}.{one.name}" for one in node.names if whole)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1) if name)
