"""Extreme eigenpairs of every neuron's splitting matrix at once, one eigensolver per file.

* `dense` forms S and decomposes it: exact, memory ``n d^2``.
* `lanczos` needs products only: both ends of the spectrum with a residual per neuron, batched over neurons.
* `rayleigh` is the published stochastic search of fast S2D (arXiv 1910.03103), one end per run.

Each is the oracle of the others (bench/MATHS.md, section 4). A file put here is found by being here and chosen by
``growth.engine=NAME``; another package offers its own by the entry-point group ``growth_bench.eigensolvers``.
May import `bench.core`, `bench.network` and `bench.curvature`, not what is in the other files here but ``base``.
"""

from bench.curvature.eigensolvers.base import eigensolver, eigensolvers

__all__ = ["eigensolver", "eigensolvers"]
