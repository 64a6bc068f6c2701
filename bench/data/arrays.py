"""``data=file:PATH``: named arrays in a file of NumPy's, ``.npz``, or of PyTorch's, ``.pt``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from bench.core.errors import DataError, require
from bench.core.provenance import stamp
from bench.data.base import Dataset, datasets
from bench.data.named import of_arrays
from bench.data.own import OwnConfig, assemble, explained

READERS = (".npz", ".pt", ".pth")


@dataclass(frozen=True)
class FileConfig(OwnConfig):
    """As `OwnConfig`, and where the file is.

    Args:
        root: The folder below which a relative path lies; ``~`` is the home folder.
    """

    root: str = "."


def found(path: str, config: FileConfig) -> Path:
    """Where the file is.

    Raises:
        DataError: There is none.
    """
    place = placed("file", config.root, path)
    if not place.is_file():
        expected = f"a file that ends in {', '.join(READERS)}"
        raise DataError(f"data=file:{path}: no such file below data.root={config.root}; expected {expected}")
    return place


@datasets.register("file:PATH", FileConfig, there=found)
def file(path: str, config: FileConfig, seed: int) -> Dataset:
    """Arrays of a file by their names (`bench.data.named`); nothing in it is run.

    Raises:
        ConfigError: A size is out of range, or an option does not suit the data.
        DataError: There is no such file, or it holds something else.
    """
    name, place = f"file:{path}", found(path, config)
    files = {Path(path).as_posix(): stamp(place)}
    with explained(name):
        given = of_arrays(name, _read(place))
    return replace(assemble(name, given, config, seed), files=files)


def placed(kind: str, root: str, path: str) -> Path:
    """Where ``data=KIND:PATH`` lies: below ``root``, and ``~`` is the home folder in either.

    Raises:
        ConfigError: There is no path.
    """
    require(bool(path), "data", f"{kind}:", f"{kind}:PATH")
    return Path(root).expanduser() / Path(path).expanduser()


def _read(path: Path) -> Mapping[str, object]:
    if path.suffix not in READERS:
        raise ValueError(f"a file that ends in {path.suffix or 'nothing'}; expected one of {', '.join(READERS)}")
    try:
        if path.suffix == ".npz":
            found = np.load(path, allow_pickle=False)
            content: object = dict(found) if isinstance(found, np.lib.npyio.NpzFile) else found
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file raises, or one that holds code
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"cannot be read as named arrays ({reason})") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"holds a {type(content).__name__}; expected arrays by name, a dict as torch.save writes it")
    return {str(key): value for key, value in content.items()}
