"""Networks from elsewhere: ``backbone=torchvision:NAME``, ``timm:NAME`` and ``import:package.module:factory``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.backbones.base import backbones, require_images
from bench.core.errors import ConfigError, did_you_mean, require
from bench.core.imported import imported as named
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
class TimmConfig:
    """Options of ``timm:NAME``.

    Args:
        size: Images are resized to this height and width; ``own`` for those that the network is made for, None leaves
            them.
    """

    size: int | str | None = "own"

    def __post_init__(self) -> None:
        known = self.size is None or self.size == "own" or (isinstance(self.size, int) and self.size >= 1)
        require(known, "backbone.size", self.size, "a number of at least 1, own, or null")


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
        model: Takes float32 of shape (B, 3, height, width).
        size: Height and width; one number for both; None leaves the images' size.
    """

    def __init__(self, model: nn.Module, size: int | tuple[int, int] | None) -> None:
        super().__init__()
        self.model, self.size = model, size

    def forward(self, images: Tensor) -> Tensor:
        """Logits, of shape (B, outputs), of images of shape (B, 1 or 3, H, W)."""
        if self.size is not None:
            images = F.interpolate(images, size=self.size, mode="bilinear", antialias=False)
        outputs: Tensor = self.model(images.expand(-1, 3, -1, -1))
        return outputs


@backbones.register("torchvision:NAME", TorchvisionConfig, library=True)
def torchvision_model(name: str, config: TorchvisionConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Any of torchvision's classification networks, without its pretrained weights.

    Raises:
        ConfigError: There is none of this name, or the inputs are no images of 1 or 3 channels.
    """
    from torchvision import models  # here, as other backbones need not wait for it

    _require_known("torchvision", name, models.list_models(module=models))
    _require_grey_or_colour(f"torchvision:{name}", input_shape)
    extra: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        extra = {"aux_logits": False, "init_weights": True}
    elif name.startswith("vit_"):
        extra = {"image_size": config.size or input_shape[1]}
    return Resized(models.get_model(name, weights=None, num_classes=outputs, **extra), config.size)


@backbones.register("timm:NAME", TimmConfig, library=True)
def timm_model(name: str, config: TimmConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Any of timm's classification networks, without its pretrained weights.

    Raises:
        ConfigError: There is none of this name, the inputs are no images of 1 or 3 channels, or timm is not installed.
    """
    timm = timm_for("backbone", f"timm:{name}")
    _require_known("timm", name, timm.list_models())
    _require_grey_or_colour(f"timm:{name}", input_shape)
    own = timm.get_pretrained_cfg(name)
    made_for = (224, 224) if own is None else (own.input_size[1], own.input_size[2])
    size = made_for if config.size == "own" else None if config.size is None else (int(config.size), int(config.size))
    taken = size or (input_shape[1], input_shape[2])
    extra: dict[str, Any] = {}
    if own is not None and own.fixed_input_size and taken != made_for:
        extra = {"img_size": taken}
    return Resized(timm.create_model(name, pretrained=False, num_classes=outputs, **extra), size)


def timm_for(option: str, value: object) -> Any:
    """The package timm, for an option's value that needs it.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import timm  # here, as other backbones neither need it nor wait for it
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise  # timm is there, but something that it needs is not
        raise ConfigError(option, value, 'timm to be installed: pip install "growth-bench[timm]"') from None
    return timm


def _require_known(library: str, name: str, known: list[str]) -> None:
    hint = did_you_mean(name, known)
    expected = f"{library}:NAME with the name of a classification network of {library}{hint}"
    require(name in known, "backbone", f"{library}:{name}", expected)


def _require_grey_or_colour(backbone: str, input_shape: tuple[int, ...]) -> None:
    require_images(backbone, input_shape, side=1)
    require(input_shape[0] in (1, 3), "backbone", backbone, "images of 1 or 3 channels")


def found(path: str, config: ImportConfig) -> Callable[..., Any]:
    """The factory.

    Raises:
        ConfigError: There is none.
    """
    return named("backbone", path, "factory")


@backbones.register("import:package.module:factory", ImportConfig, there=found)
def imported(path: str, config: ImportConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """What ``factory(input_shape, outputs, **options)`` makes, for ``path`` = ``package.module:factory``.

    Raises:
        ConfigError: There is no such module or factory, or it makes no network of ``outputs`` outputs.
    """
    model = found(path, config)(input_shape, outputs, **config.options)
    expected = "a factory of torch.nn.Module, called with the inputs' shape and the number of outputs"
    require(isinstance(model, nn.Module), "backbone", f"import:{path}", expected)
    assert isinstance(model, nn.Module)
    made = _outputs(model, input_shape)
    shape = tuple(made.shape) if isinstance(made, Tensor) else f"a {type(made).__name__} instead of one tensor"
    expected = f"a network from inputs of shape {(2, *input_shape)} to (2, {outputs}), got {shape}"
    require(shape == (2, outputs), "backbone", f"import:{path}", expected)
    return model


def _outputs(model: nn.Module, input_shape: tuple[int, ...]) -> Any:
    """What the network makes of two inputs: floats, or symbols where it takes those alone."""
    with evaluation(model), torch.no_grad():
        try:
            return model(torch.zeros(2, *input_shape))
        except Exception:  # it may fail in any way
            if len(input_shape) == 1:
                with suppress(Exception):
                    return model(torch.zeros(2, *input_shape, dtype=torch.int64))
            raise
