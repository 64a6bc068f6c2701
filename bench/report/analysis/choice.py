"""Choices on validation, never on test: the best by its mean over the seeds that all have."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Choice(Generic[K]):
    """What was chosen.

    Attributes:
        best: Those of the best mean score, the first first: one, but for ties.
        common: Seeds over which they were compared; empty where they have none in common, and then each has its own.
        means: Mean score of each that has one of those seeds.
    """

    best: list[K]
    common: frozenset[int]
    means: dict[K, float]


def choose(scores: Mapping[K, Mapping[int, float]], failed: Collection[K], highest: bool) -> Choice[K]:
    """Choose by the mean score over the seeds that all have, among those without a failed run if there are any.

    Args:
        scores: Validation scores by seed of each; one at least, each with one seed at least.
        failed: Those with a failed run.
        highest: Whether the highest score is best, else the lowest.
    """
    sound = [one for one in scores if one not in failed] or list(scores)
    common = frozenset.intersection(*(frozenset(scores[one]) for one in sound))
    means = {
        one: fmean(own[seed] for seed in kept)
        for one, own in scores.items()
        if (kept := sorted(common.intersection(own) if common else own))
    }
    best = (max if highest else min)(means[one] for one in sound)
    return Choice([one for one in sound if means[one] == best], common, means)
