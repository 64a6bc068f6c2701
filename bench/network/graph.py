"""Which channels of a network can be split, read off what PyTorch runs.

The network is exported in evaluation and in training mode (`bench.network.program`); every operation says what becomes
of its inputs' channels (`bench.network.operations`), and where they meet, are cut or reshaped, spaces of channels
follow (`bench.network.spaces`). A space that some layers make and others read, and whose every use is understood, is a
`Group` (`bench.network.reading`). What was read is then held against the network itself: its own forward pass must
agree, before growth and after.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import cycle

import torch
from torch import Tensor, fx, nn

from bench.core.errors import BenchError
from bench.network.agreement import agree, disturb, outputs, same
from bench.network.groups import Axis, Group, Unsplittable, theta, width, widths
from bench.network.modes import mode
from bench.network.operations import Layer, entry
from bench.network.plan import GrowthPlan, Split
from bench.network.program import Program, arguments, cause, operation, place, where
from bench.network.reading import Closing, Reader
from bench.network.spaces import Reason
from bench.network.surgery import apply

__all__ = ["Graph", "Group", "Unsplittable", "theta", "width"]

UNEVEN = (2, 5, 8, 4, 7, 3, 6)
"""Neurons by which groups grow in a trial; a difference of one may be lost where the code halves."""
CHECKED = 3
"""Inputs on which the network is held against what was read: not as many as it was read with."""


class Graph:
    """The splittable groups of a model.

    Args:
        model: Any module that ``torch.export`` can read, called with one tensor.
        input_shape: Shape of one input, without the batch.
        dtype: Of the inputs; None for that of the parameters.

    Attributes:
        groups: `Group` by name, in the order of the forward pass.
        unsplittable: What cannot be split, with reasons.
        program: What the network runs in evaluation mode.
        trained: What it runs in training mode.
        layouts: For each node what lies along the dimensions of the tensors that it makes.
        parameters: The same for each parameter and buffer, by name.
        layers: Uses of weights, in the order of the forward pass, with the weight's name.
        macs: Multiply-adds: for each node products of axes, the batch among them.
        uncounted: Operations whose multiply-adds are not among them, with the place: ``fft_fft (net.py:12)``.

    Raises:
        BenchError: The model cannot be read, or its forward pass is not what was read.
    """

    def __init__(self, model: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype | None = None) -> None:
        self.model, self.input_shape, self.dtype = model, tuple(input_shape), dtype
        if not any(True for _ in model.parameters()):
            raise BenchError(f"the model cannot be read on inputs of shape {self.input_shape}: it has no parameters")
        reader = Reader(model)
        self.program = self._read(training=False)
        reader.read(self.program, training=False)
        self.trained = self._read(training=True)
        reader.read(self.trained, training=True)
        self.agree(self._inputs(CHECKED))
        while True:
            closing = Closing(reader, self.program)
            self.groups: dict[str, Group] = closing.groups
            refused = self._outgrown(list(self.groups.values()))
            if not refused:
                break
            for name, reason in refused.items():
                closing.refuse(name, reason)
        self.unsplittable: list[Unsplittable] = closing.unsplittable
        read = [node for node in self.program.nodes.nodes if node in reader.layouts]
        self.layouts: dict[fx.Node, list[tuple[Axis, ...]]] = {node: closing.layouts(node) for node in read}
        self.parameters = {name: closing.layout(layout) for name, layout in reader.parameters.items()}
        self.layers: dict[fx.Node, Layer] = dict(closing.layers)
        self.macs = {node: found for node in read if (found := closing.macs(node))}
        self.uncounted = reader.uncounted
        self.baked = any(entry(node.target).baked and self.carried(node) for node in read)

    def widths(self) -> dict[str, int]:
        """Neurons of each group now, by name."""
        return widths(self.model, self.groups.values())

    def carried(self, node: fx.Node) -> set[str]:
        """Names of the groups whose channels the tensors of a node carry."""
        return {run.group for layout in self.layouts.get(node, ()) for axis in layout for run in axis if run.group}

    def on(self, model: nn.Module) -> Graph:
        """The same graph of a copy of the model, without reading it again."""
        twin = object.__new__(Graph)
        twin.__dict__.update(self.__dict__, model=model)
        return twin

    def grown(self, inputs: Tensor | None = None) -> Graph:
        """The graph of the model after growth, which leaves groups and names as they are.

        Where sizes of channels stand in the operations' arguments, the program is read anew.

        Args:
            inputs: A batch on which the network is held against what was read; None for a random one.

        Raises:
            BenchError: The network's own forward pass is not what was read.
        """
        twin = self.evaluated()
        if self.baked:
            twin.trained = self._read(training=True)
        twin.agree(self._inputs(CHECKED) if inputs is None else inputs)
        return twin

    def evaluated(self) -> Graph:
        """The same for evaluation alone, and not held against the network."""
        twin = self.on(self.model)
        if self.baked:
            twin.program = self._read(training=False)
            renamed = dict(zip(self.program.nodes.nodes, twin.program.nodes.nodes, strict=True))
            for name in ("layouts", "layers", "macs"):
                setattr(twin, name, {renamed[node]: found for node, found in getattr(self, name).items()})
        return twin

    def agree(self, inputs: Tensor) -> None:
        """Hold the network against what was read of it, in both modes.

        Args:
            inputs: A batch as the network is fed it.

        Raises:
            BenchError: Its own forward pass makes something else of the batch; the message says where.
        """
        agree(self.model, self.program, inputs, training=False)
        if len(inputs) > 1:  # of one input, batch norm may have no variance
            agree(self.model, self.trained, inputs, training=True)

    @property
    def structure(self) -> str:
        """Sixteen hex digits that name what was read: operations, and names and shapes of parameters and buffers."""
        return hashlib.sha256("\n".join(self._lines()).encode()).hexdigest()[:16]

    def _lines(self) -> Iterator[str]:
        for program in (self.program, self.trained):
            order = {node: i for i, node in enumerate(program.nodes.nodes)}
            for node in order:
                yield f"{operation(node.target)} {fx.node.map_arg((node.args, node.kwargs), order.__getitem__)}"
        for name, tensor in (*self.model.named_parameters(), *self.model.named_buffers()):
            yield f"{name} {tuple(tensor.shape)} {tensor.dtype}"

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read(self, training: bool) -> Program:
        with mode(self.model, training):
            program = Program(self.model, self._inputs(2))
        if not training:
            _must_not_be_random(program)
        return program

    def _inputs(self, count: int) -> Tensor:
        """Random inputs, the same each time."""
        parameter = next(self.model.parameters())
        dtype, random = self.dtype or parameter.dtype, torch.Generator().manual_seed(0)
        if not dtype.is_floating_point:
            made = torch.randint(2, (count, *self.input_shape), generator=random)
        else:
            made = torch.randn(count, *self.input_shape, generator=random)
        return made.to(parameter.device, dtype)

    # -- growing it for a trial ----------------------------------------------------------------------------------------

    def _outgrown(self, groups: Sequence[Group]) -> dict[str, Reason]:
        """Groups with which the network's own forward pass fails, or is another, when they are grown; and why.

        Groups of one kind in blocks that repeat are tried by the first of them, and the others together.
        """
        reason = self._failure(groups) if groups else None
        if reason is None:
            return {}
        alike: dict[tuple[str, str], list[Group]] = {}
        for group in groups:
            alike.setdefault((group.kind, re.sub(r"\d+", "*", group.name)), []).append(group)
        if len(alike) == 1:
            first, others = groups[0], groups[1:]
            found = {} if (own := self._failure([first])) is None else {first.name: own}
            return found | self._halved(others) if found and others else found or self._halved(groups)
        refused: dict[str, Reason] = {}
        for own_kind in alike.values():
            refused |= self._outgrown(own_kind)
        return refused or {group.name: reason for group in groups}  # each kind grows alone, not all at once

    def _halved(self, groups: Sequence[Group]) -> dict[str, Reason]:
        """Of groups that are alike: all of them where the last fails too, else those that fail, found by halving."""
        reason = self._failure(groups)
        if reason is None:
            return {}
        if len(groups) == 1 or self._failure(groups[-1:]) is not None:
            return {group.name: reason for group in groups}
        half = len(groups) // 2
        return self._halved(groups[:half]) | self._halved(groups[half:]) or {group.name: reason for group in groups}

    def _failure(self, groups: Sequence[Group]) -> Reason | None:
        """Why the network fails, or is another, when these groups are grown; None where it is the same.

        By a quarter each, and by a few neurons that are not as many for all: groups that are one at two places of the
        code, halves say, may grow alike and no otherwise.
        """
        twin, inputs = copy.deepcopy(self.model), self._inputs(2)
        disturb(twin, torch.Generator().manual_seed(0))
        before = outputs(twin.eval(), inputs)
        splits = [Split(g, i, (1.5, -0.5)) for g in groups for i in range(1, max(1, width(twin, g) // 4))]
        splits += [Split(g, 0, (1.5, *[-0.5 / more] * more)) for g, more in zip(groups, cycle(UNEVEN), strict=False)]
        try:
            apply(twin, None, GrowthPlan(tuple(splits)), 0.0)
            after = outputs(twin, inputs)
            outputs(twin.train(), inputs)
        except Exception as error:  # a model may fail in any way
            return Reason(f"its code keeps the size: {cause(error)}", place(error).strip(" ()"))
        return None if same(after, before) else Reason("its code computes with the size")


def _must_not_be_random(program: Program) -> None:
    for node in program.nodes.nodes:
        random = entry(node.target).random if node.op == "call_function" else False
        if random is True or (random and arguments(node)[str(random)]):
            name, at = operation(node.target), where(node)
            raise BenchError(f"the model's output is random in evaluation mode: {name}" + (f" ({at})" if at else ""))
