"""The registry of eigensolvers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bench.core.registry import Registry
from bench.curvature.spectrum import Eigensolver, Search, Spectrum

eigensolvers: Registry[Callable[..., Search | Spectrum]] = Registry(
    "growth.engine", "bench.curvature.eigensolvers", "growth_bench.eigensolvers"
)
"""Eigensolvers by name: the modules of this package, and other packages' by their entry points. A factory takes its
options, an operator and a random stream on the CPU (`bench.curvature.spectrum.Eigensolver`)."""

register = eigensolvers.register


def eigensolver(name: str, **options: object) -> Eigensolver:
    """The eigensolver of this name.

    Args:
        name: As in ``growth.engine``.
        options: Its options by name; what is absent has its default.

    Raises:
        ConfigError: No eigensolver has this name; the message lists the known ones.
        BenchError: Its file or package cannot be imported.
    """
    return partial(eigensolvers[name].make, options)
