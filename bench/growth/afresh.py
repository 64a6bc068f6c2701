"""Start a grown network afresh: every parameter from the distribution that the backbone itself draws it from.

Networks are initialised by their layers' ``reset_parameters`` and then, most of them, by calls of their own, such as
``nn.init.kaiming_normal_(conv.weight, mode="fan_out")``. A fresh network of the seed's widths is built under watch, and
what was called last with each of its parameters is called with the grown one's. A parameter that nothing known has
initialised takes its entries from those of the fresh one.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isclose, prod, sqrt
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

FAMILIES = (1 / 3, 1.0, 2.0, 3.0, 6.0)
"""Values of scale^2 * fan by which the usual rules draw: LeCun's, Glorot's and He's, normal and uniform."""

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Call:
    """What initialised a parameter.

    Attributes:
        function: Takes the parameter first; None where it was written in another way.
        arguments: The others by name.
        shape: The parameter's.
    """

    function: Callable[..., object] | None
    arguments: Mapping[str, Any]
    shape: Shape

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and self._key == other._key

    @property
    def _key(self) -> tuple[object, ...]:
        return self.function, self.shape, str(self.arguments)

    def on(self, parameter: Tensor, fresh: Tensor) -> None:
        """The same with another parameter; a scale that follows from the fan follows from its own."""
        if self.function is None:
            _resample(parameter, fresh)
            return
        factor = _scale(self.arguments, self.shape, tuple(parameter.shape))
        given = {n: v * factor if isinstance(v, float) and n != "mean" else v for n, v in self.arguments.items()}
        self.function(parameter.data, **given)


def drawn(model: nn.Module, build: Callable[[], nn.Module], generator: torch.Generator) -> nn.Module:
    """A copy of the network whose every parameter is drawn anew; arguments as of `draw_parameters`."""
    fresh = copy.deepcopy(model)
    draw_parameters(fresh, build, generator)
    return fresh


def draw_parameters(model: nn.Module, build: Callable[[], nn.Module], generator: torch.Generator) -> None:
    """Draw every parameter anew.

    Args:
        model: The grown network.
        build: Builds the backbone that it grew from, at the seed's widths.
        generator: Its seed decides all draws.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        with _Watch() as built:
            fresh = build()
        values = {name: parameter.detach().clone() for name, parameter in fresh.named_parameters()}
        own = built.last(fresh)
        with _Watch() as usual:
            _reset(fresh)
        layers = usual.last(fresh)
        torch.manual_seed(generator.initial_seed())
        _reset(model)
        for name, parameter in model.named_parameters():
            call = own.get(name, Call(None, {}, tuple(values[name].shape)))
            if call != layers.get(name):  # else it is as its layer draws it
                call.on(parameter, values[name].to(parameter))


def _reset(model: nn.Module) -> None:
    """The modules' own ``reset_parameters``, inner modules first: who defines it around others has the last word."""
    for module in reversed(list(model.modules())):
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()


def _resample(parameter: Tensor, fresh: Tensor) -> None:
    """Take a fresh one's entries, drawn where they are not as many: a constant stays what it is."""
    with torch.no_grad():
        same = parameter.shape == fresh.shape
        drawn = fresh if same else fresh.flatten()[torch.randint(fresh.numel(), tuple(parameter.shape))]
        parameter.copy_(drawn)


def _scale(arguments: Mapping[str, Any], before: Shape, now: Shape) -> float:
    """What a draw's scale is multiplied by: other than 1 where it was one of the usual rules' for the fan before."""
    scale = arguments.get("std", arguments.get("b"))
    if len(before) < 2 or not isinstance(scale, float):
        return 1.0
    for fan in (_fan_out, _fan_in):
        if any(isclose(scale**2 * fan(before), family, rel_tol=1e-5) for family in FAMILIES):
            return sqrt(fan(before) / fan(now))
    return 1.0


def _fan_in(shape: Shape) -> int:
    return prod(shape[1:])


def _fan_out(shape: Shape) -> int:
    return prod((shape[0], *shape[2:]))


@dataclass
class _Watch:
    """Sees what is written into tensors: by Python functions whose name ends in ``_``, as in ``nn.init``, or else.

    Of functions the outermost is seen, which knows of fans; one that was imported by name is seen too. A network that
    is moved to another device or type afterwards is followed there.

    Attributes:
        written: What was written last, by the address that it was written to.
        held: All that was written to or moved from, so that no address is given to anything else.
        inside: The function that is writing.
    """

    written: dict[int, Call] = field(default_factory=dict)
    held: list[Tensor] = field(default_factory=list)
    inside: FrameType | None = None

    def __enter__(self) -> _Watch:
        self.methods = _Methods(self)
        self.methods.__enter__()  # type: ignore[no-untyped-call]
        self.kept = sys.getprofile()
        sys.setprofile(self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.setprofile(self.kept)
        self.methods.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]

    def last(self, model: nn.Module) -> dict[str, Call]:
        """What was written last into each parameter."""
        found = {}
        for name, parameter in model.named_parameters():
            call = self.written.get(parameter.data_ptr())
            if call is not None:
                found[name] = call if call.shape == parameter.shape else Call(None, {}, call.shape)
        return found

    def write(self, tensor: Tensor, function: Callable[..., object] | None, arguments: Mapping[str, Any]) -> None:
        """Something is written into a tensor."""
        self.held.append(tensor.data)
        self.written[tensor.data_ptr()] = Call(function, arguments, tuple(tensor.shape))

    def replace(self, tensor: Tensor, data: Tensor) -> None:
        """A tensor gets other data: the same, as on another device, or what is written so."""
        before = tensor.data
        self.held.append(before)
        call = self.written.get(before.data_ptr())
        if before.shape != data.shape or not torch.equal(before.to(data), data):
            self.write(data, None, {})
        elif call is not None:
            self.written[data.data_ptr()] = call

    def _hear(self, frame: FrameType, event: str, _: object) -> None:
        if event == "return" and frame is self.inside:
            self.inside = None
        code = frame.f_code
        if event != "call" or self.inside is not None or not code.co_name.endswith("_"):
            return
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        first = frame.f_locals.get(names[0]) if names else None
        function = frame.f_globals.get(code.co_name)
        if isinstance(first, Tensor) and callable(function):
            self.inside = frame
            given = {name: frame.f_locals[name] for name in names[1:] if name != "generator"}
            self.write(first, function, given)


class _Methods(TorchFunctionMode):
    """Sees tensors' own methods that write: ``weight.data.normal_(0, 0.01)``."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self.watch = watch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry it out, and note it."""
        name = getattr(func, "__name__", "")
        writes = name == "__setitem__" or (name.endswith("_") and not name.endswith("__") and name != "requires_grad_")
        if writes and args and isinstance(args[0], Tensor) and self.watch.inside is None:
            self.watch.write(args[0], None, {})
        if name == "__set__" and getattr(func, "__self__", None) is Tensor.data:
            self.watch.replace(*args)
        return func(*args, **(kwargs or {}))
