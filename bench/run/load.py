"""Take a finished run's network home::

from bench.run.load import load_network

model = load_network("results/runs/digits-mlp-s3d-seed0-...")
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from bench.backbones import build
from bench.core.errors import BenchError
from bench.core.identity import identities
from bench.core.record import Unreadable
from bench.core.store import read_config
from bench.network.graph import Graph
from bench.network.surgery import load
from bench.run import checkpoint

DTYPES = ("float32", "int64")
"""Of a network's inputs."""


def load_network(folder: str | Path, device: str = "cpu", trust: bool = False) -> nn.Module:
    """The network of a run, in evaluation mode: the last rung's, or the last checkpoint's of an unfinished one.

    What lies in the folder is data to us: no code that it names is run unless ``trust`` says so.

    Args:
        folder: The run's folder.
        device: Where to put it.
        trust: Whether to import and call what the folder names as its backbone, ``import:package.module:factory``.

    Returns:
        A module from normalised inputs of shape (B, *input_shape) to outputs (B, outputs).

    Raises:
        BenchError: The folder holds no readable checkpoint or configuration, they are not of one network, or the
            backbone's code is not trusted.
    """
    found = checkpoint.load(Path(folder) / "checkpoint.pt")
    if found is None:
        raise BenchError(f"{folder}: no readable checkpoint there; expected the folder of a run")
    try:
        options = read_config(Path(folder) / "config.yaml")
    except (Unreadable, OSError) as error:
        raise BenchError(f"{folder}: {error}") from None
    owner, backbone = found.get("owner", {}).get("id"), options["backbone"]
    if str(backbone["name"]).startswith("import:") and not trust:
        raise BenchError(
            f"{folder}: its backbone is {backbone['name']}, code that would be run; if you trust it, "
            "load_network(folder, trust=True)"
        )
    if owner is not None and owner not in identities(options):
        raise BenchError(f"{folder}: its checkpoint is of another run ({owner})")
    shape, dtype = tuple(found["input_shape"]), found.get("input_dtype", "float32")  # early checkpoints have none
    if dtype not in DTYPES:
        raise BenchError(f"{folder}: inputs of {dtype}; expected one of {', '.join(DTYPES)}")
    model = build(backbone, shape, found["outputs"])
    load(model, found["model"], Graph(model, shape, getattr(torch, dtype)).groups.values())
    return model.to(device).eval()
