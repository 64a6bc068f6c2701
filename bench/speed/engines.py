"""Seconds and errors of the engines for extreme eigenpairs, side by side on layers of a few sizes.

The error of an eigenvalue is its difference to the dense float64 decomposition on the same sample, largest over the
neurons. Contenders run in turn, so that a slow spell of the machine meets all of them; seconds are medians, ratios
medians of each round's ratio.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import torch
from torch import Tensor

from bench.curvature.eigen import Spectrum, dense, lanczos, rayleigh
from bench.curvature.operator import Operator
from bench.speed.layers import Subject
from bench.speed.plain import PlainOperator
from bench.speed.search import CAP, Reference, Row, search_rows

PATIENCE = 2.0
"""Seconds after which a contender is not repeated again."""

LOOSE = 1e-3
"""Residual at which Lanczos stops to be compared at the Rayleigh search's accuracy."""

PASSES = 10
"""Passes of the published search."""

PLAIN_PRODUCTS = 3
"""Double-backward products timed; all take the same time."""


@dataclass(frozen=True)
class Timed:
    """One measurement: seconds of collecting the sample, seconds in all, and what was found."""

    collect: float
    seconds: float
    spectrum: Spectrum | None = None

    def scaled(self, factor: float) -> Timed:
        """With so many times the products."""
        return replace(self, seconds=self.collect + factor * (self.seconds - self.collect))


def measure(subject: Subject, seed: int, repeats: int, cap: int = CAP) -> tuple[list[Row], list[Row]]:
    """Rows of the engines' table and of the Rayleigh search's, for one layer.

    Args:
        subject: The layer in its trained network.
        seed: Of the starting vectors.
        repeats: Measurements of each contender at most.
        cap: Passes of the Rayleigh search at most.
    """
    reference = exact(subject)
    engines: dict[str, Callable[[Operator], Spectrum]] = {
        "dense": lambda operator: dense(operator, _generator(seed)),
        "lanczos": lambda operator: lanczos(operator, _generator(seed)),
        "lanczos, loose": lambda operator: lanczos(operator, _generator(seed), tolerance=LOOSE),
        "rayleigh": lambda operator: rayleigh(operator, _generator(seed), passes=PASSES, highest=False),
    }
    _engine(subject, engines["lanczos"])  # warm up
    contenders: dict[str, Callable[[], Timed]] = {
        name: partial(_engine, subject, engine) for name, engine in engines.items()
    }
    timed = _in_turn({**contenders, "double backward": partial(_plain, subject)}, repeats)
    products = _spectrum(timed["lanczos"]).products
    timed["double backward"] = [one.scaled(products / PLAIN_PRODUCTS) for one in timed["double backward"]]
    ours = timed["lanczos"]
    rows = []
    for engine, runs in timed.items():
        ends = 1 if engine == "rayleigh" else 2
        found = runs[0].spectrum
        rows.append(
            {
                "layer": subject.layer.name,
                "neurons": len(reference.lowest),
                "d": reference.matrices[0].shape[1],
                "engine": engine,
                "ends": ends,
                "products": int(products if found is None else found.products),
                "collect s": median(one.collect for one in runs),
                "seconds": _median(runs),
                "of lanczos": _ratio(runs, ours),
                **({"error/norm": None, "error/lambda": None} if found is None else _errors(found, reference, ends)),
                "repeats": len(runs),
            }
        )

    def cost(passes: int) -> tuple[float, float]:
        runs = [one.scaled(passes / (PASSES + 1)) for one in timed["rayleigh"]]
        return _median(runs), _ratio(runs, ours)

    return rows, search_rows(subject.layer.name, reference, seed, cap, cost)


def exact(subject: Subject) -> Reference:
    """S in float64, batch by batch, and its eigenvalues."""
    device = subject.sample.inputs.device
    precise = torch.device("cpu") if device.type == "mps" else device
    twin = replace(subject, model=copy.deepcopy(subject.model)).double(precise)
    operator = twin.curvature().operator(twin.group)
    shares, matrices = [], []
    total = operator.like.new_zeros(operator.neurons, operator.size, operator.size)
    for batch in list(operator.batches()):
        operator.batches = lambda batch=batch: iter([batch])  # type: ignore[misc]
        matrix = operator.dense()
        total += matrix
        shares.append(batch.share)
        matrices.append(matrix.float())
    values = torch.linalg.eigvalsh(total)
    return Reference(shares, matrices, values[:, 0], values[:, -1])


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _in_turn(contenders: dict[str, Callable[[], Timed]], repeats: int) -> dict[str, list[Timed]]:
    timed: dict[str, list[Timed]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, contender in contenders.items():
            if sum(one.seconds for one in timed[name]) < PATIENCE:
                timed[name].append(contender())
    return timed


def _engine(subject: Subject, engine: Callable[[Operator], Spectrum]) -> Timed:
    started = _now(subject)
    operator = subject.curvature().operator(subject.group)
    for _ in operator.batches():
        pass
    collected = _now(subject)
    spectrum = engine(operator)
    return Timed(collected - started, _now(subject) - started, spectrum)


def _plain(subject: Subject) -> Timed:
    started = _now(subject)
    operator = PlainOperator(subject.curvature(), subject.group)
    collected = _now(subject)
    vectors = torch.ones_like(operator.like)
    for _ in range(PLAIN_PRODUCTS):
        operator(vectors)
    return Timed(collected - started, _now(subject) - started)


def _now(subject: Subject) -> float:
    if subject.sample.inputs.device.type == "cuda":
        torch.cuda.synchronize(subject.sample.inputs.device)
    return time.perf_counter()


def _median(runs: Sequence[Timed]) -> float:
    return median(one.seconds for one in runs)


def _ratio(runs: Sequence[Timed], rivals: Sequence[Timed]) -> float:
    """Median of each round's ratio."""
    return median(one.seconds / rival.seconds for one, rival in zip(runs, rivals, strict=False))


def _spectrum(runs: Sequence[Timed]) -> Spectrum:
    spectrum = runs[0].spectrum
    assert spectrum is not None
    return spectrum


def _errors(spectrum: Spectrum, reference: Reference, ends: int) -> Row:
    def miss(found: Tensor, right: Tensor) -> Tensor:
        return (found.to(right) - right).abs()

    low = miss(spectrum.lowest, reference.lowest)
    worst = torch.maximum(low, miss(spectrum.highest, reference.highest)) if ends == 2 else low
    return {
        "error/norm": float((worst / reference.norm).max()),
        "error/lambda": float((low / reference.lowest.abs()).max()),
    }
