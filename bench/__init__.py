"""Growing neural networks by splitting neurons, and measuring what that is worth. The rooms, from the ground up:

    core        errors, options, the registry of plugins, a run's identity, record and folder, callbacks
    data        data sets, resident in memory                                     a file each
    logger      where curves go beside the record                                 a file each
    network     what of a network can be split, what it costs, and the surgery
    backbones   seed networks                                                     a file each
    train       the recipe and the training loop
    curvature   splitting matrices and their eigenpairs; eigensolvers             a file each
    growth      what a method is asked and may look at; one growth event; what every method keeps
    methods     growth methods                                                    a file each
    run         the protocol, the same for every method: one seed network, one ladder, one recipe
    deploy      a run's network for use elsewhere
    report      tables, figures and a page from the runs on disk: read, analysis, views, write
    speed       how fast it all is

A program of one's own begins with ``from bench import Grower``: a network grown in one's own loop. What this package
offers by such names is imported when it is first asked for; importing ``bench`` alone loads no PyTorch.

At the top is what one types: ``__main__`` (``python -m bench``), ``script`` (``growth-bench``), ``status``,
``inspect``, ``check`` and ``export``; below them ``cli``, ``sweep`` and ``plugins``, which deal with Hydra. ``conf``
has the options' defaults.

A room never imports a higher one; the gate checks it (``pyproject.toml``, import-linter).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench import report
    from bench.core.errors import BenchError
    from bench.deploy.bundle import export
    from bench.growth.grower import Grower, Growth
    from bench.run.load import load_network

_OFFERED = {
    "BenchError": "bench.core.errors",
    "Grower": "bench.growth.grower",
    "Growth": "bench.growth.grower",
    "export": "bench.deploy.bundle",
    "load_network": "bench.run.load",
}

_ROOMS = ("report",)

__all__ = ["BenchError", "Grower", "Growth", "export", "load_network", "report"]


def __getattr__(name: str) -> object:
    """What the package offers, imported when first asked for."""
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_OFFERED[name]), name)


def __dir__() -> list[str]:
    """The names on offer among the others."""
    return sorted({*globals(), *_OFFERED, *_ROOMS})
