"""Image sets in torchvision's files: read whole, fetched once, missing ones explained."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from bench.core.errors import DataError, require
from bench.core.files import locked
from bench.core.output import note
from bench.core.provenance import listing
from bench.data.base import Part
from bench.data.check import mismatch

# What torchvision raises for files that are missing, cut short or damaged, and for a network that is not there.
UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, KeyError, AssertionError)


T = TypeVar("T")


@dataclass(frozen=True)
class FilesConfig:
    """Options of every set read from torchvision's files.

    Args:
        root: The folder of torchvision's files; ``~`` is the home folder.
        download: Whether to fetch what is missing.
        validation: How many training examples to hold out.
        train_size: How many of the rest to train on; None: all.
        crop: Zero padding of the random crop, in pixels; 0: no crop.
        flip: Whether half of the training images are mirrored.
    """

    root: str = "data"
    download: bool = True
    validation: int = 5000
    train_size: int | None = None
    crop: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        require(self.crop >= 0, "data.crop", self.crop, "a number of pixels, 0 or more")


def read(source: Callable[..., Any], name: str, root: str, download: bool) -> tuple[Part, Part]:
    """The published training and test part.

    Args:
        source: One of torchvision's classes, called with ``(root, train=..., download=...)``.
        name: The data set's registered name.
        root: The folder of torchvision's files.
        download: Whether to fetch what is missing.

    Raises:
        DataError: There are no readable files and none can be fetched.
    """
    return fetched(name, root, download, partial(_parts, source))


def fetched(name: str, root: str, download: bool, read: Callable[[Path, bool], T]) -> T:
    """What is read from torchvision's files, which are fetched if they are missing.

    Processes that find nothing wait for one of them to fetch it; where the files are, none waits.

    Args:
        name: What the user types for the data set.
        root: The folder of torchvision's files.
        download: Whether to fetch what is missing.
        read: Reads below a folder, and fetches what is missing there if told to.

    Raises:
        DataError: There are no readable files and none can be fetched.
    """
    folder = Path(root).expanduser()
    try:
        try:
            return read(folder, False)
        except UNREADABLE:
            if not download:
                raise
        folder.mkdir(parents=True, exist_ok=True)
        note(f"data={name}: fetching its files into data.root={root}")
        with locked(folder / f".{name.replace(':', '_')}.lock"), redirect_stdout(sys.stderr):
            return read(folder, True)
    except UNREADABLE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise DataError(
            f"data={name}: no readable files in data.root={root} ({reason}); run once with a network and "
            "data.download=true, or put torchvision's files there; remove damaged ones"
        ) from error


def listed(source: Any, root: str) -> dict[str, list[int]]:
    """Size and time of the files of one of torchvision's classes, by their path below ``root``."""
    folder = Path(root).expanduser()
    return listing(folder, folder / getattr(source, "base_folder", f"{source.__name__}/raw"))


def _parts(source: Callable[..., Any], folder: Path, download: bool) -> tuple[Part, Part]:
    """Read both parts; images to uint8 (N, C, H, W), targets to int64."""

    def part(train: bool) -> Part:
        files = source(folder, train=train, download=download)
        pixels = torch.as_tensor(files.data)
        images = pixels.unsqueeze(1) if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2).contiguous()
        found = Part(images, torch.as_tensor(files.targets, dtype=torch.int64))
        if problem := mismatch(found):
            raise ValueError(f"the {'training' if train else 'test'} files have {problem}")
        return found

    return part(train=True), part(train=False)
