"""The one table of ATen operations: what each does to channels, how it bends, what it costs.

A new operation is one entry. What is not in the table refuses the channels that go in.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.network.operations import dimensions, layers, pointwise, smoothness
from bench.network.operations.base import Form, Operation
from bench.network.operations.smoothness import Given, Kinks
from bench.network.program import operation


def _many(names: str, entry: Operation) -> dict[str, Operation]:
    return dict.fromkeys(names.split(), entry)


def _kinked(declared: Callable[[Given], Kinks]) -> Operation:
    return Operation(pointwise.elementwise, Form.CURVED, declared)


OPERATIONS: dict[str, Operation] = {
    **_many(
        "add sub rsub neg alias clone contiguous detach detach_ to _to_copy type_as lift_fresh_copy lift_fresh "
        "div_scalar float double half",
        Operation(pointwise.elementwise, Form.AFFINE),
    ),
    **_many(
        "dropout feature_dropout alpha_dropout feature_alpha_dropout native_dropout",
        Operation(pointwise.elementwise, Form.AFFINE, random="train"),
    ),
    "mul": Operation(pointwise.elementwise, Form.PRODUCT),
    **_many(
        "silu gelu tanh sigmoid celu mish log_sigmoid exp expm1 log log1p square sqrt rsqrt reciprocal sin cos erf pow "
        "atan",
        Operation(pointwise.elementwise, Form.CURVED),
    ),
    **_many("div true_divide", Operation(pointwise.unless(smoothness.rounding_jump), Form.CURVED)),
    **_many("addcmul addcdiv lerp where masked_fill", Operation(pointwise.elementwise)),
    "relu": _kinked(smoothness.relu),
    "relu6": _kinked(smoothness.relu6),
    "leaky_relu": _kinked(smoothness.leaky_relu),
    "rrelu": Operation(pointwise.elementwise, Form.CURVED, smoothness.rrelu, random="training"),
    "prelu": Operation(pointwise.prelu, Form.CURVED, smoothness.prelu),
    "hardtanh": _kinked(smoothness.hardtanh),
    **_many("clamp clamp_min clamp_max", _kinked(smoothness.clamp)),
    "hardsigmoid": _kinked(smoothness.hardsigmoid),
    "hardswish": _kinked(smoothness.hardswish),
    "elu": _kinked(smoothness.elu),
    "selu": _kinked(smoothness.selu),
    "softshrink": _kinked(smoothness.softshrink),
    "abs": _kinked(smoothness.absolute),
    "maximum": _kinked(smoothness.maximum),
    "minimum": _kinked(smoothness.minimum),
    "softplus": Operation(pointwise.unless(smoothness.softplus_jump), Form.CURVED),
    "hardshrink": Operation(pointwise.unless(smoothness.hardshrink_jump), Form.CURVED),
    "threshold": Operation(pointwise.unless(smoothness.threshold_jump), Form.CURVED, smoothness.threshold),
    "batch_norm": Operation(pointwise.batch_norm, Form.AFFINE),
    "linear": Operation(layers.linear, Form.MIX, macs=layers.by_weight),
    **_many("conv1d conv2d conv3d", Operation(layers.convolution, Form.MIX, macs=layers.by_weight)),
    **_many(
        "conv_transpose1d conv_transpose2d conv_transpose3d",
        Operation(layers.transposed_convolution, macs=layers.by_input),
    ),
    **_many("matmul mm bmm", Operation(layers.matmul, macs=layers.by_product)),
    "einsum": Operation(layers.einsum, macs=layers.by_letters),
    "addmm": Operation(layers.addmm, macs=layers.by_product),
    "embedding": Operation(layers.embedding, Form.MOVE),
    "scaled_dot_product_attention": Operation(layers.attention, macs=layers.by_attention),
    **_many("mean sum", Operation(dimensions.reduction, Form.MIX)),
    **_many("prod std var logsumexp", Operation(dimensions.reduction)),
    **_many("norm linalg_vector_norm", Operation(dimensions.norm)),
    **_many("amax max", Operation(dimensions.reduction, Form.SELECT, picks=smoothness.largest)),
    **_many("amin min", Operation(dimensions.reduction, Form.SELECT, picks=smoothness.smallest)),
    **_many("softmax log_softmax _softmax _log_softmax", Operation(dimensions.along("softmax over channels"))),
    "cumsum": Operation(dimensions.along("cumsum over channels"), Form.MIX),
    **_many("roll flip", Operation(dimensions.along("its channels change places", "dims"), Form.MOVE)),
    **_many(
        "max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices",
        Operation(dimensions.pooling, Form.SELECT, picks=smoothness.pooled),
    ),
    **_many(
        "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
        Operation(dimensions.pooling, Form.SELECT, picks=smoothness.pooled_to_size),
    ),
    **_many(
        "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
        "upsample_nearest2d upsample_bilinear2d upsample_bicubic2d _upsample_bilinear2d_aa "
        "_upsample_bicubic2d_aa upsample_nearest1d upsample_linear1d",
        Operation(dimensions.pooling, Form.MIX),
    ),
    **_many("layer_norm rms_norm", Operation(dimensions.layer_norm)),
    **_many("group_norm native_group_norm", Operation(dimensions.group_norm)),
    "instance_norm": Operation(dimensions.instance_norm),
    **_many("flatten squeeze unsqueeze", Operation(dimensions.reshape, Form.MOVE)),
    **_many(
        "view reshape _unsafe_view unflatten reshape_as view_as", Operation(dimensions.reshape, Form.MOVE, baked=True)
    ),
    "permute": Operation(dimensions.permute, Form.MOVE),
    **_many("transpose t", Operation(dimensions.transpose, Form.MOVE)),
    **_many("expand expand_as", Operation(dimensions.expand, Form.MOVE, baked=True)),
    **_many("repeat repeat_interleave", Operation(dimensions.repeat, Form.MOVE)),
    "cat": Operation(dimensions.cat, Form.MOVE),
    "stack": Operation(dimensions.stack, Form.MOVE),
    **_many("split split_with_sizes tensor_split", Operation(dimensions.split, Form.MOVE, baked=True)),
    "chunk": Operation(dimensions.split, Form.MOVE),
    **_many("unbind select", Operation(dimensions.unbind, Form.MOVE)),
    **_many("slice narrow", Operation(dimensions.sliced, Form.MOVE, baked=True)),
    **_many("slice_scatter select_scatter", Operation(dimensions.written, Form.MOVE, baked=True)),
    "getitem": Operation(dimensions.getitem, Form.MOVE),
    **_many("index index_select", Operation(dimensions.index, Form.MOVE)),
    **_many(
        "pad constant_pad_nd reflection_pad1d reflection_pad2d replication_pad2d",
        Operation(dimensions.padding, Form.MOVE),
    ),
    "glu": Operation(dimensions.gated),
    **_many(
        "zeros ones full empty arange zeros_like ones_like full_like new_zeros new_ones new_full new_empty "
        "scalar_tensor linspace eye",
        Operation(pointwise.made),
    ),
    **_many("rand randn rand_like randn_like bernoulli randint randperm", Operation(pointwise.made, random=True)),
}
"""Operations by name, overloads alike."""

UNKNOWN = Operation(pointwise.unknown)


def entry(target: object) -> Operation:
    """The table's entry for an operation; that of unknown ones for what it does not have."""
    name = operation(target)
    if name in ("max", "min") and getattr(target, "_overloadname", "") == "other":
        name += "imum"  # of two tensors
    return OPERATIONS.get(name, UNKNOWN)
