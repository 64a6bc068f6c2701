"""What somebody hands over as tensors: arrays, lists, PyTorch's data sets, images, and names of classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import TensorDataset

from bench.core.errors import one_line
from bench.data.base import Part
from bench.data.images import pixels, together

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Given:
    """What somebody handed over, as tensors of whatever types and shapes it had.

    Attributes:
        train: Training examples.
        validation: What choices are made on; None: to be held out.
        test: What is reported; None: to be held out.
        classes: The classes' names in the order of their numbers; empty if they have none.
    """

    train: Part
    validation: Part | None = None
    test: Part | None = None
    classes: tuple[str, ...] = ()

    def parts(self) -> dict[str, Part]:
        """Those that are there, by name."""
        return {name: part for name in PARTS if (part := getattr(self, name)) is not None}


def given(parts: Mapping[str, tuple[object, object]], classes: Iterable[object] = ()) -> Given:
    """Parts from inputs and targets by the part's name.

    Args:
        parts: ``train``, and ``validation`` and ``test`` if they are there: inputs and targets, each a tensor, an array
            or what NumPy makes one of. Targets may be texts: those are the names of classes, numbered in their order.
        classes: The classes' names, if targets are numbers.

    Raises:
        ValueError: There is no training part, or something is no array.
    """
    if "train" not in parts:
        raise ValueError(f"no part train, only {', '.join(parts) or 'nothing'}")
    targets = {name: pair[1] for name, pair in parts.items()}
    names = [str(one) for one in classes]
    if any(_are_texts(one) for one in targets.values()):
        texts = {name: np.asarray(one).astype(str).ravel() for name, one in targets.items()}
        names = names or sorted(set().union(*(one.tolist() for one in texts.values())))
        number = {one: i for i, one in enumerate(names)}
        if unknown := sorted(set().union(*(one.tolist() for one in texts.values())) - set(names)):
            raise ValueError(f"targets of class {unknown[0]}, which is none of {', '.join(names)}")
        targets = {name: torch.tensor([number[one] for one in found.tolist()]) for name, found in texts.items()}
    made = {
        name: Part(tensor(pair[0], f"{name} inputs"), tensor(targets[name], f"{name} targets"))
        for name, pair in parts.items()
    }
    return Given(**made, classes=tuple(names))


def tensor(values: object, what: str) -> Tensor:
    """A tensor on the CPU of a tensor, an array or what NumPy makes one of.

    Raises:
        ValueError: It is no array of numbers; the message says ``what``.
    """
    if isinstance(values, Tensor):
        return values.detach().cpu()
    try:
        array = np.asarray(values)
        return torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))
    except (TypeError, ValueError) as error:
        reason = str(error).partition(". ")[0]
        raise ValueError(f"{what} of type {type(values).__name__} are no array of numbers ({reason})") from None


def stacked(source: Any, resize: int | None = None, otherwise: str = "") -> tuple[Tensor, Tensor]:
    """All examples of one of PyTorch's data sets, in their order.

    Args:
        source: Its items are pairs of an input, an image of PIL's or an array, and a target.
        resize: As `bench.data.images.pixels` has it.
        otherwise: As `bench.data.images.together` has it.

    Raises:
        ValueError: Its items are something else, one raises, or inputs have different shapes.
    """
    if isinstance(source, TensorDataset) and len(source.tensors) == 2:
        return source.tensors
    targets: list[Tensor] = []

    def inputs() -> Iterator[tuple[str, Tensor]]:
        for number, item in _numbered(source):
            if not isinstance(item, tuple | list) or len(item) != 2:
                raise ValueError(f"items that are {plain(item)}; expected pairs of an input and a target")
            one, target = item
            targets.append(tensor(target, "targets"))
            yield f"number {number}", pixels(one, resize) if hasattr(one, "getbands") else tensor(one, "inputs")

    found = together(inputs(), otherwise)
    return found, torch.stack(targets)


def _numbered(source: Any) -> Iterator[tuple[int, Any]]:
    """The items of a data set; what one raises becomes a `ValueError` with its number."""
    items = (source[i] for i in range(len(source))) if hasattr(source, "__len__") else iter(source)
    for number in count():
        try:
            item = next(items)
        except StopIteration:
            return
        except Exception as error:  # somebody's data set may raise anything
            raise ValueError(f"item {number} raises {one_line(error)}") from error
        yield number, item


def plain(found: object) -> str:
    """What something is, for messages."""
    if isinstance(found, tuple | list) and len(found) <= 6:
        return f"{type(found).__name__} of {', '.join(type(one).__name__ for one in found) or 'nothing'}"
    return type(found).__name__


def is_array(found: Any) -> bool:
    """Whether something is a tensor, an array or a table."""
    return hasattr(found, "__array__") and hasattr(found, "shape")


def is_dataset(found: object) -> bool:
    """Whether something is one of PyTorch's data sets."""
    return isinstance(found, TorchDataset)


def _are_texts(targets: object) -> bool:
    if isinstance(targets, Tensor):
        return False
    array = np.asarray(targets)
    return array.dtype.kind in "US" or (array.dtype == object and all(isinstance(one, str) for one in array.ravel()))
