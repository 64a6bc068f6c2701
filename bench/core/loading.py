"""Loading PyTorch, for commands that ask for it only once they know that there is something to do."""

from __future__ import annotations

import gc
from contextlib import suppress
from functools import cache
from importlib import import_module


@cache
def load_torch() -> None:
    """Import PyTorch and what `torch.export` and its optimisers load later.

    Python's collector looks through everything again and again while a million objects are made that live to the end: a
    fifth of the time that the import takes. It waits until they are there, and leaves them out from then on.
    """
    gc.disable()
    try:
        import_module("torch.export")
        with suppress(ImportError):
            import_module("torch._dynamo")
    finally:
        gc.freeze()
        gc.enable()
