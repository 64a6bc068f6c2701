"""Control: the widths that another method grew, trained from scratch.

Is it the architecture that growing finds, or the way there? Each rung gets the widths that the other method has there,
all parameters are drawn anew, and the network is trained by the stage's recipe, or for as many epochs as spend what
growing has spent by then (as ``static_matched``). The other method's run is made first, with the same options, unless
it is there.

Wu, Wang, Liu: Splitting Steepest Descent, arXiv 1910.02366, section 5, compare with such networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.core.errors import Refused, require_choice
from bench.growth.method import GrowthContext, methods
from bench.methods import register
from bench.methods.static import matched_epochs, replicas
from bench.network.plan import GrowthPlan

EPOCHS = ("recipe", "matched")


@dataclass(frozen=True)
class Config:
    """Options of retrain.

    Attributes:
        of: The method whose widths are taken.
        options: Its options by name; None for its defaults.
        epochs: The ``recipe``'s, or ``matched`` to what growing has spent.
    """

    of: str = "s2d"
    options: dict[str, Any] | None = None
    epochs: str = "recipe"

    def __post_init__(self) -> None:
        require_choice("method.of", self.of, tuple(sorted(entry.name for entry in methods)))
        require_choice("method.epochs", self.epochs, EPOCHS)


@register("retrain", Config)
class Retrain:
    """From scratch, at the widths of another method.

    Attributes:
        follows: The other method's options; whoever runs this one sets `widths` to what it grew.
        widths: Neurons of each group at each stage.
    """

    def __init__(self, config: Config) -> None:
        made = methods[config.of].make({"name": config.of, **(config.options or {})})  # says what is wrong with them
        self.step = bool(getattr(made, "step", True))
        self.follows = {"name": config.of, **(config.options or {})}
        self.config, self.widths = config, tuple[Mapping[str, int], ...]()

    def propose(self, context: GrowthContext) -> GrowthPlan:
        """Widen to the other method's widths, then start afresh."""
        stage = len(context.history)
        if stage >= len(self.widths):
            raise Refused(f"retrain takes the widths of a run of {self.config.of}, which python -m bench makes")
        added = {name: n - context.widths[name] for name, n in self.widths[stage].items()}
        splits = [split for name, count in added.items() for split in replicas(context, name, count)]
        budget = context.budget()
        for name, count in added.items():
            budget.add(name, count)
        epochs = matched_epochs(context, budget) if self.config.epochs == "matched" else None
        return GrowthPlan(tuple(splits), restart=True, epochs=epochs)
