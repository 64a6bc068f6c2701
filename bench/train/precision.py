"""The arithmetic of a forward pass."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from bench.core.errors import require_choice


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Context of one forward pass: nothing for ``fp32``, bfloat16 products for ``bf16``; weights stay as they are.

    Raises:
        ConfigError: The precision is neither.
    """
    require_choice("precision", precision, ("fp32", "bf16"))
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()
