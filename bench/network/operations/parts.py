"""What a call multiplies that the table does not know: it is carried out without entries, and its parts are counted.

A recurrent layer, say, becomes the matrix products that it is made of. What PyTorch itself counts is counted, by
`torch.utils.flop_counter`, which ``register_flop_formula`` tells of one's own operations; and what `COUNTS` has. As in
the table, products entry by entry, a gate's or an outer one, do not count. What is neither counted nor known to
multiply nothing is said to be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import flop_registry

from bench.network.operations.table import OPERATIONS
from bench.network.program import number, operation

Given = Mapping[str, Any]
"""Arguments by name, those that have their defaults left out."""


class Products(NamedTuple):
    """What a call multiplies.

    Attributes:
        macs: Multiply-adds that are counted, of the whole batch.
        complete: Whether they are all.
    """

    macs: int
    complete: bool


def products(node: fx.Node) -> Products:
    """What a call multiplies that the table does not know; what goes in cannot grow, so it is a number."""
    counting = _Counting()
    try:
        given = fx.node.map_arg((node.args, node.kwargs), lambda source: source.meta["val"])
        counting.run(node.target, *tree_map(_without_entries, given))
    except Exception:  # it may fail in any way without entries
        counting.complete = False
    return Products(counting.macs, counting.complete)


def _without_entries(value: Any) -> Any:
    if isinstance(value, Tensor):
        return torch.empty([number(n) for n in value.shape], dtype=value.dtype, device="meta")
    if isinstance(value, torch.device):
        return torch.device("meta")
    return number(value) if isinstance(value, torch.SymInt) else value


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is carried out inside."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs, self.complete = 0, True

    def run(self, target: Any, args: Sequence[Any], kwargs: Given) -> None:
        """Count a call: as a whole where that is known, else by its parts."""
        if not self._knows(target, args, kwargs):
            with self:
                target(*args, **kwargs)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        if not self._knows(func, args, kwargs):
            flops = flop_registry.get(func._overloadpacket)
            self.complete &= flops is not None
            self.macs += 0 if flops is None else flops(*args, **kwargs, out_val=made) // 2
        return made

    def _knows(self, func: Any, args: Sequence[Any], kwargs: Given) -> bool:
        name = operation(func) if getattr(func, "namespace", "") == "aten" else ""
        count = COUNTS.get(name)
        if count is not None:
            names = [argument.name for argument in func._schema.arguments]
            self.macs += count({**dict(zip(names, args, strict=False)), **kwargs})
        return count is not None or _multiplies_nothing(func, name.removesuffix("_"))


def _multiplies_nothing(func: Any, name: str) -> bool:
    listed = name in FREE or (name in OPERATIONS and OPERATIONS[name].macs is None)
    return listed or torch.Tag.pointwise in getattr(func, "tags", ()) or bool(getattr(func, "is_view", False))


def _bilinear(given: Given) -> int:
    """For each output one input by a matrix, and that by the other input."""
    outputs, one, two = given["weight"].shape
    return int(given["input1"].numel() // one * outputs * (one + 1) * two)


def _distances(given: Given) -> int:
    """For each two rows a square, or a power, along each feature."""
    differences = given["x1"][..., :, None, :] - given["x2"][..., None, :, :]
    return int(differences.numel())


def _met(one: str, two: str) -> Callable[[Given], int]:
    """One for each entry of two tensors, where they meet."""
    return lambda given: (given[one] * given[two]).numel()


def _bags(given: Given) -> int:
    """Rows by their weights, where they have some."""
    return 0 if given.get("per_sample_weights") is None else given["indices"].numel() * given["weight"].shape[1]


COUNTS: dict[str, Callable[[Given], int]] = {
    "mv": lambda given: given["self"].numel(),
    "addmv": lambda given: given["mat"].numel(),
    "addbmm": lambda given: given["batch1"].numel() * given["batch2"].shape[-1],
    **dict.fromkeys(("dot", "vdot"), lambda given: given["self"].numel()),
    "linalg_vecdot": _met("x", "y"),
    "cosine_similarity": _met("x1", "x2"),
    "bilinear": _bilinear,
    "cdist": _distances,
    "embedding_bag": _bags,
}
"""Multiply-adds by name, of what PyTorch's own counter passes over."""

FREE = {
    name
    for names in (
        # which, and how many
        "sort topk kthvalue median nanmedian mode argmax argmin any all aminmax _aminmax isin count_nonzero "
        "bincount histc bucketize searchsorted nonzero unique_consecutive unique_dim _unique2",
        # moved
        "masked_select masked_scatter gather take put scatter scatter_add scatter_reduce index_put index_add "
        "index_copy index_fill _unsafe_index _unsafe_index_put tril triu diag_embed diagonal_scatter "
        "as_strided_scatter rot90 im2col col2im pixel_shuffle pixel_unshuffle channel_shuffle max_unpool2d "
        "max_unpool3d unsafe_split unsafe_split_with_sizes copy replication_pad1d replication_pad3d "
        "reflection_pad3d",
        # made
        "fill zero empty_like empty_strided complex polar logspace tril_indices triu_indices hann_window "
        "hamming_window multinomial uniform normal exponential random randint_like poisson",
        # each entry, or over a dimension
        "floor_divide cumprod logcumsumexp _logcumsumexp cummax cummin _cummax_helper _cummin_helper nansum trace "
        "var_mean std_mean dist renorm _safe_softmax _prelu_kernel log_sigmoid_forward rrelu_with_noise "
        "_weight_norm_interface native_layer_norm native_batch_norm _native_batch_norm_legit "
        "_native_batch_norm_legit_no_training",
        # weighed, as by pooling
        "_adaptive_avg_pool2d _adaptive_avg_pool3d fractional_max_pool2d fractional_max_pool3d grid_sampler_2d "
        "grid_sampler_3d upsample_nearest3d upsample_trilinear3d _upsample_nearest_exact1d "
        "_upsample_nearest_exact2d _upsample_nearest_exact3d",
    )
    for name in names.split()
}
"""Operations that multiply nothing, as the table has it: beside its own, views, and what PyTorch calls pointwise."""
