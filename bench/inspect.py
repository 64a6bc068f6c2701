"""``python -m bench.inspect backbone=NAME``: what can be split, at what price, and what cannot and why."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.cli import application


def inspect(options: dict[str, Any]) -> None:
    """Print the groups of the configured backbone and data set.

    Raises:
        BenchError: An option cannot work, data are missing, or the backbone cannot be traced.
    """
    from bench.backbones import build  # torch only after the options are read
    from bench.cost import LATENCY, METRICS, prices
    from bench.data import load
    from bench.environment import choose_device, reset
    from bench.graph import Graph, theta
    from bench.latency import measure

    data = load(options["data"], options["seed"])
    model = build(options["backbone"], data.input_shape, data.outputs)
    graph = Graph(model, data.input_shape)
    costs, widths = prices(graph), graph.widths()
    shown = {metric: f"+{unit}" for metric, unit in zip(METRICS, ("params", "mult-adds", "energy pJ"), strict=True)}
    if options["growth"]["cost"] == LATENCY:
        reset(options["threads"], options["seed"])
        device = choose_device(options["device"])
        model.to(device)
        timed = measure(graph, costs["macs"], options["growth"]["latency_batch"], device)
        costs[LATENCY], shown[LATENCY] = timed.price, "+latency us"
    title = f"{options['backbone']['name']} on {options['data']['name']}, inputs {data.input_shape}"

    groups = Table(box=SIMPLE_HEAD, title=f"{title}: can be split")
    for column in ("group", "neurons", "params each", *shown.values()):
        groups.add_column(column, justify="left" if column == "group" else "right", overflow="fold")
    groups.add_column("read by", overflow="fold")
    marginal = {metric: costs[metric].marginal(costs[metric].vector(widths)) for metric in shown}
    for i, (name, group) in enumerate(graph.groups.items()):
        price = [f"{marginal[metric][i]:,.{2 if metric == LATENCY else 0}f}" for metric in shown]
        readers = ", ".join(c.module if c.block == 1 else f"{c.module} ({c.block} each)" for c in group.consumers)
        others = len(group.producers) - 1
        label = f"{name} and {others} more" if others else name
        groups.add_row(label, str(widths[name]), str(theta(model, group).shape[1]), *price, readers)

    console = Console()
    console.width = max(console.width, 100 if console.is_terminal else 160)
    console.print(groups)
    if graph.unsplittable:
        refused = Table(box=SIMPLE_HEAD, title="cannot be split")
        refused.add_column("layer", overflow="fold")
        refused.add_column("reason")
        for one in graph.unsplittable:
            refused.add_row(one.name, one.reason)
        console.print(refused)
    total = {metric: costs[metric].of(widths) for metric in METRICS}
    share = 1 - costs["params"].constant / total["params"]
    console.print(
        f"{total['params']:,.0f} parameters, {share:.0%} of them in layers that can grow; "
        f"{total['macs']:,.0f} multiply-adds and {total['energy'] / 1e6:,.3f} uJ for one input",
        highlight=False,
    )
    if LATENCY in shown:
        seed, noise = timed.readings[0], max(reading.noise / reading.microseconds for reading in timed.readings)
        console.print(
            f"{seed.microseconds:,.0f} us for {timed.batch} input(s) at once on {device}; "
            f"noise up to {noise:.1%}, the fit is off by {timed.error:.1%}",
            highlight=False,
        )


def main() -> None:
    """``python -m bench.inspect``."""
    application(inspect)()


if __name__ == "__main__":
    main()
