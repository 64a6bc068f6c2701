"""The parts of ``python -m bench.speed``: each makes its tables, in order, with progress on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.status import Status

from bench.backbones import build
from bench.core.errors import require
from bench.core.options import Options
from bench.core.record import plain
from bench.data import Dataset, load
from bench.network.graph import Graph
from bench.run.config import Settings
from bench.run.environment import choose_device, describe, reset
from bench.run.weights import seed_network
from bench.speed import step
from bench.speed.choice import choices, title
from bench.speed.eigensolvers import measure
from bench.speed.layers import LAYERS, Layer, prepare
from bench.speed.machine import Machine
from bench.speed.tables import Row, Rows, Tables, show, write
from bench.speed.throughput import throughput
from bench.speed.whole_run import whole_run
from bench.train import make_optimizer, train

DIGITS, MLP = {"name": "digits"}, {"name": "mlp"}
"""Data and backbone that training is always measured on."""
NETWORKS: tuple[Options, ...] = ({"name": "mobilenet_v1", "width": 32}, {"name": "vgg11_bn", "width": 64})
"""The larger ones."""


def report(settings: Settings, parts: Sequence[str], repeats: int, out: str | None) -> None:
    """Measure, print, and write the tables if ``out`` names a folder.

    Raises:
        BenchError: An option cannot work, data are missing, or the run fails.
    """
    device = choose_device(settings.run.device)
    reset(settings.run.threads, settings.run.seed)
    machine = plain(describe(device))
    console, progress = Console(), Console(stderr=True)
    console.width = max(console.width, 140)  # a log has no width of its own
    console.print(", ".join(f"{key} {value}" for key, value in machine.items()), markup=False, highlight=False)
    tables: dict[str, tuple[str, Rows]] = {}
    with progress.status("") if progress.is_terminal else nullcontext() as status:
        for part in parts:
            measured = _PARTS[part](settings, repeats, device, status)
            tables |= measured
            for title, rows in measured.values():
                show(console, title, rows)
    if out is not None:
        write(Path(out), tables, machine)
        console.print(f"written: {out}", markup=False, highlight=False, soft_wrap=True)


def _note(status: Status | None, text: str) -> None:
    if status is not None:
        status.update(text)


def engines(
    settings: Settings,
    repeats: int,
    device: torch.device,
    status: Status | None = None,
    layers: Sequence[Layer] = LAYERS,
) -> Tables:
    """The eigensolvers on each layer, trained on the configured data."""
    data, seed = _images(settings, device), settings.run.seed
    rows: list[Row] = []
    for layer in layers:
        _note(status, f"engines: {layer.name}")
        rows += measure(prepare(layer, data, settings.train, settings.growth.examples, seed), seed, repeats)
    examples = len(data.sample(settings.growth.examples, seed))
    return {"engines": (f"Extreme eigenpairs, {examples} examples of {data.name}", rows)}


def training(settings: Settings, repeats: int, device: torch.device, status: Status | None = None) -> Tables:
    """Images per second: the digits with the default mlp, and the configured data and backbone."""
    data, backbone = load(settings.options["data"], settings.run.seed).to(device), settings.options["backbone"]
    digits = load(DIGITS, settings.run.seed).to(device)
    subjects = [(digits, MLP), *([] if _is_digits(settings) else [(data, backbone)])]
    return {"training": ("Training images per second", _throughput(subjects, settings, repeats, status))}


def networks(settings: Settings, repeats: int, device: torch.device, status: Status | None = None) -> Tables:
    """Images per second of the papers' networks, on the configured data if those are colour images of 32 by 32."""
    data = _colour_images(settings).to(device)
    rows = _throughput([(data, backbone) for backbone in NETWORKS], settings, repeats, status, images=2560, bf16=True)
    return {"networks": ("Training images per second of larger networks", rows)}


def _throughput(
    subjects: Sequence[tuple[Dataset, Options]],
    settings: Settings,
    repeats: int,
    status: Status | None,
    images: int = 10_000,
    bf16: bool = False,
) -> list[Row]:
    rows: list[Row] = []
    for data, backbone in subjects:
        _note(status, f"training: {data.name}, {backbone['name']}")
        make = partial(build, backbone, data.input_shape, data.outputs)
        rows += throughput(data, make, backbone["name"], settings.train, images, repeats, bf16)
    return rows


def growing(settings: Settings, repeats: int, device: torch.device, status: Status | None = None) -> Tables:
    """One whole growth step on larger networks, and how it grows with width and sample."""
    data, machine = _colour_images(settings), Machine(str(device), torch.get_num_threads(), settings.run.seed)
    _note(status, "growth steps")
    sample = min(settings.growth.examples or len(data.train), len(data.train))
    rows = step.steps(data, step.NETWORKS, sample, machine)
    _note(status, "growth steps by width and sample")
    return {
        "growing": (f"One growth step, both ends of all neurons or a plan's, {sample} examples of {data.name}", rows),
        "scaling": ("Lanczos on one layer by width and by sample", step.scaling(data, machine)),
    }


def choice(settings: Settings, repeats: int, device: torch.device, status: Status | None = None) -> Tables:
    """What samples and searches choose, on the configured data and backbone."""
    data = load(settings.options["data"], settings.run.seed).to(device)
    require(data.task == "classification", "data", data.name, "a classification data set")
    backbone, machine = settings.options["backbone"], Machine(str(device), torch.get_num_threads(), settings.run.seed)
    _note(status, f"choice: {data.name}, {backbone['name']}")
    model = seed_network(backbone, data.input_shape, data.outputs, data.input_dtype).to(device)
    optimizer = make_optimizer(model, settings.train)
    train(model, optimizer, data, settings.train, epochs=settings.train.seed_epochs, seed=machine.seed)
    rows = choices(Graph(model, data.input_shape, data.input_dtype), data, machine)
    return {"choice": (title(data, str(backbone["name"])), rows)}


def run(settings: Settings, repeats: int, device: torch.device, status: Status | None = None) -> Tables:
    """The configured run, as a whole."""
    _note(status, "whole runs")
    return {"run": ("Seconds of a whole run", [whole_run(settings, repeats)])}


_PARTS = {
    "engines": engines,
    "training": training,
    "run": run,
    "networks": networks,
    "growing": growing,
    "choice": choice,
}


def _is_digits(settings: Settings) -> bool:
    return (settings.name("data"), settings.name("backbone")) == ("digits", "mlp")


def _colour_images(settings: Settings) -> Dataset:
    """The configured data if they are like CIFAR, noise of that shape otherwise."""
    data = load(settings.options["data"], settings.run.seed)
    like = data.task == "classification" and data.input_shape == (3, 32, 32)
    return data if like else step.random_images(settings.run.seed)


def _images(settings: Settings, device: torch.device) -> Dataset:
    data = load(settings.options["data"], settings.run.seed).to(device)
    fits = data.task == "classification" and len(data.input_shape) == 3
    require(fits, "data", data.name, "a classification data set of images")
    return data
