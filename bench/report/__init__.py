"""Reports from the runs on disk: ``python -m bench.report runs_dir=... out=DIR``, at any time, finished or not.

    read       the command line, a runs folder's cells, and the settings whose runs may be compared
    analysis   a setting's findings: each method's step, its rungs, comparisons, what growing promised and cost
    views      tables and charts with their rows, one file for each part of the report
    write      CSV, Markdown, LaTeX, figures and one HTML file

``read`` < ``analysis`` < ``views`` < ``write``: none imports a later one. Of the other rooms the report imports
`bench.core`, `bench.network.cost`, `bench.run.cell`, `bench.logger` and the command line's; PyTorch is never loaded.
In a notebook ``bench.report.frame.frame()`` has the runs as a pandas table; it is imported when first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.report import frame

__all__ = ["frame"]


def __getattr__(name: str) -> object:
    """The table, imported when first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
