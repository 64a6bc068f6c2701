"""Take a finished run's network home::

from bench import load_network

model = load_network("results/runs/digits-mlp-s3d-seed0-...")
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from bench.backbones import build
from bench.core.errors import BenchError
from bench.core.identity import identities
from bench.core.record import Plain, Unreadable
from bench.core.store import RunFolder, read_config
from bench.network.graph import Graph
from bench.network.surgery import load
from bench.run import checkpoint

DTYPES = ("float32", "int64")
"""Of a network's inputs."""


@dataclass(frozen=True, eq=False)
class Kept:
    """What a run keeps of one of its networks.

    Attributes:
        folder: The run's.
        options: The run's.
        content: Of the checkpoint.
        stage: The stage that it ended; of an unfinished run's last checkpoint the one that it stands in.
    """

    folder: RunFolder
    options: Plain
    content: checkpoint.Content
    stage: int

    def network(self, trust: bool = False) -> nn.Module:
        """The network, in evaluation mode.

        Raises:
            BenchError: As of `load_network`.
        """
        found, backbone, where = self.content, self.options["backbone"], self.folder.path
        if str(backbone["name"]).startswith("import:") and not trust:
            raise BenchError(
                f"{where}: its backbone is {backbone['name']}, code that would be run; if you trust it, say trust=True"
            )
        shape, dtype = tuple(found["input_shape"]), found.get("input_dtype", "float32")  # early checkpoints have none
        if dtype not in DTYPES:
            raise BenchError(f"{where}: inputs of {dtype}; expected one of {', '.join(DTYPES)}")
        model = build(backbone, shape, found["outputs"])
        load(model, found["model"], Graph(model, shape, getattr(torch, dtype)).groups.values())
        return model.eval()


def kept(folder: str | Path, stage: int | None = None) -> Kept:
    """What a run's folder has of a network.

    Args:
        folder: The run's folder.
        stage: The network as it was at the end of this stage; None for the last checkpoint's.

    Raises:
        BenchError: The folder holds no readable checkpoint or configuration, they are not of one network, or nothing is
            kept of the stage.
        StorageError: What is there cannot be read now.
    """
    place = RunFolder.at(Path(folder))
    found = checkpoint.load(place.checkpoint_path)
    if found is None:
        raise BenchError(f"{folder}: no readable checkpoint there; expected the folder of a run")
    try:
        options = read_config(place.config_path)
    except (Unreadable, OSError) as error:
        raise BenchError(f"{folder}: {error}") from None
    ended, last = _stages(found)
    if stage is not None and stage != last:
        found = checkpoint.load(place.stage_path(stage)) if 0 <= stage < ended else None
        if found is None:
            there = [n for n in range(ended) if n == last or (n != stage and place.stage_path(n).is_file())]
            expected = f"one of {', '.join(map(str, there))}" if there else "a finished stage"
            raise BenchError(f"stage={stage}: expected {expected}, of which {folder} has the network")
    owner = found.get("owner", {}).get("id")
    if owner is not None and owner not in identities(options):
        raise BenchError(f"{folder}: its checkpoint is of another run ({owner})")
    if stage is None:
        stage = ended if last is None else last
    return Kept(place, options, found, stage)


def _stages(found: checkpoint.Content) -> tuple[int, int | None]:
    """How many stages have ended, and which of them the checkpoint's network is of; None for one that is trained."""
    state = found.get("state", {})
    ended = len(state.get("stages", ()))
    is_begun = state.get("growth") is not None or bool(state.get("epoch"))
    return ended, None if is_begun or not ended else ended - 1


def load_network(folder: str | Path, device: str = "cpu", trust: bool = False, stage: int | None = None) -> nn.Module:
    """The network of a run, in evaluation mode: the last rung's, or the last checkpoint's of an unfinished one.

    What lies in the folder is data to us: no code that it names is run unless ``trust`` says so.

    Args:
        folder: The run's folder.
        device: Where to put it.
        trust: Whether to import and call what the folder names as its backbone, ``import:package.module:factory``.
        stage: The network as it was at the end of this stage; None for the last.

    Returns:
        A module from normalised inputs of shape (B, *input_shape) to outputs (B, outputs).

    Raises:
        BenchError: The folder holds no readable checkpoint or configuration, they are not of one network, nothing is
            kept of the stage, or the backbone's code is not trusted.
    """
    return kept(folder, stage).network(trust).to(device)
