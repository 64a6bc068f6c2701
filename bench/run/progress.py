"""Where a run stands while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from bench.core.record import GrowthRecord, StageRecord, convert, plain
from bench.run.checkpoint import Content


@dataclass
class Progress:
    """With the network, its growth and the optimiser all that a checkpoint holds.

    Attributes:
        stage: The stage at hand.
        epochs: Its length.
        cycles: How often its schedule runs.
        epoch: Its epochs done.
        growth: How it grew; None for the seed.
        train_seconds: Its training time so far.
        eval_seconds: Time of its evaluations after epochs so far.
        train_losses: Mean training loss of each of its epochs.
        val_losses: Loss on the validation part after each of its epochs, None where not finite.
        gradient: Gradient of its newborn neurons over that of the others, by group.
        ranks: Effective rank of the activations per width after each, where a trigger looks at it.
        stages: Records of the stages done.
    """

    stage: int = 0
    epochs: int = 0
    cycles: int = 1
    epoch: int = 0
    growth: GrowthRecord | None = None
    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    train_losses: list[float] = field(default_factory=list)
    val_losses: list[float | None] = field(default_factory=list)
    gradient: dict[str, float] = field(default_factory=dict)
    ranks: list[float] = field(default_factory=list)
    stages: list[StageRecord] = field(default_factory=list)

    def state_dict(self) -> Content:
        """As tensors and plain data."""
        return {
            **vars(self),
            "growth": None if self.growth is None else msgspec.to_builtins(self.growth),
            "stages": [plain(stage) for stage in self.stages],
        }

    @classmethod
    def from_state_dict(cls, state: Content) -> Progress:
        """From what `state_dict` gave.

        Raises:
            Unreadable: A stage is none.
        """
        kept = {name: value for name, value in state.items() if name in cls.__dataclass_fields__}
        kept["stages"] = [convert(stage, StageRecord) for stage in kept["stages"]]
        kept["growth"] = None if kept["growth"] is None else convert(kept["growth"], GrowthRecord)
        return cls(**kept)
