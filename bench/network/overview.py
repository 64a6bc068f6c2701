"""A network at a glance: what can be split, at what cost, and what cannot and why; as plain data and as a table."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from bench.core.numbers import share as percent
from bench.core.table import Folding
from bench.network.cost import cost, in_order, incomplete, whole
from bench.network.graph import Graph
from bench.network.groups import theta
from bench.network.quadratic import CostModel
from bench.network.share import causes, share

LISTED = 3
"""Layers that are named of those that cannot be split for one cause."""

WIDTH = 80
"""Cells of a line where nobody knows how many there are."""


def text(title: str, graph: Graph, models: Mapping[str, CostModel]) -> str:
    """What `show` prints, without colours."""
    console = Console(file=io.StringIO(), width=WIDTH)
    with console.capture() as said:
        show(console, title, described(graph, models))
    return said.get().rstrip()


def described(graph: Graph, models: Mapping[str, CostModel]) -> dict[str, Any]:
    """A graph as plain data.

    Args:
        graph: What can be split.
        models: Its costs by name.

    Returns:
        ``share`` of the parameters in layers that can grow; ``total``, the costs now; ``uncounted``, operations whose
        multiply-adds are not in these; ``groups``, each with what one more neuron of it adds as ``cost``; and
        ``refused``, the layers that cannot be split, by cause.
    """
    widths = graph.widths()
    shown = {name: models[name] for name in in_order(models)}
    marginal = {name: model.marginal(model.vector(widths)) for name, model in shown.items()}
    groups = [
        {
            "name": name,
            "kind": group.kind,
            "neurons": widths[name],
            "theta": theta(graph.model, group).shape[1],
            "makers": list(dict.fromkeys(producer.layer for producer in group.producers)),
            "readers": list(dict.fromkeys(slot.layer for slot in group.consumers)),
            "cost": {key: whole(added[i]) for key, added in marginal.items()},
        }
        for i, (name, group) in enumerate(graph.groups.items())
    ]
    return {
        "share": share(graph),
        "total": {name: whole(model.of(widths)) for name, model in shown.items()},
        "uncounted": graph.uncounted,
        "groups": groups,
        "refused": [
            {"reason": reason, "where": where, "layers": layers} for (reason, where), layers in causes(graph).items()
        ],
    }


def show(console: Console, title: str, found: Mapping[str, Any]) -> None:
    """Print what `described` has found, no wider than the console."""
    shown = {name: cost(name) for name in found["total"]}
    console.print(Text(f"{title}\n", style="bold"))
    console.print(Text("can be split", style="italic"))
    groups = Folding(gap=1)
    groups.add_column("group\n> read by", no_wrap=False)
    groups.add_column("kind")
    for column in ("neurons", "theta", *(f"+{name}" for name in shown)):
        groups.add_column(column, "right")
    for group in found["groups"]:
        names = Names(group["makers"], group["readers"])
        added = [one.text(group["cost"][key]) for key, one in shown.items()]
        kind = group["kind"].replace(", ", ",\n")
        groups.add_row(names, kind, str(group["neurons"]), str(group["theta"]), *added)
    console.print(groups)
    if found["refused"]:
        refused = Table.grid(padding=(0, 1))
        refused.add_column(justify="right", no_wrap=True)
        refused.add_column(overflow="fold")
        for cause in found["refused"]:
            at = f" ({cause['where']})" if cause["where"] else ""
            layers, more = cause["layers"][:LISTED], cause["layers"][LISTED:]
            listed = ", ".join([*layers, f"{len(more)} more"] if more else layers)
            refused.add_row(f" {len(cause['layers'])} x", Text(f"{cause['reason']}{at}\n{listed}\n"))
        console.print(Text("cannot be split\n", style="italic"))
        console.print(refused)
    for name, known in shown.items():
        line = f"{known.text(found['total'][name])} {known.unit} {known.title}".replace("  ", " ")
        console.print(line, highlight=False, markup=False)
    if found["uncounted"]:
        console.print(incomplete(found["uncounted"]), highlight=False, markup=False)
    console.print(f"{percent(found['share'])} of the parameters in layers that can grow", highlight=False)


class Names:
    """The first of a group's layers and of its readers, a line each, as long as the column allows."""

    def __init__(self, makers: list[str], readers: list[str]) -> None:
        self.lines = [(names[0], f" +{len(names) - 1}" if len(names) > 1 else "") for names in (makers, readers)]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for mark, (name, more) in zip(("", "> "), self.lines, strict=True):
            yield Text(mark + shortened(name, options.max_width - len(mark + more)) + more, no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        longest = 2 + max(len(name + more) for name, more in self.lines)
        return Measurement(min(longest, 16), longest)


def shortened(name: str, width: int) -> str:
    """A layer's name with as much of its middle left out as so many cells need; its end says most."""
    if len(name) <= width:
        return name
    end = max(2 * width // 3, 1)
    return name[: max(width - end - 1, 0)] + "…" + name[-end:]
