"""``python -m bench.inspect backbone=NAME``: what can be split, at what cost, and what cannot and why.

python -m bench.inspect backbone=lenet data=mnist
python -m bench.inspect backbone=timm:vit_tiny_patch16_224 data=cifar10 out=vit.json
python -m bench.inspect backbone=import:mine:net growth.cost=latency

Its own option: out, a file for the same as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from bench.cli import application
from bench.core.errors import require
from bench.core.files import write_atomic
from bench.core.identity import LATENCY
from bench.core.numbers import share as percent
from bench.core.options import Options, typed
from bench.core.table import Folding, screen

if TYPE_CHECKING:
    from bench.network.graph import Graph
    from bench.network.quadratic import CostModel

LISTED = 3
"""Layers that are named of those that cannot be split for one cause."""


@dataclass(frozen=True)
class InspectConfig:
    """Options beside those of a run.

    Attributes:
        out: JSON file of what is printed; None to print only.
    """

    out: str | None = None

    def __post_init__(self) -> None:
        require(self.out is None or not Path(self.out).is_dir(), "out", self.out, "a file, not a folder")


def inspect(options: Options) -> None:
    """Print the groups of the configured backbone and data set, and write them to ``out``.

    Raises:
        BenchError: An option cannot work, data are missing, the backbone cannot be read or ``out`` not written.
    """
    from bench.data import load  # torch only after the options are read
    from bench.network import latency
    from bench.network.cost import cost_models
    from bench.network.graph import Graph
    from bench.run.config import Settings
    from bench.run.environment import choose_device, reset
    from bench.run.weights import seed_network

    config = typed("", InspectConfig, {"out": options["out"]})
    growth = Settings.of({key: value for key, value in options.items() if key != "out"}).growth
    data = load(options["data"], options["seed"])
    model = seed_network(options["backbone"], data.input_shape, data.outputs, data.input_dtype)
    graph = Graph(model, data.input_shape, data.input_dtype)
    models, measured = cost_models(graph, growth.cost), ""
    if growth.cost == LATENCY:
        reset(options["threads"], options["seed"])
        device = choose_device(options["device"])
        model.to(device)
        table = latency.measure(graph, models["macs"], growth.latency_batch, device)
        models[LATENCY] = latency.fitted(table)
        noise = max(reading.noise / reading.microseconds for reading in table.readings)
        measured = (
            f"latency of {table.batch} at once on {device}: {table.readings[0].microseconds:,.0f} us measured, "
            f"noise up to {noise:.1%}, the fit is off by {table.error:.1%}"
        )
    names = {group: options[group]["name"] for group in ("backbone", "data")}
    found = {**names, "input_shape": list(data.input_shape), **described(graph, models)}
    show(screen(), found)
    if measured:
        print(measured)
    if config.out is not None:
        write_atomic(Path(config.out), msgspec.json.format(msgspec.json.encode(found)) + b"\n")
        print(f"written: {config.out}")


def described(graph: Graph, models: Mapping[str, CostModel]) -> dict[str, Any]:
    """A graph as plain data.

    Args:
        graph: What can be split.
        models: Its costs by name.

    Returns:
        ``share`` of the parameters in layers that can grow; ``total``, the costs now; ``groups``, each with what one
        more neuron of it adds as ``cost``; and ``refused``, the layers that cannot be split, by cause.
    """
    from bench.network.cost import in_order, whole
    from bench.network.groups import theta
    from bench.network.share import causes, share

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
            "cost": {cost: whole(added[i]) for cost, added in marginal.items()},
        }
        for i, (name, group) in enumerate(graph.groups.items())
    ]
    return {
        "share": share(graph),
        "total": {name: whole(model.of(widths)) for name, model in shown.items()},
        "groups": groups,
        "refused": [
            {"reason": reason, "where": where, "layers": layers} for (reason, where), layers in causes(graph).items()
        ],
    }


# -- on a terminal -----------------------------------------------------------------------------------------------------


def show(console: Console, found: Mapping[str, Any]) -> None:
    """Print what `described` has found, no wider than the console."""
    from bench.network.cost import cost

    shown = {name: cost(name) for name in found["total"]}
    title = f"{found['backbone']} on {found['data']}, inputs {tuple(found['input_shape'])}"
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


def main() -> None:
    """``python -m bench.inspect``."""
    application(inspect, "inspect")()


if __name__ == "__main__":
    main()
