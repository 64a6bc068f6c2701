"""Take a finished run's network home::

from bench.run.load import load_network

model = load_network("results/runs/digits-mlp-s3d-seed0-...")
"""

from __future__ import annotations

from pathlib import Path

import torch
from omegaconf import OmegaConf
from torch import nn

from bench.backbones import build
from bench.core.errors import BenchError
from bench.core.identity import identities
from bench.network.graph import Graph
from bench.network.surgery import load
from bench.run import checkpoint


def load_network(folder: str | Path, device: str = "cpu") -> nn.Module:
    """The network of a run, in evaluation mode: the last rung's, or the last checkpoint's of an unfinished one.

    Args:
        folder: The run's folder.
        device: Where to put it.

    Returns:
        A module from normalised inputs of shape (B, *input_shape) to outputs (B, outputs).

    Raises:
        BenchError: The folder holds no readable checkpoint.
    """
    found = checkpoint.load(Path(folder) / "checkpoint.pt")
    if found is None:
        raise BenchError(f"{folder}: no readable checkpoint there; expected the folder of a run")
    options = OmegaConf.load(Path(folder) / "config.yaml")
    owner = found.get("owner", {}).get("id")
    if owner is not None and owner not in identities(OmegaConf.to_container(options, resolve=True)):  # type: ignore[arg-type]
        raise BenchError(f"{folder}: its checkpoint is of another run ({owner})")
    model = build(options.backbone, tuple(found["input_shape"]), found["outputs"])
    dtype = getattr(torch, found.get("input_dtype", "float32"))  # early checkpoints have none
    load(model, found["model"], Graph(model, tuple(found["input_shape"]), dtype).groups.values())
    return model.to(device).eval()
