"""The training recipe: one frozen dataclass, its defaults in ``conf/train/default.yaml``."""

from __future__ import annotations

from dataclasses import dataclass

from bench.core.errors import require, require_choice

OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("constant", "cosine", "step")
SCHEDULE, CONVERGED, GAP, RANK = WHEN = ("schedule", "converged", "gap", "rank")
NORM = "norm"
MOST = 10**6
"""Epochs, or examples at once; what asks for more would not end."""


@dataclass(frozen=True)
class TrainConfig:
    """How a net is trained; every growth stage restarts the schedule and runs it in full.

    Args:
        epochs: Epochs of each growth stage; 0 measures growth without training.
        seed_epochs: Epochs of the seed net.
        batch_size: Examples per step; see `bench.train.loop.batch_sizes` for the last batch.
        optimizer: ``sgd``, ``adam`` or ``adamw``.
        lr: Peak learning rate.
        momentum: Momentum of ``sgd``; first beta of ``adam`` and ``adamw``.
        nesterov: Nesterov's momentum, ``sgd`` only.
        weight_decay: Added to the gradient (``sgd``, ``adam``) or applied to the weights (``adamw``).
        decay_norm: Decay one-dimensional parameters too: the weights of norm layers, and biases.
        schedule: ``constant``, ``cosine`` to zero, or ``step``.
        milestones: Fractions of a stage at which ``step`` multiplies the learning rate by ``decay``.
        decay: Factor of ``step`` at each milestone.
        warmup: Fraction of a stage's steps in which the learning rate rises linearly to its peak.
        final_share: Share of all epochs, the seed's among them, that the last stage has; None for as many as others.
        when: When a stage ends and the network grows (`bench.train.when`): by ``schedule``, or sooner, when it has
            ``converged``, the ``gap`` between validation and training is wide, or the ``rank`` of activations falls.
            Not ``gap`` with ``label_smoothing``, which only the training loss has.
        patience: Epochs without a lower validation loss after which it has converged.
        gap: Share by which the validation loss exceeds the training loss.
        rank: Share of its highest in the stage to which the activations' effective rank per width must fall.
        newborn_lr: Factor of the learning rate of weights born in the last growth event, or ``norm`` for the norm of
            what was born in each over the seed's (`bench.train.newborn`).
        newborn_warmup: Fraction of a stage in which that rises from zero.
        label_smoothing: Share of the target spread over all classes, classification only.

    Raises:
        ConfigError: A value is out of range.
    """

    epochs: int = 30
    seed_epochs: int = 30
    batch_size: int = 64
    optimizer: str = "sgd"
    lr: float = 0.05
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    decay_norm: bool = False
    schedule: str = "cosine"
    milestones: tuple[float, ...] = (0.5, 0.75)
    decay: float = 0.1
    warmup: float = 0.0
    final_share: float | None = None
    when: str = SCHEDULE
    patience: int = 3
    gap: float = 0.1
    rank: float = 0.95
    newborn_lr: float | str = 1.0
    newborn_warmup: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(self.milestones))  # YAML and OmegaConf hand over a list
        for option in ("epochs", "seed_epochs"):
            value = getattr(self, option)
            require(0 <= value <= MOST, f"train.{option}", value, f"a whole number of at least 0 and at most {MOST}")
        require(
            1 <= self.batch_size <= MOST,
            "train.batch_size",
            self.batch_size,
            f"a whole number of at least 1 and at most {MOST}",
        )
        require_choice("train.optimizer", self.optimizer, OPTIMIZERS)
        require(0 < self.lr < float("inf"), "train.lr", self.lr, "a finite number above 0")
        require(0 <= self.momentum < 1, "train.momentum", self.momentum, "a number in [0, 1)")
        require(
            not self.nesterov or (self.optimizer == "sgd" and self.momentum > 0),
            "train.nesterov",
            self.nesterov,
            "false unless train.optimizer=sgd and train.momentum is above 0",
        )
        require(
            0 <= self.weight_decay < float("inf"), "train.weight_decay", self.weight_decay, "a number of at least 0"
        )
        require_choice("train.schedule", self.schedule, SCHEDULES)
        require(
            all(0 < fraction < 1 for fraction in self.milestones)
            and all(a < b for a, b in zip(self.milestones, self.milestones[1:], strict=False)),
            "train.milestones",
            list(self.milestones),
            "rising fractions of a stage, each between 0 and 1",
        )
        require(0 < self.decay <= 1, "train.decay", self.decay, "a number in (0, 1]")
        require(0 <= self.warmup < 1, "train.warmup", self.warmup, "a fraction of a stage in [0, 1)")
        share = self.final_share
        require(share is None or 0 <= share <= 1, "train.final_share", share, "a share from 0 to 1, or null")
        require_choice("train.when", self.when, WHEN)
        require(1 <= self.patience <= MOST, "train.patience", self.patience, "a whole number of at least 1")
        require(0 <= self.gap < float("inf"), "train.gap", self.gap, "a number of at least 0")
        require(0 < self.rank < 1, "train.rank", self.rank, "a share between 0 and 1")
        rate = self.newborn_lr
        own = rate == NORM if isinstance(rate, str) else 0 <= rate <= 1e6
        require(own, "train.newborn_lr", rate, f"a number of at least 0, at most 1e6, or {NORM}")
        require(0 <= self.newborn_warmup < 1, "train.newborn_warmup", self.newborn_warmup, "a fraction in [0, 1)")
        require(0 <= self.label_smoothing < 1, "train.label_smoothing", self.label_smoothing, "a number in [0, 1)")
        expected = f"0 with train.when={GAP}, which holds the training loss against one without it"
        require(self.when != GAP or self.label_smoothing == 0, "train.label_smoothing", self.label_smoothing, expected)
