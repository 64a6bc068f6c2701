"""``data=folder:PATH``: images in a folder for each class, as torchvision's ``ImageFolder`` has them; decoded once."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.core.errors import DataError
from bench.core.output import notice
from bench.core.provenance import digest_of, stamp
from bench.data.arrays import placed
from bench.data.base import Dataset, Part, datasets
from bench.data.cached import cached
from bench.data.images import pixels, together
from bench.data.own import OR_RESIZE, OwnImagesConfig, assemble, explained
from bench.data.tensors import Given

FOLDERS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
"""What the folder of a part is called."""


@dataclass(frozen=True)
class FolderConfig(OwnImagesConfig):
    """As `OwnImagesConfig`, and where the images are.

    Args:
        root: The folder below which a relative path lies; ``~`` is the home folder.
        cache: The folder in which decoded images are kept; None: nowhere.
    """

    root: str = "."
    cache: str | None = "~/.cache/growth-bench"


@datasets.register("folder:PATH", FolderConfig)
def folder(path: str, config: FolderConfig, seed: int) -> Dataset:
    """Images of PATH/CLASS/; or of PATH/train/CLASS/, and PATH/validation/CLASS/ and PATH/test/CLASS/ if there are any.

    Raises:
        ConfigError: A size is out of range.
        DataError: There is no such folder, or images are missing, unreadable or of several sizes.
    """
    name, place = f"folder:{path}", placed("folder", config.root, path)
    if not place.is_dir():
        raise DataError(f"data={name}: no such folder below data.root={config.root}; expected PATH/CLASS/*.png or .jpg")
    files = {Path(path).as_posix(): stamp(place)}
    with explained(name):
        images = {part: _listed(where) for part, where in _parts(place).items()}
        classes: list[str] = images["train"].classes
        found = {part: _examples(name, one, classes, config) for part, one in images.items()}
    given = Given(**found, classes=tuple(classes))
    return replace(assemble(name, given, config, seed), files=files)


def _parts(place: Path) -> dict[str, Path]:
    """The parts' folders; the whole is the training part where it has none."""
    found = {part: place / one for part, names in FOLDERS.items() for one in names if (place / one).is_dir()}
    if found and "train" not in found:
        raise ValueError(f"a folder {next(iter(found.values())).name}, but none train beside it; expected both or none")
    return found or {"train": place}


def _listed(place: Path) -> Any:
    from torchvision.datasets import ImageFolder  # here, as it takes a second that other sets need not wait

    try:
        return ImageFolder(place)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{reason} Expected a folder for each class in {place}, with images in it") from error


def _examples(name: str, images: Any, classes: list[str], config: FolderConfig) -> Part:
    """The images of a part, and their classes by the numbers that the training part gives them."""
    if unknown := sorted(set(images.classes) - set(classes)):
        raise ValueError(f"{images.root} has the class {unknown[0]}; expected those of the training part alone")
    place = Path(images.root)
    paths = [Path(path) for path, _ in images.samples]

    def decode() -> Tensor:
        notice(f"data={name}: decoding {len(paths):,} images of {place}")
        with closing(_decoded(paths, place, config.resize)) as images:
            return together(images, OR_RESIZE)

    key = digest_of([str(place.resolve()), config.resize])[:16]
    inputs = cached(config.cache, key, stamp(place), decode)
    return Part(inputs, torch.tensor([classes.index(images.classes[number]) for _, number in images.samples]))


def _decoded(paths: list[Path], place: Path, size: int | None) -> Generator[tuple[str, Tensor]]:
    """Each image by its path below ``place``, by several threads; none goes on after a mistake."""
    with ThreadPoolExecutor() as pool:
        try:
            names = [path.relative_to(place).as_posix() for path in paths]
            yield from zip(names, pool.map(lambda path: _read(path, size), paths), strict=True)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _read(path: Path, size: int | None) -> Tensor:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return pixels(image, size)
    except Exception as error:  # whatever a damaged image raises
        raise ValueError(f"{path} cannot be read ({error})") from error
