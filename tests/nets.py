"""Small nets that cover what the core reads, and a growth context for any of them.

Every test of an identity iterates `NETS`; a new construct is covered by one more line in the list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.curvature.eigensolvers import eigensolver
from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.growth.method import GrowthContext, Trained
from bench.network.cost import cost_models
from bench.network.graph import Graph
from bench.network.groups import Channels, Group

CLASSES = 3


class TwoConsumers(nn.Module):
    """Two layers read the very same tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left, self.right = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 3, 1), nn.Conv2d(4, 2, 3)
        self.one, self.two = nn.Linear(3, CLASSES), nn.Linear(2, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(self.stem(x))
        left, right = torch.tanh(self.left(h)), torch.tanh(self.right(h))
        return self.one(left.mean((2, 3))) + self.two(right.mean((2, 3)))


class NestedConsumers(nn.Module):
    """One layer reads a tensor, another what pooling and a second activation make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.next = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 3, 3)
        self.one, self.two = nn.Linear(3, CLASSES), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(self.stem(x))
        deep = F.gelu(self.next(h)).mean((2, 3))
        return self.one(deep) + self.two(torch.tanh(h.mean((2, 3))))


class ResidualInside(nn.Module):
    """A residual block: the stream's channels are split jointly, the block's hidden channels apart."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first, self.second = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(3, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        stream = self.stem(x)
        stream = stream + self.second(F.silu(self.norm(self.first(stream))))
        return self.head(F.silu(stream).mean((2, 3)))


class ResidualStream(nn.Module):
    """A stream with norms and activations between its sums; one layer both reads it and adds to it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.both = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 3, 3, padding=1)
        self.first, self.second = nn.Conv2d(3, 2, 3, padding=1, bias=False), nn.Conv2d(2, 3, 1, bias=False)
        self.norm_first, self.norm_second = nn.BatchNorm2d(2), nn.BatchNorm2d(3)
        self.head = nn.Linear(3, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        stream = F.silu(self.stem(x))
        stream = F.silu(stream + self.both(stream))
        hidden = F.gelu(self.norm_first(self.first(stream)))
        stream = F.silu(self.norm_second(self.second(hidden)) + stream)
        return self.head(stream.mean((2, 3)))


class Gated(nn.Module):
    """Squeeze and excitation: a layer and its gate make the same channels, which the gate also reads."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(2, 4, 3), nn.Linear(4, CLASSES)
        self.squeeze, self.excite = nn.Conv2d(4, 2, 1), nn.Conv2d(2, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.stem(x))
        gate = torch.sigmoid(self.excite(F.silu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        return self.head((x * gate).mean((2, 3)))


class Tokens(nn.Module):
    """Linear layers along the last dimension of ``(N, T, C)``."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down, self.head = nn.Linear(4, 5), nn.Linear(5, 3, bias=False), nn.Linear(3, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.silu(self.down(F.gelu(self.up(x))))).mean(1)


class Functional(nn.Module):
    """Functions instead of modules, in place where that is possible."""

    def __init__(self, smooth: bool) -> None:
        super().__init__()
        self.smooth = smooth
        self.one, self.two = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 3, 3, stride=2, padding=1)
        self.three, self.head = nn.Linear(12, 4), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        x = F.silu(x, inplace=True) if self.smooth else F.relu(x, inplace=True)
        x = self.two(F.dropout(F.max_pool2d(x, 2), training=self.training))
        x = torch.flatten(x * 0.5 + 0.1, 1)
        x = self.three(torch.sigmoid(x) if self.smooth else x.relu_())
        x = x * torch.sigmoid(x) if self.smooth else F.leaky_relu(x, 0.2)
        return self.head(x)


class SizedView(nn.Module):
    """Flattens by a view whose sizes are read off the tensor, and averages before an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(2, 3, 3), nn.Linear(12, 4), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(self.one(x), 2)
        x = self.two(F.silu(x).view(x.size(0), -1))
        return self.head(x.tanh())


class PooledSum(nn.Module):
    """Positions meet within a channel, by a maximum, before the activation."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.head = nn.Conv2d(2, 3, 3), nn.Linear(3, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        x = F.silu(x + F.max_pool2d(x, 3, 1, 1))
        return self.head(x.mean((2, 3)))


_READ: dict[tuple[object, ...], Graph] = {}


@dataclass(frozen=True)
class Net:
    """A net and what is true of it.

    Attributes:
        name: Shown in test ids.
        build: Makes it; its random parameters are drawn from the global generator.
        shape: Shape of one input.
        widths: Its groups and their widths.
        smooth: Whether its loss has third derivatives, so that the second order predicts.
        pointwise: Whether nothing bends behind the first activation of any chain, so that both forms of S agree.
        bias: Groups whose bias belongs to theta.
    """

    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    widths: dict[str, int]
    smooth: bool = True
    pointwise: bool = True
    bias: frozenset[str] = field(default_factory=frozenset)

    def model(self, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
        """The net in evaluation mode, with normalisation that is not the identity."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.build().to(dtype)
            for module in model.modules():
                if isinstance(module, nn.Linear | nn.Conv2d):
                    module.weight.data *= 1.7  # bends the activations more
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                    assert module.running_mean is not None
                    assert module.running_var is not None
                    module.running_mean.normal_(0, 0.3)
                    module.running_var.uniform_(0.3, 2.0)
                    module.weight.data.uniform_(0.5, 1.5)
                    module.bias.data.normal_(0, 0.3)
                if isinstance(module, nn.PReLU):
                    module.weight.data.uniform_(0.1, 0.6)
        return model.eval()

    def sample(self, count: int = 8, seed: int = 1, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
        """Random inputs and classes."""
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.randn(count, *self.shape, generator=generator, dtype=torch.float64).to(dtype)
        return inputs, torch.randint(CLASSES, (count,), generator=generator)

    def graph(self, seed: int = 0, dtype: torch.dtype = torch.float64) -> Graph:
        """A graph of its own for each caller, of a network that is read once."""
        key = (self.build, self.shape, dtype)
        if key not in _READ:
            _READ[key] = Graph(self.model(seed, dtype), self.shape)
        return _READ[key].on(self.model(seed, dtype))

    def __str__(self) -> str:
        return self.name


def _head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]


def _mlp(activation: type[nn.Module]) -> nn.Module:
    return nn.Sequential(
        nn.Linear(4, 5), activation(), nn.Linear(5, 4, bias=False), activation(), nn.Linear(4, CLASSES)
    )


def _norm(activation: Callable[[], nn.Module]) -> nn.Module:
    first = [nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), activation()]
    second = [nn.Conv2d(4, 3, 3, stride=2, bias=False), nn.BatchNorm2d(3), activation(), nn.Dropout(0.5)]
    return nn.Sequential(*first, *second, *_head(3))


def _depthwise(activation: type[nn.Module]) -> nn.Module:
    up = [nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5), activation()]
    deep = [nn.Conv2d(5, 5, 3, padding=1, groups=5), nn.BatchNorm2d(5), activation()]
    down = [nn.Conv2d(5, 3, 1, bias=False), nn.BatchNorm2d(3), activation()]
    return nn.Sequential(*up, *deep, *down, *_head(3))


def _depthwise_only(activation: type[nn.Module]) -> nn.Module:
    """A depthwise convolution with nothing that bends behind it."""
    up = [nn.Conv2d(3, 5, 1), activation(), nn.Conv2d(5, 5, 3, groups=5, bias=False), nn.Conv2d(5, 4, 1)]
    return nn.Sequential(*up, activation(), *_head(4))


def _pooling() -> nn.Module:
    first = [nn.Conv2d(1, 3, 3, padding=1), nn.SiLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(3, 4, 2, bias=False), nn.MaxPool2d(2, 1), nn.GELU(), nn.AvgPool2d(2)]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(4, CLASSES))


def _flatten() -> nn.Module:
    conv = [nn.Conv2d(2, 3, 3), nn.Tanh(), nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten()]
    return nn.Sequential(*conv, nn.Linear(18, 4), nn.SiLU(), nn.Linear(4, CLASSES))


def _prelu() -> nn.Module:
    conv = [nn.Conv2d(2, 3, 3), nn.PReLU(3), nn.Flatten(), nn.PReLU(12)]
    return nn.Sequential(*conv, nn.Linear(12, 4), nn.PReLU(), nn.Linear(4, CLASSES))


def _flat_norm() -> nn.Module:
    conv = [nn.Conv2d(2, 3, 3), nn.SiLU(), nn.MaxPool2d(2), nn.Flatten(), nn.BatchNorm1d(12)]
    return nn.Sequential(*conv, nn.Linear(12, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, CLASSES))


def _flat_bend() -> nn.Module:
    conv = [nn.Conv2d(2, 3, 3), nn.Flatten(), nn.BatchNorm1d(12), nn.SiLU()]
    return nn.Sequential(*conv, nn.Linear(12, CLASSES))


def _padded() -> nn.Module:
    first = [nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), nn.SiLU()]
    second = [nn.Conv2d(3, 4, (2, 3), padding="same", dilation=2), nn.SiLU()]
    third = [nn.Conv2d(4, 2, 3, stride=(2, 1), padding=(1, 2), padding_mode="circular", bias=False), nn.Tanh()]
    return nn.Sequential(*first, *second, *third, *_head(2))


def _bias(*names: str) -> frozenset[str]:
    return frozenset(names)


NETS: list[Net] = [
    Net("mlp", lambda: _mlp(nn.SiLU), (4,), {"0": 5, "2": 4}, bias=_bias("0")),
    Net("mlp_relu", lambda: _mlp(nn.ReLU), (4,), {"0": 5, "2": 4}, smooth=False, bias=_bias("0")),
    Net("norm", lambda: _norm(nn.SiLU), (2, 6, 6), {"0": 4, "3": 3}),
    Net("norm_relu", lambda: _norm(lambda: nn.ReLU(inplace=True)), (2, 6, 6), {"0": 4, "3": 3}, smooth=False),
    Net("depthwise", lambda: _depthwise(nn.SiLU), (3, 4, 4), {"0": 5, "6": 3}, pointwise=False),
    Net("depthwise_relu", lambda: _depthwise(nn.ReLU), (3, 4, 4), {"0": 5, "6": 3}, smooth=False, pointwise=False),
    Net("depthwise_only", lambda: _depthwise_only(nn.SiLU), (3, 4, 4), {"0": 5, "3": 4}, bias=_bias("0", "3")),
    Net("pooling", _pooling, (1, 8, 8), {"0": 3, "3": 4}, bias=_bias("0")),
    Net("flatten", _flatten, (2, 5, 6), {"0": 3, "4": 4}, bias=_bias("0", "4")),
    Net(
        "two_consumers",
        TwoConsumers,
        (2, 5, 5),
        {"stem": 4, "left": 3, "right": 2},
        bias=_bias("stem", "left", "right"),
    ),
    Net(
        "nested_consumers",
        NestedConsumers,
        (2, 5, 5),
        {"stem": 4, "next": 3},
        pointwise=False,
        bias=_bias("stem", "next"),
    ),
    Net("residual_inside", ResidualInside, (2, 5, 5), {"stem": 3, "first": 4}, bias=_bias("stem")),
    Net("residual_stream", ResidualStream, (2, 5, 5), {"stem": 3, "first": 2}, bias=_bias("stem")),
    Net("gated", Gated, (2, 5, 5), {"stem": 4, "squeeze": 2}, pointwise=False, bias=_bias("stem", "squeeze")),
    Net("tokens", Tokens, (4, 4), {"up": 5, "down": 3}, bias=_bias("up")),
    Net(
        "functional",
        lambda: Functional(True),
        (2, 8, 8),
        {"one": 4, "two": 3, "three": 4},
        bias=_bias("one", "two", "three"),
    ),
    Net(
        "functional_relu",
        lambda: Functional(False),
        (2, 8, 8),
        {"one": 4, "two": 3, "three": 4},
        smooth=False,
        bias=_bias("one", "two", "three"),
    ),
    Net("sized_view", SizedView, (2, 6, 6), {"one": 3, "two": 4}, bias=_bias("one", "two")),
    Net("pooled_sum", PooledSum, (2, 5, 5), {"one": 3}, bias=_bias("one")),
    Net("prelu", _prelu, (2, 4, 4), {"0": 3, "4": 4}, smooth=False, pointwise=False, bias=_bias("0", "4")),
    Net("flat_norm", _flat_norm, (2, 6, 6), {"0": 3, "5": 4}, bias=_bias("0")),
    Net("flat_bend", _flat_bend, (2, 4, 4), {"0": 3}, bias=_bias("0")),
    Net("padded", _padded, (2, 5, 6), {"0": 3, "2": 4, "4": 2}, bias=_bias("0", "2")),
]
SMOOTH = [net for net in NETS if net.smooth]


def bare(name: str) -> Group:
    """A group that is no network's."""
    return Group(Channels(name, f"{name}.weight", 0), "Linear", (), (), ())


def named(name: str) -> Net:
    """The net of this name."""
    return next(net for net in NETS if net.name == name)


def grow_context(
    graph: Graph,
    inputs: Tensor,
    targets: Tensor,
    ratio: float = 1.6,
    metric: str = "params",
    engine: str = "dense",
    seed: int = 0,
    form: str = "definition",
    **options: Any,
) -> GrowthContext:
    """A `GrowthContext` on cross-entropy.

    Args:
        graph: The net's graph.
        inputs: The sample.
        targets: Its classes.
        ratio: The rung, as a multiple of the cost now.
        metric: The cost.
        engine: Name of an eigensolver.
        seed: Of the method's generator.
        form: Of the curvature.
        options: Other fields of the context.
    """
    models = cost_models(graph)
    fields: dict[str, Any] = {
        "target": ratio * models[metric].of(graph.widths()),
        "lineage": {name: torch.ones(n, dtype=torch.float64) for name, n in graph.widths().items()},
        "seed_widths": graph.widths(),
        "history": (Trained(models["macs"].of(graph.widths()), 5),),
        "epochs": 4,
    }
    return GrowthContext(
        graph=graph,
        cost=models[metric],
        macs=models["macs"],
        curvature=Curvature(graph, Sample(inputs, targets, F.cross_entropy), form),
        eigensolver=eigensolver(engine),
        generator=torch.Generator().manual_seed(seed),
        **{**fields, **options},
    )
