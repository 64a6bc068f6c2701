"""Data are looked at before anything is trained on them: counts, shapes, types, labels, numbers that are none."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.core.errors import DataError
from bench.data.base import Dataset, Part


def check(data: Dataset, name: str) -> Dataset:
    """The data set, if it can be trained on.

    Args:
        data: As its factory made it.
        name: What the user types for it.

    Raises:
        DataError: It cannot; the message says which part has what, and what would be right.
    """
    for part in ("train", "validation", "test"):
        problem = _of_part(getattr(data, part), data)
        if problem:
            raise DataError(f"data={name}: the {part} part has {problem}")
    if data.task == "classification" and data.train.targets.min() == data.train.targets.max():
        only = int(data.train.targets[0])
        raise DataError(f"data={name}: all examples of the train part are of class {only}; expected several")
    entries = 0 if data.input_dtype == torch.int64 else data.input_shape[0]
    for measure in ("mean", "std"):
        found = getattr(data, measure)
        if found.shape != (entries,) or not found.isfinite().all():
            expected = f"{entries} finite numbers, one for each channel or feature"
            raise DataError(f"data={name}: its {measure} is {found.tolist()}; expected {expected}")
    if not (data.std > 0).all():
        raise DataError(f"data={name}: its std is {data.std.tolist()}; expected numbers above 0")
    return data


def _of_part(part: Part, data: Dataset) -> str | None:
    inputs, targets = part.inputs, part.targets
    if problem := mismatch(part):
        return problem
    if tuple(inputs.shape[1:]) != tuple(data.input_shape):
        return f"inputs of shape {tuple(inputs.shape[1:])}; expected {tuple(data.input_shape)}"
    dimensions = (2,) if inputs.dtype == torch.int64 else (2, 4)
    if inputs.dim() not in dimensions or 0 in inputs.shape:
        forms = "images (N, C, H, W), vectors (N, F) or int64 symbols (N, T)"
        return f"inputs of type {_plain(inputs)} and shape {tuple(inputs.shape)}; expected {forms}"
    known = inputs.is_floating_point() or inputs.dtype == torch.uint8 or inputs.dtype == torch.int64
    if not known or inputs.dtype != data.train.inputs.dtype:
        kinds = f"uint8 images, floats or int64 symbols, the same in all parts (train: {_plain(data.train.inputs)})"
        return f"inputs of type {_plain(inputs)}; expected {kinds}"
    if inputs.is_floating_point() and not inputs.isfinite().all():
        return _not_finite("inputs", inputs)
    if inputs.dtype == torch.int64 and int(inputs.min()) < 0:
        return f"symbols from {int(inputs.min())}; expected numbers of at least 0"
    return _classes(targets, data.outputs) if data.task == "classification" else _values(targets, data.outputs)


def mismatch(part: Part) -> str | None:
    """What is wrong with the counts of a part; None if nothing is."""
    if len(part.inputs) != len(part.targets):
        return f"{len(part.inputs)} inputs and {len(part.targets)} targets; expected as many"
    return None if len(part.inputs) else "no examples"


def _classes(targets: Tensor, classes: int) -> str | None:
    if targets.dtype != torch.int64 or targets.dim() != 1:
        return f"targets of type {_plain(targets)} and shape {tuple(targets.shape)}; expected int64 of shape (N,)"
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= classes:
        values = ", or data.task=regression if they are values" * (low < 0)
        return f"classes from {low} to {high}; expected numbers from 0 to {classes - 1}{values}"
    return None


def _values(targets: Tensor, outputs: int) -> str | None:
    if not targets.is_floating_point() or targets.dim() != 2 or targets.shape[1] != outputs:
        found = f"targets of type {_plain(targets)} and shape {tuple(targets.shape)}"
        return f"{found}; expected floats of shape (N, {outputs})"
    return None if targets.isfinite().all() else _not_finite("targets", targets)


def _not_finite(what: str, values: Tensor) -> str:
    count = int((~values.flatten(1).isfinite().all(1)).sum())
    return f"{what} that are not finite, in {count} of {len(values)} examples"


def _plain(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
