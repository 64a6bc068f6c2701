"""A run's network as a folder that is of use where this package is not.

    network.pt2       what ``torch.export`` reads: torch.export.load("network.pt2").module()(inputs)
    network.onnx      for ONNX runtimes (extra ``onnx``)
    network.py        plain Python that rebuilds the module, where that can be said
    state_dict.pt     its parameters and buffers
    model.json        what it is: inputs, classes, widths, costs, accuracy, how it was made

Raw inputs go in, as the data set has them (floats as float32), one batch of any size; the normalisation is inside.
Every file is read again and its outputs held against the network's before the folder is said to be written.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from bench.core.errors import BenchError, one_line, require
from bench.core.files import write_atomic
from bench.core.record import DataRecord
from bench.core.version import version
from bench.deploy.served import Served
from bench.deploy.source import Unwritable, rebuilt, source
from bench.network.agreement import same
from bench.network.program import exported, quiet
from bench.run.load import Kept, kept

EXAMPLES = 5
"""Inputs on which each file is held against the network."""

TOLERANCE = 1e-5
"""Largest difference of outputs, relative to the largest."""

DTYPES = {"uint8": 255.0, "int64": 1.0, "float32": 1.0, "float64": 1.0, "float16": 1.0, "bfloat16": 1.0}
"""What raw inputs may be, and what they are divided by before they are normalised."""


@dataclass(frozen=True)
class Bundle:
    """What was written.

    Attributes:
        folder: Where.
        files: Names of the files.
        left_out: Why others were not, by name.
    """

    folder: Path
    files: tuple[str, ...]
    left_out: dict[str, str]

    def __str__(self) -> str:
        lines = [f"written: {self.folder / name}" for name in self.files]
        return "\n".join([*lines, *(f"left out: {name}: {why}" for name, why in self.left_out.items())])


def export(run: str | Path, out: str | Path = "exported", stage: int | None = None, trust: bool = False) -> Bundle:
    """Write a run's network for use without this package.

    Args:
        run: The run's folder.
        out: The folder to write; it is made where it is not there. What is left out is not in it afterwards,
            and files of other names are left alone.
        stage: The network as it was at the end of this stage; None for the last.
        trust: Whether to import and call what the folder names as its backbone, ``import:package.module:factory``.

    Raises:
        BenchError: The folder holds no such network, its backbone's code is not trusted, ``out`` cannot be written, or
            what was written does not do the same.
    """
    folder = Path(out)
    require(not folder.exists() or folder.is_dir(), "out", out, "a folder")
    found = kept(run, stage)
    if "dataset" not in found.content:
        raise BenchError(
            f"{run}: made by a version that did not keep how inputs are normalised; rerun=all makes it anew"
        )
    data = msgspec.convert(found.content["dataset"], DataRecord)
    raw = str(found.content.get("raw_dtype"))
    require(raw in DTYPES, "run", run, f"raw inputs of {', '.join(DTYPES)}")
    served = Served(found.network(trust), data.mean, data.std, DTYPES[raw], len(data.input_shape)).eval()
    example = _example(data, getattr(torch, raw))
    with torch.no_grad():
        outputs = served(example)
    about = _about(found, data, raw)
    files, left_out = {}, {}
    program = cache(partial(_exported, served, example))
    writers: dict[str, Callable[[], bytes]] = {
        "network.pt2": lambda: _program(program(), example, outputs),
        "network.onnx": lambda: _onnx(program(), example, outputs),
        "network.py": lambda: _source(served, example, outputs, about),
        "state_dict.pt": lambda: _state(served),
        "model.json": lambda: msgspec.json.format(msgspec.json.encode(about)) + b"\n",
    }
    for name, write in writers.items():
        try:
            files[name] = write()
        except _LeftOut as reason:
            left_out[name] = str(reason)
    for name, content in files.items():
        write_atomic(folder / name, content)
    for name in left_out:  # there may be one of another network
        (folder / name).unlink(missing_ok=True)
    return Bundle(folder, tuple(files), left_out)


class _LeftOut(Exception):
    """A file that cannot be had, and why."""


def _example(data: DataRecord, dtype: torch.dtype) -> Tensor:
    """Raw inputs as there may be."""
    random = torch.Generator().manual_seed(0)
    shape = (EXAMPLES, *data.input_shape)
    if dtype == torch.int64:
        return torch.randint(data.outputs, shape, generator=random)
    if dtype == torch.uint8:
        return torch.randint(256, shape, generator=random).to(dtype)
    mean, std = (torch.tensor(one).reshape(-1, *[1] * (len(shape) - 2)) for one in (data.mean, data.std))
    return (torch.randn(shape, generator=random) * std + mean).to(dtype)


def _about(found: Kept, data: DataRecord, raw: str) -> dict[str, Any]:
    """What the network is, as plain data."""
    ended = found.folder.record()
    stages = found.content.get("state", {}).get("stages") or []
    stage = found.content.get("record") or (stages[found.stage] if 0 <= found.stage < len(stages) else {})
    options = found.options
    return {
        "made_by": f"growth-bench {version()}",
        "run": found.folder.path.resolve().name,
        "stage": found.stage,
        **{name: options[name]["name"] for name in ("method", "backbone", "data")},
        "seed": options["seed"],
        "task": data.task,
        "input_shape": data.input_shape,
        "input_dtype": raw,
        "normalisation": {"divided_by": DTYPES[raw], "mean": data.mean, "std": data.std},
        "outputs": data.outputs,
        "classes": data.classes,
        **{name: stage.get(name) for name in ("widths", "costs", "epochs")},
        **{name: stage.get(name) for name in ("val_accuracy", "val_loss", "test_accuracy", "test_loss")},
        "options": options,
        "provenance": found.content.get("owner", {}).get("provenance"),
        "environment": None if ended is None else msgspec.to_builtins(ended.environment),
    }


# -- files -------------------------------------------------------------------------------------------------------------


def _require_same(name: str, found: Tensor, outputs: Tensor) -> None:
    """Raise `BenchError` unless what was read again does the same."""
    if not same(found, outputs, TOLERANCE):
        off = float((found - outputs).abs().max()) if found.shape == outputs.shape else float("inf")
        raise BenchError(f"{name}: its outputs differ by {off:.1e} from the network's, so nothing is written")


def _exported(served: nn.Module, example: Tensor) -> ExportedProgram:
    with quiet():
        try:
            return exported(served, example)
        except Exception as error:  # a model may fail in any way
            raise _LeftOut(f"torch.export: {one_line(error)[:120]}") from error


def _program(program: ExportedProgram, example: Tensor, outputs: Tensor) -> bytes:
    buffer = io.BytesIO()
    with quiet():
        torch.export.save(program, buffer)
        buffer.seek(0)
        again = torch.export.load(buffer).module()
    with torch.no_grad():
        for part in (example, example[:1]):
            _require_same("network.pt2", again(part), outputs[: len(part)])
    return buffer.getvalue()


def _onnx(program: ExportedProgram, example: Tensor, outputs: Tensor) -> bytes:
    if any(find_spec(name) is None for name in ("onnx", "onnxscript")):
        raise _LeftOut('needs ONNX: pip install "growth-bench[onnx]"')
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "network.onnx"
        try:
            made = torch.onnx.export(
                program, (), dynamo=True, verbose=False, input_names=["inputs"], output_names=["outputs"]
            )
            assert made is not None
            made.save(path, external_data=False)
        except Exception as error:  # an exporter may fail in any way
            raise _LeftOut(f"torch.onnx: {one_line(error)[:120]}") from error
        content = path.read_bytes()
    if find_spec("onnxruntime") is not None:
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        for part in (example, example[:1]):
            found = session.run(None, {"inputs": part.numpy()})[0]
            _require_same("network.onnx", torch.from_numpy(found), outputs[: len(part)])
    return content


def _source(served: nn.Module, example: Tensor, outputs: Tensor, about: dict[str, Any]) -> bytes:
    shape = ", ".join(map(str, ("B", *about["input_shape"])))
    title = "{backbone} grown by {method} on {data}, stage {stage}; {made_by}.".format(**about)
    try:
        text = source(served, title, f"{about['input_dtype']}, shape ({shape}), not normalised")
        again = rebuilt(text)
        again.load_state_dict(served.state_dict())
        with torch.no_grad():
            found = again.eval()(example)
    except Unwritable as reason:
        raise _LeftOut(f"no plain Python says it: {reason}") from reason
    except Exception as error:  # what a stranger's modules print may be no constructor's call
        raise _LeftOut(f"no plain Python says it: {one_line(error)[:120]}") from error
    _require_same("network.py", found, outputs)
    return text.encode()


def _state(served: nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.save({name: tensor.clone() for name, tensor in served.state_dict().items()}, buffer)
    return buffer.getvalue()
