"""Training and evaluation mode, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import nn


@contextmanager
def mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Run in training or evaluation mode; modes and buffers are restored afterwards."""
    modes = {module: module.training for module in model.modules()}
    kept = {name: buffer.clone() for name, buffer in model.named_buffers()} if training else {}
    model.train(training)
    try:
        yield
    finally:
        for module, was in modes.items():
            module.training = was
        with torch.no_grad():
            for name, buffer in model.named_buffers() if training else ():
                buffer.copy_(kept[name])


def evaluation(model: nn.Module) -> AbstractContextManager[None]:
    """Run with the model in evaluation mode; modes are restored afterwards."""
    return mode(model, training=False)
