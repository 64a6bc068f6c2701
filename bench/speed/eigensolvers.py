"""Seconds and errors of the eigensolvers, side by side on layers of a few sizes.

The error of an eigenvalue is its difference to the dense float64 decomposition on the same sample, largest over the
neurons. Contenders run in turn, so that a slow spell of the machine meets all of them; seconds are medians, ratios
medians of each round's ratio.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import torch
from torch import Tensor

from bench.curvature.eigensolvers import eigensolver
from bench.curvature.solve import alone
from bench.curvature.spectrum import Eigensolver, Spectrum
from bench.speed.layers import Subject
from bench.speed.machine import clock
from bench.speed.plain import PlainOperator
from bench.speed.tables import Row

PATIENCE = 2.0
"""Seconds after which a contender is not repeated again."""

LOOSE = 1e-3
"""Residual at which Lanczos stops to be compared at the Rayleigh search's accuracy."""

PLAIN_PRODUCTS = 3
"""Double-backward products timed; all take the same time."""


@dataclass(frozen=True, eq=False)
class Reference:
    """The exact answer: smallest and largest eigenvalues of each neuron's S, float64, shape ``(n,)``."""

    lowest: Tensor
    highest: Tensor

    @property
    def norm(self) -> Tensor:
        """Spectral norm of each neuron's S."""
        return torch.maximum(self.lowest.abs(), self.highest.abs())


@dataclass(frozen=True)
class Timed:
    """One measurement: seconds of collecting the sample, seconds in all, products, and what was found."""

    collect: float
    seconds: float
    products: int
    spectrum: Spectrum | None = None

    def with_products(self, products: int) -> Timed:
        """With so many of them instead; each takes the same time."""
        each = (self.seconds - self.collect) / self.products
        return replace(self, seconds=self.collect + products * each, products=products)


def measure(subject: Subject, seed: int, repeats: int) -> list[Row]:
    """A row for each contender, for one layer.

    Args:
        subject: The layer in its trained network.
        seed: Of the starting vectors.
        repeats: Measurements of each contender at most.
    """
    engines = {
        "dense": eigensolver("dense"),
        "lanczos": eigensolver("lanczos"),
        "lanczos, loose": eigensolver("lanczos", tolerance=LOOSE),
        "rayleigh": eigensolver("rayleigh", highest=False),
    }
    _solved(subject, engines["lanczos"], seed)  # warm up
    contenders = {name: partial(_solved, subject, engine, seed) for name, engine in engines.items()}
    timed = _in_turn({**contenders, "double backward": partial(_plain, subject)}, repeats)
    products = timed["lanczos"][0].products
    timed["double backward"] = [one.with_products(products) for one in timed["double backward"]]
    reference = exact(subject)
    return [_row(subject, engine, runs, timed["lanczos"], reference) for engine, runs in timed.items()]


def _row(subject: Subject, engine: str, runs: Sequence[Timed], rivals: Sequence[Timed], reference: Reference) -> Row:
    ends = 1 if engine == "rayleigh" else 2
    operator = subject.curvature().operator(subject.group)
    return {
        "layer": subject.layer.name,
        "neurons": operator.neurons,
        "d": operator.size,
        "engine": engine,
        "ends": ends,
        "products": runs[0].products,
        "collect s": median(one.collect for one in runs),
        "seconds": median(one.seconds for one in runs),
        "of lanczos": median(one.seconds / rival.seconds for one, rival in zip(runs, rivals, strict=False)),
        **_errors(runs[0].spectrum, reference, ends),
        "repeats": len(runs),
    }


def exact(subject: Subject) -> Reference:
    """The eigenvalues of S in float64."""
    device = subject.sample.inputs.device
    precise = torch.device("cpu") if device.type == "mps" else device
    twin = replace(subject, model=copy.deepcopy(subject.model)).double(precise)
    values = torch.linalg.eigvalsh(twin.curvature().operator(twin.group).dense())
    return Reference(values[:, 0], values[:, -1])


def _in_turn(contenders: dict[str, Callable[[], Timed]], repeats: int) -> dict[str, list[Timed]]:
    timed: dict[str, list[Timed]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, contender in contenders.items():
            if sum(one.seconds for one in timed[name]) < PATIENCE:
                timed[name].append(contender())
    return timed


def _solved(subject: Subject, engine: Eigensolver, seed: int) -> Timed:
    started = _now(subject)
    operator = subject.curvature().operator(subject.group)
    for _ in operator.batches():
        pass
    collected = _now(subject)
    spectrum = alone(engine(operator, torch.Generator().manual_seed(seed)), operator)
    return Timed(collected - started, _now(subject) - started, operator.products, spectrum)


def _plain(subject: Subject) -> Timed:
    started = _now(subject)
    operator = PlainOperator(subject.curvature(), subject.group)
    collected = _now(subject)
    vectors = torch.ones_like(operator.like)
    for _ in range(PLAIN_PRODUCTS):
        operator(vectors)
    return Timed(collected - started, _now(subject) - started, PLAIN_PRODUCTS)


def _now(subject: Subject) -> float:
    return clock(subject.sample.inputs.device)


def _errors(spectrum: Spectrum | None, reference: Reference, ends: int) -> Row:
    if spectrum is None:
        return {"error/norm": None, "error/lambda": None}
    low = (spectrum.lowest.to(reference.lowest) - reference.lowest).abs()
    high = (spectrum.highest.to(reference.highest) - reference.highest).abs()
    worst = torch.maximum(low, high) if ends == 2 else low
    return {
        "error/norm": float((worst / reference.norm).max()),
        "error/lambda": float((low / reference.lowest.abs()).max()),
    }
