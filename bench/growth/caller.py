"""What a caller brings to a growth event: do the network, examples, loss, optimisers and averages suit it?

Every mistake is a `BenchError` of one line, raised before anything is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from bench.core.errors import ConfigError, foreign, require
from bench.curvature.sample import Loss, Sample
from bench.network.graph import Graph
from bench.network.modes import evaluation

TRIED = 64
"""Examples on which the loss is tried."""

FEW = 4
"""Examples whose losses differ by more than the means of many do."""

MEAN = 1e-3
"""By what share a loss may differ from the mean of those of two halves, by rounding."""

Examples = Tensor | Iterable[Any]
"""Inputs of shape ``(N, ...)``, or what gives batches of inputs and targets, as a ``DataLoader`` does."""


PRECISIONS = (torch.float32, torch.float64)
"""Of parameters."""


def require_module(model: object) -> None:
    """Raise `ConfigError` unless it is a module, and the one that holds the parameters rather than one around it."""
    require(isinstance(model, nn.Module), "model", type(model).__name__, "a torch.nn.Module")
    if hasattr(model, "_orig_mod"):
        raise ConfigError("model", "torch.compile(...)", "the module before it was compiled; compile it after growing")
    around = isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel)
    require(not around, "model", type(model).__name__, "the module inside it; wrap it again after growing")


def require_trainable(model: nn.Module, option: str, value: str) -> None:
    """Raise `ConfigError` unless some parameter is trained, and all are finite; a mask may well be infinite."""
    lazy = any(isinstance(parameter, UninitializedParameter) for parameter in model.parameters())
    require(not lazy, option, value, "parameters that have their sizes; lazy layers get them when the model is called")
    for name, parameter in model.named_parameters():
        precise = parameter.dtype in PRECISIONS or not parameter.requires_grad
        what = f"parameters of float32 or float64; {name} has {parameter.dtype} (autocast trains in less)"
        require(precise, option, value, what)
    trained = any(parameter.requires_grad for parameter in model.parameters())
    require(trained, option, value, "parameters that are trained; all are frozen (requires_grad is False)")
    for name, parameter in model.named_parameters():
        finite = bool(torch.isfinite(parameter).all())
        require(finite, option, value, f"finite parameters at the start; {name} has NaN or infinite ones")


Form = dict[str, tuple[tuple[int, ...], torch.dtype, bool]]
"""Shape, type and whether it is trained of each parameter, by name."""


def form(model: nn.Module) -> Form:
    """What is read of a model's parameters beside their values."""
    return {name: (tuple(p.shape), p.dtype, p.requires_grad) for name, p in model.named_parameters()}


def require_form(model: nn.Module, before: Form) -> None:
    """Raise `ConfigError` unless the model is as it was read or grown, but for its values."""
    now = form(model)
    name = next((name for name in (*before, *now) if now.get(name) != before.get(name)), None)
    if name is not None:
        what = "shape, dtype or requires_grad" if name in now and name in before else "parameters"
        expected = f"the one that was read: {name} has changed in {what}; make a new Grower of it"
        raise ConfigError("model", type(model).__name__, expected)


def require_inputs(model: nn.Module, inputs: object) -> Tensor:
    """The inputs, if they are a batch on the network's device."""
    here = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    if not isinstance(inputs, Tensor):
        raise ConfigError("inputs", type(inputs).__name__, "a tensor of inputs, the first dimension counting them")
    require(inputs.dim() > 1 and len(inputs) > 0, "inputs", _shape(inputs), "a batch: shape (N, ...), N of at least 1")
    require(inputs.device == here, "inputs", inputs.device, f"the model's device, {here}")
    finite = inputs.is_meta or bool(torch.isfinite(inputs).all())
    require(finite, "inputs", "NaN or infinite ones", "finite numbers")
    return inputs


def sample(graph: Graph, inputs: Examples, targets: Tensor | None, loss: Loss | None, most: int | None) -> Sample:
    """What curvature and loss are measured on.

    Args:
        graph: The network's.
        inputs: All of a tensor's are taken; of batches as many as are wanted, in their order.
        targets: Of a tensor of inputs, shape ``(N, ...)``; None where batches bring theirs.
        loss: Of outputs and targets, the mean over the examples.
        most: Examples wanted of batches; None for all.

    Raises:
        ConfigError: They do not suit the network or each other, or the loss is no mean over examples.
    """
    if loss is None or not callable(loss):
        raise ConfigError("loss", loss, "a function of outputs and targets, e.g. torch.nn.functional.cross_entropy")
    if isinstance(inputs, Tensor):
        require(isinstance(targets, Tensor), "targets", type(targets).__name__, "a tensor, one target for each input")
    else:
        require(targets is None, "targets", type(targets).__name__, "None beside batches, which bring their own")
        inputs, targets = _drawn(inputs, most, next(graph.model.parameters()).device)
    assert targets is not None
    inputs = require_inputs(graph.model, inputs)
    expected = graph.input_shape
    require(tuple(inputs.shape[1:]) == expected, "inputs", _shape(inputs), f"the shape that was read, (N, {expected})")
    dtype = graph.dtype or inputs.dtype
    require(inputs.dtype == dtype, "inputs", inputs.dtype, f"the dtype that was read, {dtype}")
    as_many = targets.dim() > 0 and len(targets) == len(inputs)
    require(as_many, "targets", _shape(targets), f"one for each of {len(inputs)} inputs")
    require(targets.device == inputs.device, "targets", targets.device, f"the inputs' device, {inputs.device}")
    found = Sample(inputs.detach().clone(), targets.detach().clone(), _named(loss))
    _require_mean(graph.model, found)
    return found


def _drawn(batches: object, most: int | None, device: torch.device) -> tuple[Tensor, Tensor]:
    """The first examples of batches, on the device."""
    expected = "a tensor, or batches of (inputs, targets), as a DataLoader gives or ((b['x'], b['y']) for b in loader)"
    if not isinstance(batches, Iterable):
        raise ConfigError("inputs", type(batches).__name__, expected)
    parts: list[Sequence[Tensor]] = []
    count = 0
    with foreign("inputs"):
        for batch in batches:
            pair = isinstance(batch, tuple | list) and len(batch) == 2 and all(isinstance(one, Tensor) for one in batch)
            require(pair, "inputs", f"batches of {type(batch).__name__}", expected)
            parts.append(batch)
            count += len(batch[0])
            if most is not None and count >= most:
                break
    require(count > 0, "inputs", "no batch", "at least one")
    inputs, targets = (_joined(name, [part[i] for part in parts]) for i, name in enumerate(("inputs", "targets")))
    return inputs[:most].to(device), targets[:most].to(device)


def _joined(name: str, parts: Sequence[Tensor]) -> Tensor:
    """The examples of all batches, or targets, which must be of one shape."""
    for part in parts:
        alike = part.dim() > 0 and part.shape[1:] == parts[0].shape[1:]
        listed = " and ".join(dict.fromkeys(str(tuple(one.shape)) for one in (parts[0], part)))
        require(alike, name, f"batches of shape {listed}", "the same shape in all, but for the first dimension")
    with foreign(name):
        return torch.cat(list(parts))


def _named(loss: Loss) -> Loss:
    """The same loss; whatever it raises says whose it is, and what of."""

    def named(outputs: Tensor, targets: Tensor) -> Tensor:
        with foreign(f"loss of outputs of {outputs.dtype}, {_shape(outputs)}, and targets of {_shape(targets)}"):
            return loss(outputs, targets)

    return named


def _require_mean(model: nn.Module, of: Sample) -> None:
    """Raise `ConfigError` unless the loss is one number that has a gradient, and the mean of those of halves.

    It is held against halves of all examples that are tried, and of a few, whose means differ more.
    """
    expected = "the mean over the examples, one number"
    inputs, targets = next(of.batches(TRIED))
    with evaluation(model), torch.no_grad():
        outputs = model(inputs)
    if not isinstance(outputs, Tensor):
        raise ConfigError("model", f"outputs of {type(outputs).__name__}", "one tensor that the loss takes")
    even = len(outputs) // 2 * 2
    blocks = [slice(0, even), *(slice(start, start + FEW) for start in range(0, len(outputs) - FEW + 1, FEW))]
    for block in blocks if even else [slice(0, 1)]:
        middle = (block.start + block.stop) // 2
        parts = [block, slice(block.start, middle), slice(middle, block.stop)] if even else [block]
        losses = [of.loss(outputs[part].detach().requires_grad_(), targets[part]) for part in parts]
        for found in losses:
            one = isinstance(found, Tensor) and found.numel() == 1
            require(one, "loss", _shape(found) if isinstance(found, Tensor) else type(found).__name__, expected)
            require(found.requires_grad, "loss", "one without a gradient", "a differentiable function of the outputs")
        if even and all(bool(torch.isfinite(one)) for one in losses):
            whole, first, second = (float(one.detach()) for one in losses)
            rounding = MEAN * max(abs(whole), abs(first), abs(second))
            what = f"{whole:.6g} of {block.stop - block.start} examples, {first:.6g} and {second:.6g} of their halves"
            shapes = f"no sum, no weights; outputs are of {_shape(outputs)}, targets of {_shape(targets)}"
            require(abs(whole - (first + second) / 2) <= rounding, "loss", what, f"{expected} ({shapes})")


def optimizers(model: nn.Module, given: Optimizer | Iterable[Optimizer] | None) -> list[Optimizer]:
    """The caller's optimisers, if what they hold is the model's.

    Raises:
        ConfigError: Something is no optimiser, keeps parameters where no surgeon finds them, or holds what were the
            model's before it grew without it.
    """
    several = isinstance(given, Iterable) and not isinstance(given, Optimizer)
    listed: list[Any] = [] if given is None else list(given) if several else [given]  # type: ignore[arg-type]
    for one in listed:
        require(isinstance(one, Optimizer), "optimizer", type(one).__name__, "a torch.optim.Optimizer, or several")
        own_list = any(
            _holds_parameters(value) for key, value in vars(one).items() if key not in ("param_groups", "state")
        )
        require(not own_list, "optimizer", type(one).__name__, "one that keeps parameters in its param_groups alone")
    held = {id(parameter) for one in listed for group in one.param_groups for parameter in group["params"]}
    own = dict(model.named_parameters())
    foreign_ones = held - {id(parameter) for parameter in own.values()}
    missing = [name for name, parameter in own.items() if parameter.requires_grad and id(parameter) not in held]
    if foreign_ones and missing:
        what = f"{len(foreign_ones)} parameters that are not the model's, and not {missing[0]}"
        raise ConfigError("optimizer", f"one of {what}", "one of the model as it is; make it anew after other changes")
    return listed


def _holds_parameters(value: object) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(one, nn.Parameter) for one in value)


def twins(model: nn.Module, averages: nn.Module | Iterable[nn.Module]) -> list[nn.Module]:
    """The networks inside averages of the model, e.g. ``torch.optim.swa_utils.AveragedModel``, that grow as it does.

    Raises:
        ConfigError: One has no network inside whose parameters and buffers have the model's names and shapes.
    """
    several = isinstance(averages, Iterable) and not isinstance(averages, nn.Module)
    listed: list[Any] = list(averages) if several else [averages]  # type: ignore[arg-type]
    return [_twin(model, one) for one in listed]


def _twin(model: nn.Module, average: nn.Module) -> nn.Module:
    require(isinstance(average, nn.Module), "averages", type(average).__name__, "a torch.nn.Module, or several")
    wanted = dict(_shapes(model))
    for candidate in average.modules():
        if candidate is not model and dict(_shapes(candidate)) == wanted:
            return candidate
    expected = "a copy of the model, whose parameters have its names and shapes"
    raise ConfigError("averages", type(average).__name__, expected)


def _shapes(model: nn.Module) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        yield name, tuple(tensor.shape)


def _shape(tensor: Tensor) -> str:
    return f"shape {tuple(tensor.shape)}"
