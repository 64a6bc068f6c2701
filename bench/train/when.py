"""How many epochs each stage has, and when one ends before.

By schedule all grown stages are equally long, or the last has a share of all epochs, those of the seed among them, and
the others share the rest. A trigger may end a stage sooner and let the network grow on; the epochs that it leaves go to
the last stage, so that all runs train equally long. The ladder of sizes is the same either way.

    converged   the loss on the validation part has not fallen by 1 % for some epochs
    gap         it exceeds the training loss by a share: the network is large enough to fit what it has seen
    rank        the effective rank of the activations per width has fallen to a share of its highest in the stage: the
                neurons become alike (NORTH*, arXiv 2202.08539, grows by such a measure)
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.errors import require
from bench.train.config import CONVERGED, GAP, RANK, TrainConfig

LEAST = 0.01
"""Share by which a loss must fall to count as falling."""


def planned(config: TrainConfig, stages: int) -> list[int]:
    """Epochs of each grown stage by the schedule, the first one's first.

    Raises:
        ConfigError: The share of the last stage leaves no epochs for the seed, or some that no other stage can have.
    """
    if config.final_share is None or not stages:
        return [config.epochs] * stages
    total = config.seed_epochs + stages * config.epochs
    last = round(config.final_share * total)
    left = total - last - config.seed_epochs
    most = 1 - config.seed_epochs / total if total else 0.0
    if stages == 1:
        expected = f"{most:.6g} or null: alone it has all but train.seed_epochs={config.seed_epochs} of {total} epochs"
        require(left == 0, "train.final_share", config.final_share, expected)
        return [last]
    expected = f"at most {most:.3g}, which leaves train.seed_epochs={config.seed_epochs} of {total} epochs"
    require(left >= 0, "train.final_share", config.final_share, expected)
    each, more = divmod(left, stages - 1)
    return [each + (stage < more) for stage in range(stages - 1)] + [last]


def is_over(
    config: TrainConfig, train: Sequence[float], validation: Sequence[float | None], ranks: Sequence[float] = ()
) -> bool:
    """Whether a stage ends here by its trigger.

    Args:
        config: The recipe.
        train: Training loss of each epoch of the stage.
        validation: Loss on the validation part after each; None where not finite.
        ranks: Effective rank of the activations per width after each, the mean over groups.
    """
    if config.when == RANK and ranks:
        return ranks[-1] <= config.rank * max(ranks)
    if config.when == CONVERGED and len(validation) > config.patience:
        known = [float("inf") if loss is None else loss for loss in validation]
        return min(known[-config.patience :]) > (1 - LEAST) * min(known[: -config.patience])
    if config.when == GAP and train and validation[-1] is not None:
        return validation[-1] > (1 + config.gap) * train[-1]
    return False
