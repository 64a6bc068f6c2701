"""Which networks are tried: own backbones and torchvision's, with every activation, with max pooling and without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from bench.backbones import build
from bench.core.errors import ConfigError, did_you_mean
from bench.core.options import Options
from bench.data import load

OWN = (
    *("mlp", "lenet", "convnet", "mobilenet_v1", "mobilenet_v2", "vgg11_bn", "vgg16_bn", "vgg19_bn", "resnet20"),
    *("resnet18", "vit", "gpt", "rbf"),
)
TORCHVISION = (
    *("squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5", "regnet_x_400mf"),
    "resnet18",
)
"""A few of those of moderate size whose activations are modules, and so can be exchanged."""
SIZE = 32
"""Height and width that images are resized to for torchvision's networks."""

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "hardswish": nn.Hardswish,
    "selu": nn.SELU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}
EXCHANGED = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SELU, nn.ELU, nn.SiLU, nn.GELU)
"""Activations between layers; what gates, as sigmoids do, stays."""

DATA = {"gpt": "text", "rbf": "rbf"}
"""Data sets of networks that are not for images."""
OWN_ACTIVATION = "own"
"""Stands for the activation of a network in which none can be exchanged."""


@dataclass(frozen=True)
class Case:
    """A network in one form.

    Attributes:
        name: Its backbone.
        activation: Of `ACTIVATIONS`.
        pooling: ``max``, ``average`` in place of max pools, or empty where there are none.
    """

    name: str
    activation: str
    pooling: str = ""

    @property
    def is_torchvisions(self) -> bool:
        """Whether it is one of torchvision's networks."""
        return self.name.startswith("torchvision:")

    @property
    def data(self) -> Options:
        """The data set that it is tried on."""
        return {"name": DATA.get(self.name, "digits")}

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The network."""
        options = {"size": SIZE} if self.is_torchvisions else {}
        model = build({"name": self.name, **options}, input_shape, outputs)
        for path, module in list(model.named_modules()):
            if isinstance(module, EXCHANGED) and self.activation in ACTIVATIONS:
                model.set_submodule(path, ACTIVATIONS[self.activation]())
            elif isinstance(module, nn.MaxPool2d) and self.pooling == "average":
                window = module.kernel_size, module.stride, module.padding, module.ceil_mode
                model.set_submodule(path, nn.AvgPool2d(*window))
        return model


def cases(names: Sequence[str], activations: Sequence[str]) -> list[Case]:
    """All forms of the networks of these names.

    Args:
        names: Backbones; all of the table for none.
        activations: Of `ACTIVATIONS`.

    Raises:
        ConfigError: A name is not known.
    """
    _require_known(names)
    found = []
    for name in names or (*OWN, *(f"torchvision:{one}" for one in TORCHVISION)):
        data = load(Case(name, OWN_ACTIVATION).data, 0)
        modules = list(Case(name, OWN_ACTIVATION).build(data.input_shape, data.outputs).modules())
        pooled = any(isinstance(module, nn.MaxPool2d) for module in modules)
        exchanged = any(isinstance(module, EXCHANGED) for module in modules)
        for pooling in ("max", "average") if pooled else ("",):
            for activation in activations if exchanged else (OWN_ACTIVATION,):
                found.append(Case(name, activation, pooling))
    return found


def _require_known(names: Sequence[str]) -> None:
    from torchvision import models

    known = [*OWN, *(f"torchvision:{name}" for name in models.list_models(module=models))]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ConfigError("names", name, f"one of {', '.join(OWN)}, or torchvision:NAME{hint}")
