"""``python -m bench.inspect backbone=NAME``: what can be split, at what cost, and what cannot and why."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.cli import application
from bench.core.options import Options, typed


def inspect(options: Options) -> None:
    """Print the groups of the configured backbone and data set.

    Raises:
        BenchError: An option cannot work, data are missing, or the backbone cannot be traced.
    """
    from bench.backbones import build  # torch only after the options are read
    from bench.data import load
    from bench.growth.config import GrowthConfig
    from bench.network import latency
    from bench.network.cost import LATENCY, cost, cost_models, in_order
    from bench.network.graph import Graph, label, theta
    from bench.run.environment import choose_device, reset

    growth = typed("growth.", GrowthConfig, options["growth"])
    data = load(options["data"], options["seed"])
    model = build(options["backbone"], data.input_shape, data.outputs)
    graph = Graph(model, data.input_shape)
    models, widths = cost_models(graph), graph.widths()
    table = None
    if growth.cost == LATENCY:
        reset(options["threads"], options["seed"])
        device = choose_device(options["device"])
        model.to(device)
        table = latency.measure(graph, models["macs"], growth.latency_batch, device)
        models[LATENCY] = latency.fitted(table)
    shown = {name: cost(name) for name in in_order(models)}
    title = f"{options['backbone']['name']} on {options['data']['name']}, inputs {data.input_shape}"

    groups = Table(box=SIMPLE_HEAD, title=f"{title}: can be split")
    for column in ("group", "layer", "neurons", "theta", *(f"+{one.heading}" for one in shown.values())):
        groups.add_column(column, justify="left" if column in ("group", "layer") else "right", overflow="fold")
    groups.add_column("read by", overflow="fold")
    marginal = {name: models[name].marginal(models[name].vector(widths)) for name in shown}
    for i, (name, group) in enumerate(graph.groups.items()):
        added = [one.text(marginal[key][i]) for key, one in shown.items()]
        readers = ", ".join(c.module if c.block == 1 else f"{c.module} ({c.block} each)" for c in group.consumers)
        others = len(group.producers) - 1
        named = f"{name} and {others} more" if others else name
        sizes = str(widths[name]), str(theta(model, group).shape[1])
        groups.add_row(named, label(model, group), *sizes, *added, readers)

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
    total = {name: models[name].of(widths) for name in shown}
    share = 1 - models["params"].constant / total["params"]
    console.print(f"{share:.0%} of the parameters in layers that can grow", highlight=False)
    for name, known in shown.items():
        console.print(f"{known.text(total[name])} {known.unit} {known.title}".replace("  ", " "), highlight=False)
    if table is not None:
        noise = max(reading.noise / reading.microseconds for reading in table.readings)
        console.print(
            f"latency of {table.batch} at once on {device}: {table.readings[0].microseconds:,.0f} us measured, "
            f"noise up to {noise:.1%}, the fit is off by {table.error:.1%}",
            highlight=False,
        )


def main() -> None:
    """``python -m bench.inspect``."""
    application(inspect)()


if __name__ == "__main__":
    main()
