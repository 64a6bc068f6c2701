"""Networks from elsewhere: ``backbone=torchvision:NAME`` and ``backbone=import:package.module:factory``."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.backbones.base import backbones, require_images
from bench.core.errors import ConfigError, did_you_mean, require
from bench.network.modes import evaluation


@dataclass(frozen=True)
class TorchvisionConfig:
    """Options of ``torchvision:NAME``.

    Args:
        size: Images are resized to this height and width, for which torchvision's networks are made; None leaves them.
    """

    size: int | None = 224

    def __post_init__(self) -> None:
        require(self.size is None or self.size >= 1, "backbone.size", self.size, "a number of at least 1, or null")


@dataclass(frozen=True)
class ImportConfig:
    """Options of ``import:package.module:factory``.

    Args:
        options: Keyword arguments of the factory, each set as ``+backbone.options.NAME=VALUE``.
    """

    options: dict[str, Any] = field(default_factory=dict)


class Resized(nn.Module):
    """A network for colour images of one size, on images of any size, grey or coloured.

    Args:
        model: Takes float32 of shape (B, 3, size, size).
        size: None leaves the images' size.
    """

    def __init__(self, model: nn.Module, size: int | None) -> None:
        super().__init__()
        self.model, self.size = model, size

    def forward(self, images: Tensor) -> Tensor:
        """Logits, of shape (B, outputs), of images of shape (B, 1 or 3, H, W)."""
        if self.size is not None:
            images = F.interpolate(images, size=(self.size, self.size), mode="bilinear", antialias=False)
        outputs: Tensor = self.model(images.expand(-1, 3, -1, -1))
        return outputs


@backbones.register("torchvision:NAME", TorchvisionConfig)
def torchvision_model(name: str, config: TorchvisionConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Any of torchvision's classification networks, without its pretrained weights.

    Raises:
        ConfigError: There is none of this name, or the inputs are no images of 1 or 3 channels.
    """
    from torchvision import models  # here, as other backbones need not wait for it

    known = models.list_models(module=models)
    if name not in known:
        hint = did_you_mean(name, known)
        expected = f"torchvision:NAME with the name of a classification network of torchvision{hint}"
        raise ConfigError("backbone", f"torchvision:{name}", expected)
    require_images(f"torchvision:{name}", input_shape, side=1)
    require(input_shape[0] in (1, 3), "backbone", f"torchvision:{name}", "images of 1 or 3 channels")
    extra: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        extra = {"aux_logits": False, "init_weights": True}
    elif name.startswith("vit_"):
        extra = {"image_size": config.size or input_shape[1]}
    return Resized(models.get_model(name, weights=None, num_classes=outputs, **extra), config.size)


@backbones.register("import:package.module:factory", ImportConfig)
def imported(path: str, config: ImportConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """What ``factory(input_shape, outputs, **options)`` makes, for ``path`` = ``package.module:factory``.

    Raises:
        ConfigError: There is no such module or factory, or it makes no network of ``outputs`` outputs.
    """
    module, _, name = path.partition(":")
    factory: Any = None
    try:
        factory = getattr(_module(module), name, None) if module and name else None
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise  # the module is there, but something that it needs is not
    expected = "import:package.module:factory, a function that can be imported from here"
    require(callable(factory), "backbone", f"import:{path}", expected)
    model = factory(input_shape, outputs, **config.options)
    expected = "a factory of torch.nn.Module, called with the inputs' shape and the number of outputs"
    require(isinstance(model, nn.Module), "backbone", f"import:{path}", expected)
    assert isinstance(model, nn.Module)
    with evaluation(model), torch.no_grad():
        shape = tuple(model(torch.zeros(2, *input_shape)).shape)
    expected = f"a network from inputs of shape {(2, *input_shape)} to (2, {outputs}), got {shape}"
    require(shape == (2, outputs), "backbone", f"import:{path}", expected)
    return model


def _module(name: str) -> ModuleType:
    """A module that is installed or lies in the working directory, where it hides none that is installed."""
    if os.getcwd() not in sys.path:  # as in a worker, or with the console script
        sys.path.append(os.getcwd())
    return importlib.import_module(name)
