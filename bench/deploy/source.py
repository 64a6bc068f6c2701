"""A network as plain Python: a file that rebuilds it with PyTorch alone.

The network is traced down to PyTorch's own modules; each is written as it prints itself, under its own name, so that
the state dict fits, and the forward pass as ``torch.fx`` writes it.
"""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Iterator

from torch import Tensor, fx, nn

TEMPLATE = '''"""{about}

    import torch
    from network import Network

    network = Network()
    network.load_state_dict(torch.load("state_dict.pt", weights_only=True))
    outputs = network.eval()(inputs)

Inputs: {inputs}.
"""

import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
{built}

    def place(self, path, module):
        *parents, name = path.split(".")
        holder = self
        for parent in parents:
            if parent not in dict(holder.named_children()):
                holder.add_module(parent, nn.Module())
            holder = holder.get_submodule(parent)
        if isinstance(module, nn.Module):
            holder.add_module(name, module)
        elif isinstance(module, nn.Parameter):
            holder.register_parameter(name, module)
        else:
            holder.register_buffer(name, module)

{forward}
'''


KNOWN = ("torch", *dir(builtins))
"""What the file's code may name."""


class Unwritable(Exception):
    """A network has parts that plain Python cannot say."""


def source(model: nn.Module, about: str, inputs: str) -> str:
    """The file's text.

    Args:
        model: In evaluation mode.
        about: What it is, in a line or more.
        inputs: What it takes, in words.

    Raises:
        Unwritable: It cannot be traced, or has a part that is not PyTorch's own.
    """
    try:
        graph = fx.Tracer().trace(model)
    except Exception as error:  # a model may fail in any way
        raise Unwritable(f"its code branches on its inputs ({type(error).__name__})") from error
    for node in graph.nodes:
        node.type = None  # annotations are no code
    lines = [f"        self.place({json.dumps(path)}, {text})" for path, text in dict(_parts(model, graph)).items()]
    code = graph.python_code("self")
    others = [name for name in code.globals if name not in KNOWN and re.search(rf"\b{name}\b", code.src)]
    if others:
        raise Unwritable(f"its code calls {others[0]}")
    forward = "\n".join(f"    {line}".rstrip() for line in code.src.strip().splitlines())
    forward = re.sub(r";  (\w+ = )+None", "", forward)  # which frees memory
    forward = forward.replace("torch._C._nn.", "torch.nn.functional.")
    return TEMPLATE.format(about=about, inputs=inputs, built="\n".join(lines), forward=forward)


def _parts(model: nn.Module, graph: fx.Graph) -> Iterator[tuple[str, str]]:
    """Modules, parameters and buffers that the graph uses, by name, as Python writes them."""
    for node in graph.nodes:
        if node.op == "call_module":
            module = model.get_submodule(str(node.target))
            if not type(module).__module__.startswith("torch.nn.modules"):
                raise Unwritable(f"{node.target} is a {type(module).__name__}")
            yield str(node.target), f"nn.{module!r}"
        elif node.op == "get_attr":
            held = _held(model, str(node.target))
            made = f"torch.zeros({tuple(held.shape)}, dtype={held.dtype})"
            yield str(node.target), f"nn.Parameter({made})" if isinstance(held, nn.Parameter) else made


def _held(model: nn.Module, path: str) -> Tensor:
    parent, _, name = path.rpartition(".")
    found = getattr(model.get_submodule(parent), name)
    if not isinstance(found, Tensor):
        raise Unwritable(f"{path} is a {type(found).__name__}")
    return found


def rebuilt(text: str) -> nn.Module:
    """The network that a file's text makes, with parameters of its own."""
    space: dict[str, object] = {}
    exec(compile(text, "network.py", "exec"), space)
    made = space["Network"]
    assert isinstance(made, type)
    network = made()
    assert isinstance(network, nn.Module)
    return network
