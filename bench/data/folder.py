"""``data=folder:PATH``: images in a folder for each class, as torchvision's ``ImageFolder`` has them; decoded once."""

from __future__ import annotations

import os
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
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
from bench.data.images import alike, pixels, together
from bench.data.own import OR_RESIZE, OwnImagesConfig, assemble, explained
from bench.data.tensors import Given

FOLDERS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
"""What the folder of a part is called."""

ENDS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""How the names of images end, for torchvision."""

GLANCE = 1000
"""Files and folders of a class that are looked at before all are listed."""


@dataclass(frozen=True)
class FolderConfig(OwnImagesConfig):
    """As `OwnImagesConfig`, and where the images are.

    Args:
        root: The folder below which a relative path lies; ``~`` is the home folder.
        cache: The folder in which decoded images are kept; None: nowhere.
    """

    root: str = "."
    cache: str | None = "~/.cache/growth-bench"


def found(path: str, config: FolderConfig) -> dict[str, Path]:
    """The folders of the parts, each with a folder for each class; seen at a glance, however large they are.

    Raises:
        DataError: There are none.
    """
    place = placed("folder", config.root, path)
    if not place.is_dir():
        raise DataError(
            f"data=folder:{path}: no such folder below data.root={config.root}; expected PATH/CLASS/*.png or .jpg"
        )
    with explained(f"folder:{path}"):
        parts = _parts(place)
        for part in parts.values():
            _require_classes(part)
    return parts


@datasets.register("folder:PATH", FolderConfig, there=found)
def folder(path: str, config: FolderConfig, seed: int) -> Dataset:
    """Images of PATH/CLASS/; or of PATH/train/CLASS/, and PATH/validation/CLASS/ and PATH/test/CLASS/ if there are any.

    Raises:
        ConfigError: A size is out of range.
        DataError: There is no such folder, or images are missing, unreadable or of several sizes.
    """
    name, parts, place = f"folder:{path}", found(path, config), placed("folder", config.root, path)
    notice(f"data={name}: listing the images in {place}")
    files = {Path(path).as_posix(): stamp(place)}
    with explained(name):
        images = {part: _listed(where) for part, where in parts.items()}
        classes: list[str] = images["train"].classes
        for one in images.values():
            if unknown := sorted(set(one.classes) - set(classes)):
                raise ValueError(f"{one.root} has the class {unknown[0]}; expected those of the training part alone")
        inputs = alike({part: _inputs(name, one, config) for part, one in images.items()})
        examples = {part: Part(inputs[part], _targets(one, classes)) for part, one in images.items()}
    given = Given(**examples, classes=tuple(classes))
    return replace(assemble(name, given, config, seed), files=files)


def _parts(place: Path) -> dict[str, Path]:
    """The parts' folders; the whole is the training part where it has none."""
    found = {part: place / one for part, names in FOLDERS.items() for one in names if (place / one).is_dir()}
    if found and "train" not in found:
        raise ValueError(f"a folder {next(iter(found.values())).name}, but none train beside it; expected both or none")
    return found or {"train": place}


def _require_classes(place: Path) -> None:
    """Raise `ValueError` unless every folder in ``place`` has an image among its first `GLANCE` files."""
    classes = sorted(one.name for one in os.scandir(place) if one.is_dir() and not one.name.startswith("."))
    expected = f"Expected a folder for each class in {place}, with images in it"
    if not classes:
        raise ValueError(f"there is no folder in {place}. {expected}")
    for name in classes:
        files = (file for _, _, files in os.walk(place / name, followlinks=True) for file in (*files, ""))
        if not any(file.lower().endswith(ENDS) for file in islice(files, GLANCE)):
            raise ValueError(f"no image among the first files of the folder {name}. {expected}")


def _listed(place: Path) -> Any:
    from torchvision.datasets import ImageFolder  # here, as it takes a second that other sets need not wait

    class Shown(ImageFolder):  # type: ignore[misc]  # torchvision has no types
        """Without hidden folders, as notebooks and file managers leave them."""

        def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
            classes = [name for name in super().find_classes(directory)[0] if not name.startswith(".")]
            return classes, {name: number for number, name in enumerate(classes)}

    try:
        return Shown(place)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{reason} Expected a folder for each class in {place}, with images in it") from error


def _targets(images: Any, classes: list[str]) -> Tensor:
    """Classes by the numbers that the training part gives them."""
    return torch.tensor([classes.index(images.classes[number]) for _, number in images.samples])


def _inputs(name: str, images: Any, config: FolderConfig) -> Tensor:
    """The images of a part."""
    place = Path(images.root)
    paths = [Path(path) for path, _ in images.samples]

    def decode() -> Tensor:
        notice(f"data={name}: decoding {len(paths):,} images of {place}")
        with closing(_decoded(paths, place, config.resize)) as images:
            return together(images, OR_RESIZE)

    key = digest_of([str(place.resolve()), config.resize])[:16]
    return cached(config.cache, key, stamp(place), decode)


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
