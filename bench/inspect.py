"""``python -m bench.inspect backbone=NAME``: what can be split, at what cost, and what cannot and why.

python -m bench.inspect backbone=lenet data=mnist
python -m bench.inspect backbone=timm:vit_tiny_patch16_224 data=cifar10 out=vit.json
python -m bench.inspect backbone=import:mine:net growth.cost=latency

Its own option: out, a file for the same as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.cli import application
from bench.core.errors import require
from bench.core.files import write_atomic
from bench.core.identity import LATENCY
from bench.core.options import Options, typed
from bench.core.table import screen


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
    from bench.network.overview import described, show
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
    show(screen(), "{backbone} on {data}, inputs {shape}".format(**names, shape=data.input_shape), found)
    if measured:
        print(measured)
    if config.out is not None:
        write_atomic(Path(config.out), msgspec.json.format(msgspec.json.encode(found)) + b"\n")
        print(f"written: {config.out}")


def main() -> None:
    """``python -m bench.inspect``."""
    application(inspect, "inspect")()


if __name__ == "__main__":
    main()
