"""Start from a trained network: ``backbone.weights=PATH``, a state dict, a run's checkpoint, or safetensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.backbones import build
from bench.backbones.base import WEIGHTS
from bench.core.errors import ConfigError, one_line, require
from bench.core.files import read_file
from bench.core.options import Options
from bench.network.graph import Graph
from bench.network.modes import evaluation
from bench.network.surgery import load
from bench.run import checkpoint

OPTION = "backbone.weights"
EXPECTED = "a file of a network's parameters: a state dict (torch.save), a run's checkpoint.pt, or .safetensors"
INSIDE = ("model", "state_dict", "model_state_dict", "model_state", "net")
"""Under which names training code keeps a state dict in its checkpoints."""
EXPORTED = "network."
"""What an export puts there (`bench.deploy.served`), beside what normalises inputs, which is the data set's."""
AROUND = ("module.", "_orig_mod.", "model.", EXPORTED)
"""What wrappers put before the names of parameters."""

State = dict[str, Tensor]


def seed_network(options: Options, input_shape: tuple[int, ...], outputs: int, dtype: torch.dtype) -> nn.Module:
    """The backbone, with the parameters of ``backbone.weights`` if there is such a file.

    Args:
        options: Of the backbone.
        input_shape: Shape of one input.
        outputs: Width of the output.
        dtype: Of the inputs.

    Raises:
        BenchError: It cannot be built, or the file does not suit it.
    """
    model = build(options, input_shape, outputs)
    if (path := options.get(WEIGHTS)) is not None:
        start_from(model, path, input_shape, dtype)
    return model


def start_from(model: nn.Module, path: str, input_shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Give a network the parameters of a file; where that one has grown, its sizes too.

    Args:
        model: The backbone as it is built.
        path: The file. Names that a wrapper has lengthened or shortened by a prefix are understood.
        input_shape: Shape of one input.
        dtype: Of the inputs.

    Raises:
        ConfigError: There is no such file, it holds no parameters, those of another network, or NaN.
    """
    state, own = _named(read(path), model, path), model.state_dict()
    for name, tensor in state.items():  # a mask is infinite in the network as well
        finite = bool(tensor.isfinite().all()) or not bool(own[name].isfinite().all())
        require(finite, OPTION, path, f"finite parameters; {name} has NaN or infinite ones in this file")
    other = [name for name, tensor in own.items() if tensor.shape != state[name].shape]
    if not other:
        model.load_state_dict(state)
        return
    first = other[0]
    differ = f"{first} has {tuple(state[first].shape)}, the network {tuple(own[first].shape)}"
    groups = Graph(model, input_shape, dtype).groups.values()
    grown = {slot.tensor for group in groups for slot in (*group.rows, *group.consumers)}
    if set(other) <= grown:
        load(model, state, groups)
        if _runs(model, input_shape, dtype):
            return
    raise ConfigError(OPTION, path, f"parameters of the network's shapes; {differ}")


def read(path: str) -> State:
    """The state dict in a file; no code in it is run.

    Raises:
        ConfigError: There is no such file, or it holds none.
    """
    place = Path(path).expanduser()
    if not place.is_file():
        raise ConfigError(OPTION, path, f"{EXPECTED} (no such file)")
    try:
        found = _safetensors(place) if place.suffix == ".safetensors" else _pickled(place)
    except ConfigError:
        raise
    except Exception as error:  # a damaged file may fail in any way
        raise ConfigError(OPTION, path, f"{EXPECTED} ({one_line(error)[:120]})") from None
    for candidate in _candidates(found):
        if candidate and all(isinstance(one, Tensor) for one in candidate.values()):
            return {str(name): tensor for name, tensor in candidate.items()}
    raise ConfigError(OPTION, path, EXPECTED)


def _pickled(place: Path) -> Any:
    found = torch.load(place, map_location="cpu", weights_only=True)
    own = isinstance(found, dict) and found.keys() == {"sha256", "content"}
    return checkpoint.content(read_file(place, checkpoint.MOST_BYTES)) if own else found


def _safetensors(place: Path) -> Any:
    try:
        from safetensors.torch import load_file  # brought by timm, needed for such files alone
    except ModuleNotFoundError:
        raise ConfigError(OPTION, str(place), "safetensors to be installed: pip install safetensors") from None
    return load_file(place)


def _candidates(found: Any) -> Iterator[Mapping[Any, Any]]:
    """What may be the state dict in what was read."""
    if isinstance(found, Mapping):
        yield found
        yield from (found[name] for name in INSIDE if isinstance(found.get(name), Mapping))


def _named(state: State, model: nn.Module, path: str) -> State:
    """The state under the model's names.

    Raises:
        ConfigError: It has others.
    """
    own = model.state_dict()
    inner = {name: tensor for name, tensor in state.items() if name.startswith(EXPORTED)}
    state = inner if state.keys() - inner.keys() <= {"scale", "shift"} and inner else state
    for rename in _renamings():
        renamed = {rename(name): tensor for name, tensor in state.items()}
        if renamed.keys() == own.keys():
            return {name: _as(renamed[name], like) for name, like in own.items()}
    missing, more = [n for n in own if n not in state], [n for n in state if n not in own]
    lacks = f"{len(missing)} of the network's {len(own)} are not there ({missing[0]})" if missing else ""
    has = f"{len(more)} are not the network's ({more[0]})" if more else ""
    raise ConfigError(OPTION, path, f"parameters by the network's names; {', '.join(filter(None, (lacks, has)))}")


def _as(tensor: Tensor, like: Tensor) -> Tensor:
    """In the precision of the network's own."""
    return tensor.to(like.dtype) if tensor.is_floating_point() and like.is_floating_point() else tensor


def _renamings() -> Iterator[Callable[[str], str]]:
    """Names as they are, without what wrappers put before them, and with what ours put there."""
    for depth in range(3):
        for prefix in ("", *AROUND):
            yield partial(_renamed, prefix, depth * "model.")


def _renamed(without: str, within: str, name: str) -> str:
    return within + name.removeprefix(without)


def _runs(model: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype) -> bool:
    """Whether the sizes suit each other."""
    try:
        with evaluation(model), torch.no_grad():
            model(torch.zeros(2, *input_shape, dtype=dtype))
    except Exception:  # it may fail in any way
        return False
    return True
