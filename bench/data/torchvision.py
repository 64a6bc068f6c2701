"""``data=torchvision:NAME``: any of torchvision's sets for classification."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import ConfigError, did_you_mean, require
from bench.data.base import Dataset, datasets
from bench.data.files import fetched, listed
from bench.data.own import OR_RESIZE, OwnImagesConfig, assemble, explained
from bench.data.tensors import given, is_array, stacked

Arguments = dict[str, Any]

ABSTRACT = ("VisionDataset", "DatasetFolder", "ImageFolder")
"""Classes that are no data set by themselves."""

TESTS = ("test", "val")
"""What the test part may be called."""


@dataclass(frozen=True)
class TorchvisionConfig(OwnImagesConfig):
    """As `OwnImagesConfig`, and torchvision's.

    Args:
        root: The folder of torchvision's files; ``~`` is the home folder.
        download: Whether to fetch what is missing.
        options: Keyword arguments of torchvision's class, each set as ``+data.options.NAME=VALUE``.
    """

    root: str = "data"
    download: bool = True
    options: dict[str, Any] = field(default_factory=dict)


@datasets.register("torchvision:NAME", TorchvisionConfig, library=True)
def torchvision_data(name: str, config: TorchvisionConfig, seed: int) -> Dataset:
    """The training and the test part that torchvision knows by ``train=`` or ``split=``; without these, one part.

    Raises:
        ConfigError: torchvision has no such set, or it takes other options.
        DataError: The files are not there and cannot be fetched, or are of something else than classes.
    """
    whole, source = f"torchvision:{name}", _source(name)
    train, tests = _arguments(source)
    with explained(whole):
        parts = fetched(whole, config.root, config.download, partial(_opened, source, config.options, train, tests))
        found = {part: _examples(one, config.resize) for part, one in parts.items()}
        classes = getattr(parts["train"], "classes", ())
        made = given(found, classes if isinstance(classes, list | tuple) else ())
    return replace(assemble(whole, made, config, seed), files=listed(source, config.root))


def _examples(source: Any, resize: int | None) -> tuple[object, object]:
    """Inputs and targets; as they are where a set has all its pixels in memory, which is a hundred times as fast."""
    pixels: Any = getattr(source, "data", None)
    targets: Any = getattr(source, "targets", None)
    if resize is None and is_array(pixels) and str(pixels.dtype).endswith("uint8") and np.ndim(targets) == 1:
        return pixels, targets
    return stacked(source, resize, OR_RESIZE)


def _source(name: str) -> type:
    from torchvision import datasets as library  # here, as it takes a second that other sets need not wait

    known = [one for one in library.__all__ if one not in ABSTRACT]
    spelt = {one.lower(): one for one in known}.get(name.lower())
    hint = f" (did you mean {spelt}?)" if spelt else did_you_mean(name, known)
    expected = f"torchvision:NAME with the name of a class in torchvision.datasets{hint}"
    require(name in known, "data", f"torchvision:{name}", expected)
    source: type = getattr(library, name)
    return source


def _arguments(source: type) -> tuple[Arguments, list[Arguments]]:
    """What says which part is meant: for the training part, and, in the order to try them, for the test part."""
    parameters = _parameters(source)
    if "train" in parameters:
        return {"train": True}, [{"train": False}]
    if "split" not in parameters:
        return {}, []
    usual = parameters["split"].default
    return {"split": usual if isinstance(usual, str) else "train"}, [{"split": one} for one in TESTS]


def _parameters(source: type) -> dict[str, Parameter]:
    """What a class takes, with what it hands on to the classes above it."""
    found: dict[str, Parameter] = {}
    for one in source.__mro__:
        if "__init__" in vars(one):
            own = signature(vars(one)["__init__"]).parameters
            found = {**own, **found}
            if all(parameter.kind is not Parameter.VAR_KEYWORD for parameter in own.values()):
                break
    return found


def _opened(
    source: type, options: Arguments, train: Arguments, tests: list[Arguments], root: Path, download: bool
) -> dict[str, Any]:
    """torchvision's objects by part.

    Raises:
        ConfigError: The class takes other arguments.
        Exception: What torchvision raises of files that are missing or damaged.
    """
    taken, known = signature(source), _parameters(source)
    places = {key: value for key, value in (("root", root), ("download", download)) if key in known}

    def opened(part: Arguments) -> Any:
        arguments = {**part, **options, **places}
        try:
            taken.bind(**arguments)
        except TypeError as error:
            names = ", ".join(name for name in known if name not in ("self", "kwargs", *places))
            expected = f"arguments of torchvision.datasets.{source.__name__}: {names} ({error})"
            raise ConfigError("data.options", options, expected) from None
        return source(**arguments)

    found = {"train": opened(train)}
    for last, part in enumerate(tests, 1 - len(tests)):
        if set(part) <= set(options):
            break  # somebody said which part it is to be
        try:
            found["test"] = opened(part)
            break
        except ValueError:
            if last == 0:
                raise
    return found
