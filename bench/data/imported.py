"""``data=import:package.module:function``: what a function of one's own returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.core.imported import imported
from bench.core.streams import seeded
from bench.data.base import Dataset, datasets
from bench.data.named import of_arrays
from bench.data.own import OwnConfig, assemble, explained
from bench.data.tensors import PARTS, Given, given, is_array, is_dataset, plain, stacked

NAMED = {1: ("train",), 2: ("train", "test"), 3: PARTS}
"""The parts that so many values of a function are."""

EXPECTED = (
    "expected (train, test) or (train, validation, test), each a torch Dataset or a pair (inputs, targets), or arrays "
    "by name"
)


@dataclass(frozen=True)
class ImportConfig(OwnConfig):
    """As `OwnConfig`, and the function's.

    Args:
        options: Keyword arguments of the function, each set as ``+data.options.NAME=VALUE``.
    """

    options: dict[str, Any] = field(default_factory=dict)


def found(path: str, config: ImportConfig) -> Callable[..., Any]:
    """The function.

    Raises:
        ConfigError: There is none.
    """
    with seeded(0):  # a module may make its data as it is imported, once in a process
        return imported("data", path, "function")


@datasets.register("import:package.module:function", ImportConfig, there=found)
def imported_data(path: str, config: ImportConfig, seed: int) -> Dataset:
    """What ``function(**options)`` returns, for ``path`` = ``package.module:function``.

    That is a training and a test part, each a pair of inputs and targets or one of PyTorch's data sets, whose examples
    are taken once; or the training part alone; or arrays by name (`bench.data.named`). What it draws from the global
    generators of PyTorch, NumPy or Python is the same for every seed of a run; ``data.split_seed`` changes it.

    Raises:
        ConfigError: There is no such module or function, a size is out of range, or an option does not suit the data.
        DataError: It returns something else, or they cannot be trained on.
    """
    name = f"import:{path}"
    function = found(path, config)
    with seeded(config.split_seed):
        returned = function(**config.options)
        with explained(name):
            parts = _given(name, returned)  # taking examples may draw too, as transforms do
    return assemble(name, parts, config, seed)


def _given(name: str, found: object) -> Given:
    if isinstance(found, Mapping):
        if set(found) <= set(PARTS):
            return given({part: _pair(part, one) for part, one in found.items()})
        return of_arrays(name, found)
    values = (found,) if _is_part(found) else found
    if not isinstance(values, tuple | list) or len(values) not in NAMED or not all(map(_is_part, values)):
        raise ValueError(f"the function returned {plain(found)}; {EXPECTED}")
    named = dict(zip(NAMED[len(values)], values, strict=True))
    classes = getattr(named["train"], "classes", ())
    return given(
        {part: _pair(part, one) for part, one in named.items()}, classes if isinstance(classes, list | tuple) else ()
    )


def _is_part(found: object) -> bool:
    """Whether something is one part: a data set, or a pair whose inputs are an array."""
    pair = isinstance(found, tuple | list) and len(found) == 2
    return is_dataset(found) or (pair and (is_array(found[0]) or isinstance(found[0], list)))  # type: ignore[index]


def _pair(name: str, part: object) -> tuple[object, object]:
    if is_dataset(part):
        try:
            return stacked(part)
        except ValueError as error:
            raise ValueError(f"the {name} part: {error}") from error
    if not _is_part(part):
        raise ValueError(f"a part that is {plain(part)}; {EXPECTED}")
    assert isinstance(part, tuple | list)
    return part[0], part[1]
