"""``import:package.module:function``: what somebody wrote, by its name."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from bench.core.errors import ConfigError


def imported(option: str, path: str, what: str) -> Callable[..., Any]:
    """The function that ``path`` = ``package.module:function`` names.

    Args:
        option: The option that names it, for messages: ``"data"``.
        path: What follows ``import:``.
        what: What the function is called there: ``"function"`` or ``"factory"``.

    Raises:
        ConfigError: There is no such module or function.
        Exception: Whatever the module raises when it is imported.
    """
    module, _, name = path.partition(":")
    found: object = None
    try:
        found = getattr(_module(module), name, None) if module and name else None
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise  # the module is there, but something that it needs is not
    if not callable(found):
        expected = f"import:package.module:{what}, a function that can be imported from here"
        raise ConfigError(option, f"import:{path}", expected)
    return found


def _module(name: str) -> ModuleType:
    """A module that is installed or lies in the working directory, where it hides none that is installed."""
    if os.getcwd() not in sys.path:  # as in a worker, or with the console script
        sys.path.append(os.getcwd())
    return importlib.import_module(name)
