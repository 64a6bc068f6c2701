"""Seed networks, plain modules, one file each: ``build({"name": "mlp"}, (1, 8, 8), 10)``.

``base`` has the registry, ``layers``, ``transformer`` and ``contiguous`` what several need, ``external`` the networks
from elsewhere.
May import `bench.core` and `bench.network`; nothing of a run or of training.
"""

from __future__ import annotations

from torch import nn

from bench.backbones.base import backbones
from bench.backbones.contiguous import for_channels_last
from bench.core.errors import BenchError
from bench.core.options import Options

__all__ = ["backbones", "build"]


def build(options: Options, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Build a network, initialised from torch's global generator.

    Args:
        options: Its ``name`` and options; what is absent has its default.
        input_shape: The shape of one input, (C, H, W), (F,) or (T,).
        outputs: The width of its output.

    Returns:
        A module from float32, or int64 where inputs are symbols, of shape (B, *input_shape) to (B, outputs).

    Raises:
        ConfigError: The name or an option is unknown, a value cannot work, or the inputs do not suit.
    """
    model = backbones[str(options.get("name"))].make(options, input_shape, outputs)
    if not isinstance(model, nn.Module):
        raise BenchError(f"backbone={options.get('name')}: made a {type(model).__name__}; expected a torch.nn.Module")
    return for_channels_last(model, input_shape)
