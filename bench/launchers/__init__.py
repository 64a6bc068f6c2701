"""Launchers: who does a sweep's runs.

- `bench.launchers.make`: the configured launcher, or one line where it cannot be had.
- `bench.launchers.submitit`: Slurm, and the same without Slurm.
- `bench.launchers.ray`: Ray.
- `bench.launchers.resources`: what a run is given, by its backbone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from hydra.core.utils import JobReturn

from bench.core.errors import BenchError

Job = Callable[[], JobReturn]
"""A submitted run: wait for its end. Raises `Lost` where it ended without a word."""


class Lost(BenchError):
    """A job ended before its run did: cancelled, out of time or memory, or its machine is gone."""


@runtime_checkable
class Cluster(Protocol):
    """A launcher that does not wait: each run is a job of its own, whatever becomes of the others."""

    def submit(self, runs: Sequence[Sequence[str]]) -> list[Job]:
        """Hand in runs, each as its overrides.

        Raises:
            BenchError: The cluster does not take them.
        """
        ...
