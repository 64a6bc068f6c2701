"""What each operation of a ``torch.fx`` graph does to the channels of a tensor."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from enum import Enum
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F


class Kind(Enum):
    """How an operation treats channels, and how far it bends."""

    LAYER = "mixes channels by a weight: Linear, Conv2d"
    CURVED = "pointwise with a second derivative: SiLU, GELU, tanh"
    KINKED = "pointwise and piecewise linear: ReLU and its kin"
    LINEAR = "pointwise and linear: identity, dropout, scaling"
    NORM = "affine per channel when frozen: batch norm"
    PER_CHANNEL = "pointwise with a parameter per channel: PReLU"
    SELECTING = "picks positions within a channel: max pooling"
    AVERAGING = "mixes positions within a channel linearly: average pooling, spatial mean"
    DEPTHWISE = "a convolution within each channel"
    FLATTEN = "puts a channel's positions side by side"
    SUM = "adds two tensors"
    PRODUCT = "multiplies two tensors"
    CONCATENATION = "joins tensors"
    NORM_OVER_CHANNELS = "normalises across channels"
    UNKNOWN = "not understood"


_MODULES: dict[Kind, tuple[type[nn.Module], ...]] = {
    Kind.LAYER: (nn.Linear, nn.Conv2d),
    Kind.CURVED: (
        nn.SiLU,
        nn.GELU,
        nn.Softplus,
        nn.Tanh,
        nn.Sigmoid,
        nn.ELU,
        nn.CELU,
        nn.SELU,
        nn.Mish,
        nn.LogSigmoid,
        nn.Hardswish,
        nn.Softsign,
        nn.Tanhshrink,
    ),
    Kind.KINKED: (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Hardsigmoid, nn.Hardtanh),
    Kind.LINEAR: (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout),
    Kind.NORM: (nn.BatchNorm1d, nn.BatchNorm2d),
    Kind.PER_CHANNEL: (nn.PReLU,),
    Kind.SELECTING: (nn.MaxPool2d, nn.AdaptiveMaxPool2d),
    Kind.AVERAGING: (nn.AvgPool2d, nn.AdaptiveAvgPool2d),
    Kind.FLATTEN: (nn.Flatten,),
    Kind.NORM_OVER_CHANNELS: (nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm, nn.Softmax, nn.LogSoftmax, nn.RMSNorm),
}

_FUNCTIONS: dict[Kind, tuple[Any, ...]] = {
    Kind.CURVED: (
        F.silu,
        F.gelu,
        F.softplus,
        F.elu,
        F.selu,
        F.celu,
        F.mish,
        F.hardswish,
        F.logsigmoid,
        F.softsign,
        F.tanh,
        F.sigmoid,
        torch.tanh,
        torch.sigmoid,
        torch.exp,
        torch.log1p,
        torch.square,
        torch.sqrt,
        torch.sin,
        torch.cos,
        "tanh",
        "sigmoid",
        "exp",
        "square",
        "sqrt",
        "sin",
        "cos",
        operator.pow,
        torch.pow,
        "pow",
        operator.truediv,
        torch.div,
        "div",
    ),
    Kind.KINKED: (F.relu, F.relu6, F.leaky_relu, torch.relu, "relu"),
    Kind.LINEAR: (
        F.dropout,
        F.dropout2d,
        F.alpha_dropout,
        operator.neg,
        torch.neg,
        "neg",
        "contiguous",
        "clone",
        operator.sub,
        torch.sub,
        "sub",
    ),
    Kind.SELECTING: (F.max_pool2d, torch.max_pool2d, F.adaptive_max_pool2d),
    Kind.AVERAGING: (F.avg_pool2d, F.adaptive_avg_pool2d),
    Kind.NORM_OVER_CHANNELS: (
        F.layer_norm,
        F.group_norm,
        F.softmax,
        F.log_softmax,
        torch.softmax,
        torch.log_softmax,
        F.local_response_norm,
        F.normalize,
        F.rms_norm,
    ),
    Kind.CONCATENATION: (torch.cat, torch.concat, torch.stack),
}
_KIND_OF_FUNCTION = {function: kind for kind, functions in _FUNCTIONS.items() for function in functions}
_SUMS = (operator.add, torch.add, "add")
_PRODUCTS = (operator.mul, torch.mul, "mul")
_MEANS = (torch.mean, "mean")
_FLATTENS = (torch.flatten, "flatten")
_RESHAPES = ("view", "reshape", torch.reshape)


def is_depthwise(module: nn.Module) -> bool:
    """Whether a convolution acts within each channel: as many groups as inputs and outputs."""
    return isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels == module.out_channels


def module_kind(module: nn.Module) -> Kind:
    """The `Kind` of a module's call."""
    if isinstance(module, nn.PReLU) and module.num_parameters == 1:
        return Kind.CURVED
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is None:
        return Kind.UNKNOWN  # normalises by the batch even in evaluation mode
    for kind, classes in _MODULES.items():
        if type(module) in classes:
            return kind
    return Kind.UNKNOWN


def function_kind(node: fx.Node) -> Kind:
    """The `Kind` of a function's or tensor method's call; constants count as part of the operation."""
    target = node.target
    if target in _SUMS or target in _PRODUCTS:
        if len(node.all_input_nodes) < 2:  # a constant beside the tensor, or the tensor with itself
            return Kind.CURVED if target in _PRODUCTS and node.args[0] is node.args[1] else Kind.LINEAR
        return Kind.SUM if target in _SUMS else Kind.PRODUCT
    if target in _MEANS:
        return Kind.AVERAGING if _mean_keeps_channels(node) else Kind.UNKNOWN
    if target in _FLATTENS:
        return Kind.FLATTEN
    if target in _RESHAPES:
        sizes: Sequence[Any] = node.args[1:]
        sizes = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes
        fixed = [size for size in sizes if isinstance(size, int) and size != -1]
        return Kind.FLATTEN if sizes and not fixed else Kind.UNKNOWN
    if getattr(target, "__name__", "") == "stochastic_depth":  # torchvision's; drops all channels alike
        return Kind.LINEAR
    return _KIND_OF_FUNCTION.get(target, Kind.UNKNOWN)


def _mean_keeps_channels(node: fx.Node) -> bool:
    dims = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    listed = (dims,) if isinstance(dims, int) else dims
    rank = len(node.all_input_nodes[0].meta["tensor_meta"].shape)
    return isinstance(listed, tuple | list) and all(isinstance(d, int) and d % rank >= 2 for d in listed)
