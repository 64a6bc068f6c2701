"""Data sets resident in memory, one file each: ``load({"name": "digits"}, seed=0)``.

``base`` has the `Dataset` and the registry, ``augment``, ``files``, ``split`` and ``synthetic`` what several sets need.
May import `bench.core` alone.
"""

from __future__ import annotations

from bench.core.errors import BenchError
from bench.core.options import Options
from bench.data.base import Dataset, Part, datasets

__all__ = ["Dataset", "Part", "datasets", "load"]


def load(options: Options, seed: int) -> Dataset:
    """Build a data set.

    Args:
        options: Its ``name`` and options; what is absent has its default.
        seed: Draws the validation part; the test part does not depend on it.

    Raises:
        ConfigError: The name or an option is unknown, or a value cannot work.
        DataError: Files are missing and cannot be fetched.
    """
    data = datasets[str(options.get("name"))].make(options, seed)
    if not isinstance(data, Dataset):
        raise BenchError(f"data={options.get('name')}: made a {type(data).__name__}; expected a Dataset")
    return data
