"""The registry of eigensolvers."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bench.core.errors import BenchError, one_line
from bench.core.options import typed
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
        options: Its options by name, as in ``growth.engine_options``; what is absent has its default.

    Raises:
        ConfigError: No eigensolver has this name, and the message lists the known ones; or it has no such option.
        BenchError: Its file or package cannot be imported.
    """
    entry = eigensolvers[name]
    config: object = typed("growth.engine_options.", entry.config, options)

    def start(operator: Operator, generator: torch.Generator) -> Search | Spectrum:
        started = entry.started(config, operator, generator)
        return checked(name, operator, started) if isinstance(started, Spectrum) else _named(name, operator, started)

    return start


def checked(name: str, operator: Operator, found: Spectrum) -> Spectrum:
    """What an eigensolver found, in the operator's precision.

    Raises:
        BenchError: It is not finite, or not of the operator's shape.
    """
    values = (operator.neurons,)
    shapes = (values, operator.like.shape, values, operator.like.shape, values)
    tensors = (found.lowest, found.lowest_vectors, found.highest, found.highest_vectors, found.residual)
    for tensor, shape in zip(tensors, shapes, strict=True):
        if tuple(tensor.shape) != tuple(shape):
            raise BenchError(f"growth.engine={name}: found {tuple(tensor.shape)}; expected numbers of {tuple(shape)}")
        if not tensor.isfinite().all():
            what = f"growth.engine={name}: {operator.name}: found eigenpairs that are not finite"
            raise BenchError(f"{what}; try growth.engine=dense, or a lower train.lr")
    low, low_vectors, high, high_vectors, residual = (tensor.to(operator.like) for tensor in tensors)
    error = None if found.error is None else found.error.to(operator.like)
    return Spectrum(low, low_vectors, high, high_vectors, residual, error)


def _named(name: str, operator: Operator, search: Search) -> Search:
    """The search, whose errors say whose they are."""
    try:
        found: object = yield from search
    except BenchError:
        raise
    except Exception as error:  # somebody's search may raise anything
        raise BenchError(f"growth.engine={name}: {one_line(error)}") from error
    if not isinstance(found, Spectrum):
        raise BenchError(f"growth.engine={name}: found a {type(found).__name__}; expected a Spectrum")
    return checked(name, operator, found)
