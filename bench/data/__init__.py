"""Data sets resident in memory, one file each: ``load({"name": "digits"}, seed=0)``.

``base`` has the `Dataset` and the registry, ``augment``, ``check``, ``files``, ``split`` and ``synthetic`` what
several sets need; ``own``, ``tensors``, ``named``, ``images`` and ``cached`` what data of one's own do, which
``folder``, ``arrays``, ``imported`` and ``torchvision`` read.
May import `bench.core` alone.
"""

from __future__ import annotations

from bench.core.errors import DataError
from bench.core.options import Options
from bench.data.base import Dataset, Part, datasets
from bench.data.check import check

__all__ = ["Dataset", "Part", "check", "datasets", "load"]


def load(options: Options, seed: int) -> Dataset:
    """Build a data set.

    Args:
        options: Its ``name`` and options; what is absent has its default.
        seed: Draws the validation part; the test part does not depend on it.

    Raises:
        ConfigError: The name or an option is unknown, or a value cannot work.
        DataError: Files are missing and cannot be fetched, or what they hold cannot be trained on.
    """
    name = str(options.get("name"))
    data = datasets[name].make(options, seed)
    if not isinstance(data, Dataset):
        raise DataError(f"data={name}: its factory made {type(data).__name__}; expected a bench.data.Dataset")
    return check(data, name)
