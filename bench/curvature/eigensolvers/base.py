"""The registry of eigensolvers."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bench.core.errors import BenchError, one_line
from bench.core.registry import Registry
from bench.curvature.operator import Operator
from bench.curvature.spectrum import Eigensolver, Search, Spectrum

eigensolvers: Registry[Callable[..., Search | Spectrum]] = Registry(
    "growth.engine", "bench.curvature.eigensolvers", "growth_bench.eigensolvers"
)
"""Eigensolvers by name: the modules of this package, and other packages' by their entry points. A factory takes its
options, an operator and a random stream on the CPU (`bench.curvature.spectrum.Eigensolver`)."""


def eigensolver(name: str, **options: object) -> Eigensolver:
    """The eigensolver of this name.

    Args:
        name: As in ``growth.engine``.
        options: Its options by name; what is absent has its default.

    Raises:
        ConfigError: No eigensolver has this name; the message lists the known ones.
        BenchError: Its file or package cannot be imported.
    """
    entry = eigensolvers[name]

    def start(operator: Operator, generator: torch.Generator) -> Search | Spectrum:
        started = entry.make(options, operator, generator)
        return started if isinstance(started, Spectrum) else _named(name, started)

    return start


def _named(name: str, search: Search) -> Search:
    """The search, whose errors say whose they are."""
    try:
        found: object = yield from search
    except BenchError:
        raise
    except Exception as error:  # somebody's search may raise anything
        raise BenchError(f"growth.engine={name}: {one_line(error)}") from error
    if not isinstance(found, Spectrum):
        raise BenchError(f"growth.engine={name}: found a {type(found).__name__}; expected a Spectrum")
    return found
