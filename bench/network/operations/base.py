"""A call in a program, and what the table of operations says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from torch import fx

from bench.network.operations.smoothness import Given, Kinks, Picks
from bench.network.program import arguments, operation, sizes, where
from bench.network.spaces import Layout, Reason


class Form(Enum):
    """How an operation acts on what passes through it, entry by entry or not."""

    AFFINE = "each entry alone, linear in it where the other inputs are held: addition, scaling"
    CURVED = "each entry alone, with a second derivative or kinks: SiLU, ReLU"
    PRODUCT = "entries of two tensors multiplied"
    MOVE = "entries go to other places: reshape, permute, cat"
    MIX = "entries of one channel are mixed linearly: average pooling, a depthwise convolution"
    SELECT = "some entries of each channel are picked: max pooling"
    GENERAL = "anything that can be differentiated twice: softmax, attention"


@dataclass(frozen=True)
class Layer:
    """A use of a weight that reads channels and makes new ones.

    Attributes:
        name: Path of the weight without ``.weight``.
        weight: Name of the weight; None where the code computes it.
        bias: Name of the bias; None for none.
        rows: Dimension of the weight whose entries make the outputs.
        columns: Dimension whose entries multiply the inputs.
    """

    name: str
    weight: str | None
    bias: str | None
    rows: int = 0
    columns: int = 1


class Call:
    """An operation in the graph, with its arguments by name.

    Args:
        node: The call.
        layouts: Of the nodes before it.
        names: Of parameters and buffers, by placeholder.
        training: Whether the graph is of training mode.

    Attributes:
        layer: What the rule found it to be a layer of; None otherwise.
        known: Whether the table knows what it does; else nothing that goes in can grow.
    """

    def __init__(self, node: fx.Node, layouts: dict[fx.Node, Any], names: dict[fx.Node, str], training: bool) -> None:
        self.node, self.layouts, self.names, self.training = node, layouts, names, training
        self.name = operation(node.target)
        self.layer: Layer | None = None
        self.known = True
        self.arguments = arguments(node)

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the output."""
        return sizes(self.node)

    @property
    def tensors(self) -> list[fx.Node]:
        """Inputs that are tensors."""
        return [n for n in self.node.all_input_nodes if isinstance(self.layouts.get(n), tuple)]

    def layout(self, name: str) -> Layout:
        """Of an input by its argument's name."""
        found: Layout = self.layouts[self[name]]
        return found

    def has(self, name: str) -> bool:
        """Whether an optional input is there."""
        return isinstance(self[name], fx.Node)

    def reason(self, text: str) -> Reason:
        """Why something is refused here."""
        return Reason(text, where(self.node))

    def dims(self, name: str = "dim", rank: int | None = None) -> list[int]:
        """Dimensions named by an argument, counted from 0; all for None."""
        rank = len(self.layout(self.first)) if rank is None else rank
        given = self[name]
        listed = range(rank) if given is None or given == [] else given if isinstance(given, Sequence) else [given]
        return [int(d) % rank for d in listed]

    @property
    def first(self) -> str:
        """Name of the first argument."""
        return next(iter(self.arguments))


Rule = Callable[[Call], Any]


@dataclass(frozen=True)
class Operation:
    """An entry of the table.

    Attributes:
        rule: From a call to the layout of what it makes, or layouts of what it makes several of.
        form: How it acts in a chain.
        kinks: Where its slope jumps, from its arguments; None for nowhere.
        picks: Which entries it picks the largest of, from its arguments and its input's shape; None for none.
        macs: What it multiplies and adds: products of axes, from a call and its output's layout.
        baked: Whether its arguments have sizes that channels may change.
        random: Whether it draws numbers: always, or as long as its argument of this name is true.
    """

    rule: Rule
    form: Form = Form.GENERAL
    kinks: Callable[[Given], Kinks] | None = None
    picks: Callable[[Given, Sequence[int]], Picks] | None = None
    macs: Callable[[Call, Layout], list[Layout]] | None = None
    baked: bool = False
    random: bool | str = False

    @property
    def bends(self) -> bool:
        """Whether it has a second derivative, or a kink, where it has one input."""
        return self.form in (Form.CURVED, Form.GENERAL)
