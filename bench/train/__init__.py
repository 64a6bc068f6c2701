"""The training loop: recipe, optimiser, loop, evaluation.

May import `bench.core`, `bench.data` and `bench.network`; it trains what it is given, and knows nothing of growing.
"""

from bench.train.config import TrainConfig
from bench.train.evaluate import Metrics, evaluate
from bench.train.loop import TrainResult, train
from bench.train.loss import loss_function
from bench.train.optim import learning_rate, make_optimizer

__all__ = [
    "Metrics",
    "TrainConfig",
    "TrainResult",
    "evaluate",
    "learning_rate",
    "loss_function",
    "make_optimizer",
    "train",
]
