"""Seconds and errors of the engines for extreme eigenpairs, side by side on layers of a few sizes.

The error of an eigenvalue is its difference to the dense float64 decomposition on the same sample, largest over the
neurons. Contenders run in turn, so that a slow spell of the machine meets all of them; seconds are medians.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch
from torch import Tensor

from bench.eigen import Spectrum, dense, lanczos, rayleigh
from bench.speed.layers import Subject
from bench.speed.plain import PlainOperator
from bench.speed.search import CAP, PUBLISHED, TUNED, Reached, Reference, Schedule, search

PATIENCE = 5.0
"""Seconds after which a contender is not repeated again."""

PASSES = 10
"""Passes of the published search."""

PLAIN_PRODUCTS = 3
"""Double-backward products timed; all take the same time."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Timed:
    """One measurement: seconds of collecting the sample, seconds in all, and what was found."""

    collect: float
    seconds: float
    spectrum: Spectrum | None = None


def measure(subject: Subject, seed: int, repeats: int, cap: int = CAP) -> tuple[list[Row], list[Row]]:
    """Rows of the engines' table and of the Rayleigh search's, for one layer.

    Args:
        subject: The layer in its trained network.
        seed: Of the starting vectors.
        repeats: Measurements of each contender at most.
        cap: Passes of the Rayleigh search at most.
    """
    reference = exact(subject)
    _lanczos(subject, seed)  # warm up
    timed = _in_turn(
        {
            "dense": lambda: _engine(subject, lambda operator: dense(operator, _generator(seed))),
            "lanczos": lambda: _lanczos(subject, seed),
            "rayleigh": lambda: _engine(
                subject, lambda operator: rayleigh(operator, _generator(seed), PASSES, highest=False)
            ),
            "double backward": lambda: _plain(subject),
        },
        repeats,
    )
    products = _spectrum(timed["lanczos"]).products
    timed["double backward"] = [
        replace(one, seconds=one.collect + (one.seconds - one.collect) / PLAIN_PRODUCTS * products)
        for one in timed["double backward"]
    ]
    found = {"dense": 2, "lanczos": 2, "rayleigh": 1}
    fastest = _median(timed["lanczos"])
    rows = []
    for engine, runs in timed.items():
        errors: Row = {"error / norm": None, "error / lambda_min": None}
        if engine in found:
            errors = _errors(_spectrum(runs), reference, found[engine])
        rows.append(
            {
                "layer": subject.layer.name,
                "neurons": len(reference.lowest),
                "d": reference.matrices[0].shape[1],
                "engine": engine,
                "ends": found.get(engine),
                "products": int(_spectrum(runs).products if engine in found else products),
                "collect s": median(one.collect for one in runs),
                "seconds": _median(runs),
                "of lanczos": _median(runs) / fastest,
                **errors,
                "repeats": len(runs),
            }
        )
    one_pass = median(one.seconds - one.collect for one in timed["rayleigh"]) / (PASSES + 1)
    collect = median(one.collect for one in timed["rayleigh"])
    return rows, _searches(subject.layer.name, reference, seed, cap, collect, one_pass, fastest)


def exact(subject: Subject) -> Reference:
    """S in float64, batch by batch, and its eigenvalues."""
    device = subject.inputs.device
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


def _engine(subject: Subject, engine: Callable[[Any], Spectrum]) -> Timed:
    started = _now(subject)
    operator = subject.curvature().operator(subject.group)
    for _ in operator.batches():
        pass
    collected = _now(subject)
    spectrum = engine(operator)
    return Timed(collected - started, _now(subject) - started, spectrum)


def _lanczos(subject: Subject, seed: int) -> Timed:
    return _engine(subject, lambda operator: lanczos(operator, _generator(seed)))


def _plain(subject: Subject) -> Timed:
    started = _now(subject)
    operator = PlainOperator(subject.curvature(), subject.group)
    for _ in operator.operator.batches():
        pass
    collected = _now(subject)
    vectors = torch.ones_like(operator.operator.like)
    for _ in range(PLAIN_PRODUCTS):
        operator(vectors)
    return Timed(collected - started, _now(subject) - started)


def _now(subject: Subject) -> float:
    if subject.inputs.device.type == "cuda":
        torch.cuda.synchronize(subject.inputs.device)
    return time.perf_counter()


def _median(runs: Sequence[Timed]) -> float:
    return median(one.seconds for one in runs)


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
        "error / norm": float((worst / reference.norm).max()),
        "error / lambda_min": float((low / reference.lowest.abs()).max()),
    }


def _searches(
    layer: str, reference: Reference, seed: int, cap: int, collect: float, one_pass: float, lanczos_seconds: float
) -> list[Row]:
    whole = reference.whole()
    searches = {
        "published": search(reference, [PUBLISHED], seed, cap),
        "tuned": search(reference, TUNED, seed, cap),
        "tuned, whole sample": search(whole, TUNED, seed, cap),
    }
    rows = []
    for name, reached in searches.items():
        for neurons, attribute in (("median", "median"), ("all", "largest")):
            passes, schedule = _fewest(reached, attribute)
            seconds = None if passes is None else collect + passes * one_pass
            rows.append(
                {
                    "layer": layer,
                    "search": name,
                    "neurons": neurons,
                    "schedule": str(schedule),
                    "products": passes,
                    "seconds": seconds,
                    "of lanczos": None if seconds is None else seconds / lanczos_seconds,
                    "cap": cap,
                }
            )
    return rows


def _fewest(reached: Sequence[Reached], attribute: str) -> tuple[int | None, Schedule | str]:
    """The fewest passes under any schedule."""
    counts = [(getattr(one, attribute), one.schedule) for one in reached if getattr(one, attribute) is not None]
    if not counts:
        return None, f"none of {len(reached)}" if len(reached) > 1 else reached[0].schedule
    return min(counts, key=lambda count: int(count[0]))
