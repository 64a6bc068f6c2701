"""The second derivative of a chain as a product, against double backward through the chain as a function."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from bench.curvature.chain import Chain, Given
from bench.curvature.hessian import ChainHessian, held, passed_on
from bench.network.graph import Graph
from bench.network.program import BATCH
from bench.network.program import sizes as program_sizes
from tests.nets import NETS, Net
from tests.wide import WIDE


class Pick(nn.Module):
    """Positions are picked and mixed between bends, and a tensor is multiplied by itself pooled."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.depth = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 3, 3, padding=1, groups=3)
        self.second, self.head = nn.Conv2d(3, 4, 1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(F.max_pool2d(F.silu(self.first(x)), 2))
        h = F.silu(self.depth(h)) * torch.sigmoid(h.mean((2, 3), keepdim=True))
        return self.head(torch.tanh(self.second(torch.tanh(F.max_pool2d(h, 3, 2)))).mean((2, 3)))


PICK = Net("pick", Pick, (2, 10, 10), {"first": 3, "second": 4}, bias=frozenset({"first", "second"}))


class Square(nn.Module):
    """A tensor times itself, which bends, and behind it one that is divided by a number, which does not."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.depth, self.head = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 3, 3, groups=3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.depth(torch.tanh(self.first(x)) / 2)
        return self.head((h * h).mean((2, 3)))


class Joined(nn.Module):
    """Numbers of the network's own are added to tensors that they spread, and put beside others, before they mix."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 3), nn.Linear(3, 4), nn.Linear(4, 3)
        self.place, self.token = nn.Parameter(torch.randn(1, 5, 3)), nn.Parameter(torch.randn(1, 1, 4))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.first(x).mean(1, keepdim=True) + self.place)
        h = self.second(F.silu(h))
        h = torch.cat([h, self.token.expand(len(h), -1, -1)], 1).mean(1)
        return self.head(torch.tanh(h))


SQUARE = Net("square", Square, (2, 6, 6), {"first": 3})
JOINED = Net("joined", Joined, (6, 4), {"first": 3, "second": 4})


def tensors(found: object) -> Iterator[Tensor]:
    """All that a part of a Hessian refers to."""
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, dict | list | tuple):
        for one in found.values() if isinstance(found, dict) else found:
            yield from tensors(one)


def shaped(node: fx.Node, batch: int) -> torch.Size:
    """The shape of a node's tensor on a batch."""
    return torch.Size([n // BATCH * batch if n % BATCH == 0 else n for n in program_sizes(node)])


def double_backward(
    chain: Chain, zs: list[Tensor], gradients: list[Tensor], tangents: list[Tensor], given: Given
) -> list[Tensor]:
    leaves = [z.clone().requires_grad_() for z in zs]
    phi = sum((g * u).sum() for g, u in zip(gradients, chain(leaves, given), strict=True))
    assert isinstance(phi, Tensor)
    first = torch.autograd.grad(phi, leaves, create_graph=True, allow_unused=True, materialize_grads=True)
    inner = sum((d * t).sum() for d, t in zip(first, tangents, strict=True) if d.requires_grad)
    if not isinstance(inner, Tensor):
        return [torch.zeros_like(z) for z in zs]
    return list(torch.autograd.grad(inner, leaves, allow_unused=True, materialize_grads=True))


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("net", [*NETS, PICK, SQUARE, JOINED, *WIDE], ids=str)
def test_products_are_those_of_double_backward(net: Net, published: bool) -> None:
    graph = net.graph()
    graph.model.eval()
    random = torch.Generator().manual_seed(0)

    def draw(shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64)

    for group in graph.groups.values():
        chain = Chain(graph, group, published)
        zs = [draw(shaped(n, 5)) for n in chain.sources]
        given = {n: draw(shaped(n, 5)) for n in chain.given}
        with torch.no_grad():
            gradients = [draw(u.shape) for u in chain(zs, given)]
        hessian = ChainHessian(chain, zs, gradients, given)
        for _ in range(2):  # a second product finds the factors as the first did
            tangents = [draw(z.shape) for z in zs]
            expected = double_backward(chain, zs, gradients, tangents, given)
            for one, two in zip(hessian.product(tangents), expected, strict=True):
                assert torch.allclose(one, two, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("net", [*NETS, PICK], ids=str)
def test_what_is_held_is_what_was_foretold(net: Net) -> None:
    """The planner of memory counts the numbers of every tensor that a batch keeps."""
    graph = net.graph()
    graph.model.eval()
    for group in graph.groups.values():
        chain = Chain(graph, group)
        zs = [torch.randn(shaped(n, 2), dtype=torch.float64) for n in chain.sources]
        with torch.no_grad():
            gradients = [torch.randn_like(u) for u in chain(zs)]
        kept = sum(t.numel() for _, _, part in ChainHessian(chain, zs, gradients).parts for t in tensors(vars(part)))
        foretold = sum(shaped(n, 2).numel() for n in held(chain))
        assert kept <= foretold


def test_runs_of_pointwise_steps_are_one() -> None:
    graph = _graph(nn.BatchNorm2d(3), nn.SiLU(), nn.Conv2d(3, 3, 3, groups=3), nn.BatchNorm2d(3), nn.Tanh())
    chain = Chain(graph, graph.groups["0"])
    assert [step.form for step in chain.steps] == ["pointwise", "linear", "pointwise"]
    assert [onward for _, onward in passed_on(chain)] == [True, True, False]


@pytest.mark.parametrize("behind", [nn.AvgPool2d(2), nn.MaxPool2d(2), nn.BatchNorm2d(3)])
def test_nothing_is_kept_of_what_lies_behind_the_last_bend(behind: nn.Module) -> None:
    graph = _graph(nn.SiLU(), behind)
    (step, onward), *rest = passed_on(Chain(graph, graph.groups["0"]))
    assert not onward
    assert not rest
    assert step.bends


def _graph(*between: nn.Module) -> Graph:
    model = nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), *between, nn.Conv2d(3, 4, 1), nn.Flatten(), nn.LazyLinear(2))
    model(torch.zeros(2, 2, 9, 9))
    return Graph(model.double().eval(), (2, 9, 9))
