"""Activations by name."""

from __future__ import annotations

from torch import nn

from bench.core.errors import require_choice

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


def require_activation(name: str) -> None:
    """Raise `ConfigError` unless there is such an activation."""
    require_choice("backbone.activation", name, tuple(ACTIVATIONS))


def activation(name: str) -> nn.Module:
    """A new activation module.

    Raises:
        ConfigError: There is none of this name.
    """
    require_activation(name)
    return ACTIVATIONS[name]()


def use_activation(model: nn.Module, name: str) -> None:
    """Replace every ReLU and ReLU6 of a network, in place, by the activation of this name."""
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.ReLU | nn.ReLU6):
            model.set_submodule(path, activation(name))
