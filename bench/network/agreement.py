"""Whether a network's own forward pass is what was read of it, and where it first is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from bench.core.errors import BenchError
from bench.network.modes import mode
from bench.network.program import Program, Running, cause, place, where


def agree(model: nn.Module, program: Program, inputs: Tensor, training: bool) -> None:
    """Hold a network against its program.

    Args:
        model: The network; its modes and buffers are left as they are.
        program: What was read of it in this mode.
        inputs: A batch.
        training: The mode.

    Raises:
        BenchError: The network cannot run on the batch, or makes something else of it.
    """
    try:
        with mode(model, training), seeded():
            before = torch.get_rng_state()
            own = _made(model, inputs)
            draws = not torch.equal(torch.get_rng_state(), before)
    except Exception as error:  # a model may fail in any way
        raise BenchError(
            f"the model cannot run on {len(inputs)} inputs at once: {cause(error)}{place(error)}"
            + "; inputs of int64 are symbols, and values are floats" * (inputs.dtype == torch.int64)
        ) from error
    if draws and not training:
        raise BenchError("the model's output is random in evaluation mode: its forward pass draws random numbers")
    with seeded(), torch.no_grad():
        read = program.run(model, inputs)
    if not same(read, own, 1e-3 if training else 1e-4):  # statistics of few inputs magnify rounding
        raise BenchError(
            f"the model's own forward pass in {'training' if training else 'evaluation'} mode is not what torch.export "
            f"reads of it{_first_difference(model, program, inputs, training)}: it depends on more than its input, its "
            "parameters and its buffers"
        )


def outputs(model: nn.Module, inputs: Tensor) -> Tensor:
    """What a network makes of a batch, with whatever it draws at random always the same."""
    with seeded():
        return _made(model, inputs)


def _made(model: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        found = tree_leaves(model(inputs.clone()))[0]
    assert isinstance(found, Tensor)
    return found


def same(one: Tensor, two: Tensor, single: float = 1e-3) -> bool:
    """Whether tensors agree but for rounding: within 1e-9 of the largest entry, ``single`` in single precision."""
    if one.shape != two.shape:
        return False
    tolerance = single if one.dtype.itemsize <= 4 else 1e-9
    scale = two.abs().max().clamp(min=torch.finfo(two.dtype).tiny) if two.numel() else 1.0
    both = torch.isfinite(one) == torch.isfinite(two)
    return bool(both.all()) and bool(((one - two).abs()[torch.isfinite(two)] <= tolerance * scale).all())


def disturb(model: nn.Module, random: torch.Generator) -> None:
    """Give parameters and statistics that are all one number values of their own: a zero hides what it multiplies."""
    statistics = [buffer for name, buffer in model.named_buffers() if name.endswith(("_mean", "_var"))]
    with torch.no_grad():
        for tensor in [*model.parameters(), *statistics]:
            if tensor.is_floating_point() and tensor.numel() and bool((tensor == tensor.flatten()[0]).all()):
                tensor += 0.1 + 0.1 * torch.rand(tensor.shape, generator=random).to(tensor)


@contextmanager
def seeded() -> Iterator[None]:
    """Within it the global random streams start afresh; outside, nothing of them is drawn."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _first_difference(model: nn.Module, program: Program, inputs: Tensor, training: bool) -> str:
    """``, first in NAME (file:line)`` of the first module whose output no operation inside it makes; or nothing."""
    read = _Kept(program, {name: tensor.detach().clone() for name, tensor in program.tensors(model).items()})
    with seeded(), torch.no_grad():
        read.run(inputs)
    called: list[tuple[str, Tensor]] = []

    def keep(name: str) -> Any:
        return lambda _, __, made: called.append((name, made.clone())) if isinstance(made, Tensor) else None

    handles = [module.register_forward_hook(keep(name)) for name, module in model.named_modules() if name]
    try:
        with mode(model, training):
            outputs(model, inputs)
    finally:
        for handle in handles:
            handle.remove()
    for name, made in called:
        inside = [(node, value) for node, value in read.values if name in _modules(node)]
        alike = [value for _, value in inside if value.dtype == made.dtype]
        if inside and made.is_floating_point() and not any(same(value, made) for value in alike):
            line = where(inside[-1][0])
            return f", first in {name}" + (f" ({line})" if line else "")
    return ""


class _Kept(Running):
    """Keeps what every operation makes."""

    def __init__(self, program: Program, tensors: dict[str, Tensor]) -> None:
        super().__init__(program, tensors)
        self.values: list[tuple[fx.Node, Tensor]] = []

    def run_node(self, n: fx.Node) -> Any:
        """One operation."""
        found = super().run_node(n)
        if isinstance(found, Tensor) and n.op == "call_function":
            self.values.append((n, found))
        return found


def _modules(node: fx.Node) -> set[str]:
    """Names of the modules that an operation is inside of."""
    return {str(path).partition("@")[0] for path, _ in (node.meta.get("nn_module_stack") or {}).values()}
