"""Where a run stands, as a file: network, optimiser, lineage and the stages done.

A checkpoint is replaced atomically, carries its own checksum, and the one before it is kept. A damaged file is set
aside under another name by the process that is at the run, which goes on from the last good one; others pass it over.
What a file says of its size is held against the file before memory is taken for it.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from bench.core.errors import BenchError, StorageError
from bench.core.files import read_file, set_aside, write_atomic
from bench.core.provenance import Provenance

Content = dict[str, Any]
"""Tensors and plain data."""

MOST_BYTES = 2**38
"""Of a checkpoint."""


class Mismatch(BenchError):
    """A checkpoint is there that a run does not go on from; both stay as they are."""


@dataclass(frozen=True)
class Owner:
    """Whose a checkpoint is.

    Attributes:
        id: Of the run, or of the seed network.
        provenance: What made it.
    """

    id: str
    provenance: Provenance

    def state(self) -> Content:
        """As plain data."""
        return {"id": self.id, "provenance": msgspec.to_builtins(self.provenance)}

    def objection(self, state: Content) -> str | None:
        """Why a checkpoint is not this owner's, for messages; None where it is."""
        found = state.get("owner")
        if not isinstance(found, dict):
            return "is of a version that kept no record of what made it"
        if found.get("id") != self.id:
            return f"is of another network ({found.get('id')})"
        try:
            differences = msgspec.convert(found["provenance"], Provenance).differences(self.provenance)
        except (KeyError, msgspec.ValidationError):
            return "does not say what made it"
        return f"was made before this changed: {', '.join(differences)}" if differences else None


def save(path: Path, state: Content, owner: Owner) -> None:
    """Write a checkpoint of tensors and plain data; the file that was there becomes the previous one."""
    state = {**state, "owner": owner.state()}
    content = _bytes(state)
    whole = _bytes(
        {"sha256": hashlib.sha256(content).hexdigest(), "content": torch.frombuffer(content, dtype=torch.uint8)}
    )
    if path.exists():
        path.replace(previous(path))
    write_atomic(path, whole)


def load(path: Path, locked: bool = False) -> Content | None:
    """Read the last good checkpoint, to the CPU, with ``weights_only=True``; None if there is none.

    Args:
        path: The file; the one before it is read where this is not there or damaged.
        locked: Whether the caller holds the lock of whose checkpoint it is; only then are damaged files set aside.

    Raises:
        StorageError: A file cannot be read now, which says nothing of what it holds.
    """
    for candidate in (path, previous(path)):
        try:
            archive = read_file(candidate, MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise StorageError(f"cannot read {candidate}: {error.strerror}") from error
        try:
            state = content(archive)
        except Exception:  # a damaged file may fail in any way
            if locked:
                set_aside(candidate)
            continue
        if isinstance(state, dict):
            return state
    return None


def retire(path: Path) -> None:
    """Set a checkpoint aside, and the one before it. The lock must be held."""
    for one in (path, previous(path)):
        if one.exists():
            set_aside(one)


def content(archive: bytes) -> Any:
    """What `save` wrote.

    Raises:
        Exception: It is no such file, or a damaged one.
    """
    whole = _unpacked(archive)
    inner = bytes(whole["content"].numpy())
    if hashlib.sha256(inner).hexdigest() != whole["sha256"]:
        raise ValueError("checksum")
    return _unpacked(inner)


def previous(path: Path) -> Path:
    """Where the checkpoint before the last one is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def _unpacked(archive: bytes) -> Any:
    """What `torch.save` packed.

    Raises:
        ValueError: It would unpack to more than it holds: its files are stored, not compressed, and no tensor is larger
            than its own file.
        Exception: It is no such archive.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        if sum(file.file_size for file in files.infolist()) > len(archive):
            raise ValueError("it unpacks to more than it holds")
    found = torch.load(io.BytesIO(archive), map_location="cpu", weights_only=True)
    for tensor in tree_leaves(found):
        if isinstance(tensor, Tensor) and tensor.numel() * tensor.element_size() > len(archive):
            raise ValueError("a tensor is larger than the file")
    return found


def _bytes(state: Content) -> bytearray:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return bytearray(buffer.getvalue())
