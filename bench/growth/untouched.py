"""What a method must leave as it finds it: it may look at everything in its context, and change nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from bench.growth.method import GrowthContext

Changed = Callable[[], str | None]
"""What is no longer as it was; None if all is."""

Aspect = Callable[[GrowthContext], Changed]
"""Remembers something of a context as it is."""


def parameters_and_buffers(context: GrowthContext) -> Changed:
    """Proposing a plan leaves parameters, buffers and gradients alone."""
    model = context.graph.model
    before = [(name, held, held.detach().clone(), held.requires_grad, held.grad) for name, held in _tensors(model)]

    def changed() -> str | None:
        now = dict(_tensors(model))
        if list(now) != [name for name, *_ in before]:
            return "which parameters and buffers the network has"
        for name, held, content, trained, grad in before:
            if now[name] is not held or not _same(held, content):
                return name
            if held.requires_grad != trained:
                return f"requires_grad of {name}"
            if held.grad is not grad:
                return f"the gradient of {name}"
        return None

    return changed


def modes(context: GrowthContext) -> Changed:
    """Proposing a plan leaves training and evaluation mode alone."""
    before = {module: module.training for module in context.graph.model.modules()}

    def changed() -> str | None:
        now = {module: module.training for module in context.graph.model.modules()}
        return None if now == before else "which modules are in training mode"

    return changed


def what_it_is_told(context: GrowthContext) -> Changed:
    """Proposing a plan leaves lineage, history, widths, costs and the rung alone."""

    def told() -> dict[str, object]:
        return {
            "lineage": {name: shares.tolist() for name, shares in context.lineage.items()},
            "seed_widths": dict(context.seed_widths),
            "history": list(context.history),
            "groups": list(context.graph.groups.items()),
            "cost": [part.tolist() for part in (context.cost.linear, context.cost.cross)],
            "macs": [part.tolist() for part in (context.macs.linear, context.macs.cross)],
            "target": context.target,
            "epochs": context.epochs,
            "generator": (id(context.generator), context.generator.initial_seed()),
        }

    before = told()
    return lambda: next((f"context.{name}" for name, value in told().items() if value != before[name]), None)


def settings(context: GrowthContext) -> Changed:
    """Proposing a plan leaves PyTorch's settings alone: gradients on, default type and device, threads."""

    def found() -> dict[str, object]:
        return {
            "whether gradients are computed": torch.is_grad_enabled(),
            "inference mode": torch.is_inference_mode_enabled(),
            "the default dtype": torch.get_default_dtype(),
            "the default device": torch.get_default_device(),
            "the number of threads": torch.get_num_threads(),
            "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
            "the precision of products": torch.get_float32_matmul_precision(),
        }

    before = found()
    return lambda: next((name for name, value in found().items() if value != before[name]), None)


def random_streams(context: GrowthContext) -> Changed:
    """Proposing a plan draws from the method's own stream and no other."""
    own, numpys, pythons = torch.get_rng_state(), _numpys(), random.getstate()
    cuda = torch.cuda.get_rng_state() if context.curvature.sample.inputs.is_cuda else None

    def changed() -> str | None:
        if not torch.equal(own, torch.get_rng_state()):
            return "torch's global random stream; its own is context.generator"
        if cuda is not None and not torch.equal(cuda, torch.cuda.get_rng_state()):
            return "the GPU's random stream; its own is context.generator"
        if _numpys() != numpys:
            return "NumPy's global random stream; its own is context.generator"
        return None if random.getstate() == pythons else "Python's random stream; its own is context.generator"

    return changed


ASPECTS: tuple[Aspect, ...] = (parameters_and_buffers, modes, what_it_is_told, settings, random_streams)
"""The first line of each one's docstring is what `python -m bench.check` prints."""


def remembered(context: GrowthContext) -> Changed:
    """All aspects together."""
    parts = [aspect(context) for aspect in ASPECTS]
    return lambda: next((found for part in parts if (found := part()) is not None), None)


def _numpys() -> tuple[object, ...]:
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return kind, np.asarray(keys).tobytes(), *rest


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


def _same(one: Tensor, two: Tensor) -> bool:
    """Whether two tensors hold the same bits; NaN is NaN."""
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    return torch.equal(one, two) or bool(((one == two) | ((one != one) & (two != two))).all())
