"""What PyTorch runs: a network as a functional graph of ATen operations, read by ``torch.export``.

Parameters and buffers are placeholders with names, so that each of their uses is an edge; hooks, functions and branches
on sizes are what they came to; writes in place are made explicit. The batch is symbolic, every other size is a number.
"""

from __future__ import annotations

import builtins
import io
import linecache
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.export import Dim, ExportedProgram, export
from torch.export.graph_signature import InputKind
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from bench.core.errors import BenchError, one_line

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
"""Where this package lies."""

BATCH = 10007
"""What a symbolic batch counts as where sizes are compared: a prime that no other dimension has."""

BATCHED = "Constraints violated (batch)"
"""What ``torch.export`` says of code that does not take any number of inputs."""

_NAMED = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
_WRITES = {("bernoulli_", "float"): torch.ops.aten.bernoulli.p}
"""Functional twins that are not called as their name says."""


class Program:
    """A network's operations in one mode.

    Args:
        model: In training or evaluation mode; left as it is.
        example: A batch of at least 2 inputs.

    Attributes:
        nodes: The ``torch.fx`` graph: calls of ATen operations without writes in place.
        names: Names of parameters, buffers and constants by placeholder.
        constants: Tensors that the code made itself, by name.

    Raises:
        BenchError: ``torch.export`` cannot read the model.
    """

    def __init__(self, model: nn.Module, example: Tensor) -> None:
        self.model = model
        with quiet():
            try:
                read = exported(model, example)
                if not _functional(read.graph):
                    read = read.run_decompositions({})
            except Exception as error:  # a model may fail in any way
                shape = tuple(example.shape[1:])
                raise BenchError(
                    f"the model cannot be read on inputs of shape {shape}: {cause(error)}{place(error)}"
                ) from error
        self.module = read.graph_module
        self.nodes: fx.Graph = read.graph
        _without_copies(self.nodes)
        self.names: dict[fx.Node, str] = {}
        placeholders = {node.name: node for node in self.nodes.nodes if node.op == "placeholder"}
        for spec in read.graph_signature.input_specs:
            if spec.kind in _NAMED and spec.target is not None:
                self.names[placeholders[spec.arg.name]] = spec.target
        self.inputs = [node for node in placeholders.values() if node not in self.names]
        known = {*dict(model.named_parameters()), *dict(model.named_buffers())}
        self.constants = {n: t for n, t in read.constants.items() if isinstance(t, Tensor) and n not in known}
        results = next(node for node in self.nodes.nodes if node.op == "output").args[0]
        kinds = read.graph_signature.output_specs
        outputs = results if isinstance(results, tuple | list) else (results,)
        self.outputs = [node for node, spec in zip(outputs, kinds, strict=True) if "USER_OUTPUT" in str(spec.kind)]

    def tensors(self, model: nn.Module) -> dict[str, Tensor]:
        """Parameters, buffers and constants by name, as they are in a model of the same structure."""
        found: dict[str, Tensor] = {**dict(model.named_buffers()), **dict(model.named_parameters())}
        wanted = set(self.names.values())
        if not wanted <= found.keys() | self.constants.keys():  # shared under a name that is left out by default
            found |= {**dict(model.named_buffers(remove_duplicate=False))}
            found |= {**dict(model.named_parameters(remove_duplicate=False))}
        device = next(iter(found.values())).device if found else "cpu"
        return {**{name: tensor.to(device) for name, tensor in self.constants.items()}, **found}

    def run(self, model: nn.Module, inputs: Tensor) -> Tensor:
        """What a model of the same structure makes of a batch; its buffers are left alone."""
        bound = {name: tensor.detach().clone() for name, tensor in self.tensors(model).items()}
        return Running(self, bound).run(inputs)


def _without_copies(nodes: fx.Graph) -> None:
    """Let what is written over a whole tensor take its place: PyTorch has no derivative of ``copy``."""
    for node in list(nodes.nodes):
        if node.op == "call_function" and operation(node.target) == "copy":
            over, source = (n.meta["val"] for n in node.args[:2])
            if source.dtype == over.dtype and source.shape == over.shape:
                node.replace_all_uses_with(node.args[1])
                nodes.erase_node(node)


def exported(model: nn.Module, example: Tensor) -> ExportedProgram:
    """What ``torch.export`` reads of a model, the batch symbolic.

    Raises:
        BenchError: The code depends on the number of inputs, or on what tensors hold.
        Exception: Whatever else it has to say.
    """

    def attempt() -> ExportedProgram:
        try:
            with redirect_stderr(io.StringIO()):  # where it prints how far it came
                return export(model, (example,), dynamic_shapes=({0: Dim("batch", min=1)},))
        except (GuardOnDataDependentSymNode, DataDependentOutputException) as error:
            raise BenchError(f"its code depends on values that tensors have: {_line(error)}") from error

    try:
        return attempt()
    except Exception as error:
        if BATCHED not in str(error):
            raise
    with _symbolic_len():
        try:
            return attempt()
        except Exception as error:
            if BATCHED not in str(error):
                raise
            raise BenchError("its code depends on the number of inputs in a batch") from None


@contextmanager
def _symbolic_len() -> Iterator[None]:
    """Let ``len`` of a tensor be its first size, which may be symbolic; Python's own makes it a number."""
    own = builtins.len

    def symbolic(of: Any) -> Any:
        return of.shape[0] if isinstance(of, Tensor) else own(of)

    builtins.len = symbolic
    try:
        yield
    finally:
        builtins.len = own


class Running(fx.Interpreter):
    """Carries out a program on tensors of one's choice.

    Args:
        program: The operations.
        tensors: Parameters, buffers and constants by name.
    """

    def __init__(self, program: Program, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(program.module, garbage_collect_values=True, graph=program.nodes)
        self.program, self.bound = program, tensors

    def run(self, inputs: Tensor) -> Tensor:  # type: ignore[override]
        """The first output for a batch of inputs."""
        nodes = [node for node in self.program.nodes.nodes if node.op == "placeholder"]
        given = [self.bound[self.program.names[n]] if n in self.program.names else inputs for n in nodes]
        found = super().run(*given, enable_io_processing=False)
        while isinstance(found, tuple | list):
            found = found[-len(self.program.outputs)]
        assert isinstance(found, Tensor)
        return found

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One operation, at the sizes of now."""
        return call(target, args, kwargs)


def call(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One operation; a convolution has as many groups as its weight says, for these may have grown.

    A view is a copy where the tensor lies otherwise in memory than what was read, as a tangent may. What is detached is
    not: growth changes what it holds, and so the loss.
    """
    if operation(target).startswith("detach"):
        return torch.ops.aten.alias(args[0])
    if operation(target) in ("view", "_unsafe_view"):
        return args[0].reshape(args[1])
    if operation(target).startswith("conv") and len(args) > 6:
        args = (*args[:6], args[0].shape[1] // args[1].shape[1])
    return target(*args, **kwargs)


def operation(target: object) -> str:
    """An operation's name without its overload: ``conv2d``; a function's own name."""
    packet = getattr(target, "overloadpacket", None)
    return str(getattr(packet or target, "__name__", target))


def arguments(node: fx.Node) -> dict[str, Any]:
    """What a call is given, by name; what is absent has its default."""
    schema = getattr(node.target, "_schema", None)
    declared = [] if schema is None else schema.arguments
    defaults = {a.name: a.default_value if a.has_default_value() else None for a in declared}
    return defaults | dict(zip(defaults, node.args, strict=False)) | dict(node.kwargs)


def sizes(node: fx.Node) -> tuple[int, ...]:
    """Sizes of the tensor that a node makes, the batch counted as `BATCH`."""
    return tuple(number(size) for size in node.meta["val"].shape)


def of_each_input(node: fx.Node) -> bool:
    """Whether a tensor that a node makes has something for each input of the batch."""
    made = node.meta["val"]
    tensors = [made] if isinstance(made, Tensor) else made
    return any(isinstance(size, torch.SymInt) for tensor in tensors for size in tensor.shape)


def number(size: Any) -> int:
    """A size as a number, the batch counted as `BATCH`."""
    if isinstance(size, fx.Node):
        size = size.meta["val"]
    if isinstance(size, torch.SymInt):
        expression = size.node.expr
        return int(expression.subs(dict.fromkeys(expression.free_symbols, BATCH)))
    return int(size)


def at_batch(size: Any, node: fx.Node, tensor: Tensor) -> int:
    """A symbolic size where a node's tensor is of a batch at hand."""
    for symbolic, actual in zip(node.meta["val"].shape, tensor.shape, strict=True):
        if isinstance(symbolic, torch.SymInt):
            batch = actual // (number(symbolic) // BATCH)
            expression = size.node.expr
            return int(expression.subs(dict.fromkeys(expression.free_symbols, batch)))
    return number(size)


def where(node: fx.Node) -> str:
    """The place in the user's source that a node comes from, ``file:line``; empty where it is not known."""
    return _named(_innermost(re.findall(r'File "([^"]+)", line (\d+)', node.meta.get("stack_trace") or "")))


def _named(at: tuple[str, int] | None) -> str:
    return f"{_short(at[0])}:{at[1]}" if at else ""


def _innermost(frames: list[tuple[str, Any]]) -> tuple[str, int] | None:
    """The last of the frames that is not PyTorch's own: its file and line."""
    own = os.path.dirname(torch.__file__) + os.sep
    return next(((file, int(line)) for file, line in reversed(frames) if not file.startswith((own, "<"))), None)


def _short(file: str) -> str:
    """A path as one would type it: from the folder where one is, or from that of an installed package."""
    roots = sorted((root for root in [os.getcwd(), *sys.path] if root), key=len, reverse=True)
    return next((os.path.relpath(file, root) for root in roots if file.startswith(root + os.sep)), file)


def cause(error: BaseException) -> str:
    """An exception on one line of bearable length."""
    text = str(error) if isinstance(error, BenchError) else one_line(error)
    return text[:300] + "..." if len(text) > 300 else text


def place(error: BaseException) -> str:
    """Where an exception was raised, outside of PyTorch and of this package: `` (file:line)``, or nothing."""
    found = _named(_raised(error))
    return f" ({found})" if found else ""


def _line(error: BaseException) -> str:
    """The source line at which an exception was raised, as `place` finds it."""
    at = _raised(error)
    return linecache.getline(*at).strip() if at else cause(error)


def _raised(error: BaseException) -> tuple[str, int] | None:
    frames = []
    while error.__cause__ is not None:
        error = error.__cause__
    trace = error.__traceback__
    while trace is not None:
        frames.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    return _innermost([frame for frame in frames if not frame[0].startswith(_OWN)])


@contextmanager
def quiet() -> Iterator[None]:
    """Let ``torch.export`` say nothing: what matters is raised."""
    kept = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.enable_grad():  # without gradients, attention takes another way
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(kept)


# -- writes in place --------------------------------------------------------------------------------------------------


def _functional(graph: fx.Graph) -> bool:
    """Put a functional twin in place of every write, where that is plain; whether none is left.

    It is plain where no other view of the tensor is read later: whatever reads the tensor itself later reads the twin.
    """
    order = {node: i for i, node in enumerate(graph.nodes)}
    base: dict[fx.Node, fx.Node] = {}  # of a view, the tensor it looks at

    def later(node: fx.Node, write: fx.Node) -> set[fx.Node]:
        return {user for user in node.users if order[user] > order[write]}

    for node in order:
        first = node.args[0] if node.args else None
        if node.op != "call_function" or not isinstance(first, fx.Node):
            continue
        schema = getattr(node.target, "_schema", None)
        writes = [] if schema is None else [a for a in schema.arguments if a.alias_info and a.alias_info.is_write]
        if not writes:
            if schema is None or any(result.alias_info for result in schema.returns):  # a view, or one of several
                base[node] = base.get(first, first)
            continue
        root = base.get(first, first)
        twin = _twin(node.target)
        others = [n for n in (root, *(v for v, of in base.items() if of is root)) if n is not first]
        if len(writes) > 1 or schema is None or writes[0] is not schema.arguments[0] or twin is None:
            return False
        if any(later(one, node) for one in others):
            return False
        readers = later(first, node)
        if root.op == "placeholder" and not node.users and not readers:
            graph.erase_node(node)  # a counter of batches
        else:
            if (operation(node.target), node.target._overloadname) in _WRITES:
                node.args = (first, arguments(node)["p"])
            node.target = twin
            first.replace_all_uses_with(node, delete_user_cb=readers.__contains__)
    return True


def _twin(target: Any) -> Callable[..., Any] | None:
    name, overload = operation(target), target._overloadname
    if (name, overload) in _WRITES:
        return _WRITES[name, overload]
    packet = getattr(torch.ops.aten, name.rstrip("_"), None)
    return getattr(packet, overload, None) if packet is not None and overload in packet.overloads() else None
