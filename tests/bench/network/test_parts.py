"""What the table does not know is counted by its parts, or named; what costs a constant leaves the widths alone."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.errors import BenchError
from bench.growth.grower import Grower
from bench.network.cost import cost_models
from bench.network.graph import Graph
from bench.network.groups import length
from bench.network.operations import products
from tests.nets import Net
from tests.wide import ALL

T, D = 4, 6
"""Positions and features of what the operation reads."""

Middle = Callable[["Around", Tensor], Tensor]


class Around(nn.Module):
    """An operation on ``(batch, T, D)`` between layers, of which the last but one can grow."""

    def __init__(self, middle: Middle, inside: nn.Module | None = None) -> None:
        super().__init__()
        self.middle, self.inside = middle, inside
        self.p = nn.Parameter(torch.randn(D, D) / 3)
        self.first, self.wide, self.last = nn.Linear(D, D), nn.Linear(D, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.middle(self, torch.tanh(self.first(x))).flatten(1)[:, :D]
        outputs: Tensor = self.last(torch.tanh(self.wide(hidden)))
        return outputs

    def graph(self) -> Graph:
        return Graph(self, (T, D))


LAYERS = T * D * D + D * 5 + 5 * 2
"""Multiply-adds of one input beside the operation."""


def recurrent(kind: type[nn.RNNBase], **options: int) -> tuple[Middle, nn.Module]:
    return lambda net, h: net.inside(h)[0], kind(D, 3, batch_first=True, **options)  # type: ignore[misc]


def given(net: Around) -> nn.Module:
    assert net.inside is not None
    return net.inside


COUNTED: dict[str, tuple[Middle, nn.Module | None, int]] = {
    "lstm": (*recurrent(nn.LSTM), T * 4 * 3 * (D + 3)),
    "gru": (*recurrent(nn.GRU, num_layers=2), T * 3 * 3 * (D + 3 + 3 + 3)),
    "rnn": (*recurrent(nn.RNN, bidirectional=True), T * 2 * 3 * (D + 3)),
    "cell": (lambda net, h: given(net)(h[:, 0])[0], nn.LSTMCell(D, D), 4 * D * 2 * D),
    "bilinear": (lambda net, h: given(net)(h, h), nn.Bilinear(D, D, 7), T * 7 * (D * D + D)),
    "baddbmm": (lambda net, h: torch.baddbmm(h @ h.mT, h, h.mT), None, 2 * T * T * D),
    "tensordot": (lambda net, h: torch.tensordot(h, net.p, 1), None, T * D * D),
    "einsum, ellipsis": (lambda net, h: torch.einsum("...i,ij->...j", h, net.p), None, T * D * D),
    "inner": (lambda net, h: torch.inner(h, net.p), None, T * D * D),
    "matrix by vector": (lambda net, h: h * (h @ net.p[0])[..., None], None, T * D),
    "of no input, once": (lambda net, h: h + torch.addmv(net.p[0], net.p, net.p[1]), None, D * D),
    "dot": (lambda net, h: h * torch.dot(net.p[0], net.p[1]), None, D),
    "vecdot": (lambda net, h: h * torch.linalg.vecdot(h, net.p[0])[..., None], None, T * D),
    "cosine": (lambda net, h: h * F.cosine_similarity(h, net.p[0], dim=-1)[..., None], None, T * D),
    "distances": (lambda net, h: torch.cdist(h, net.p), None, T * D * D),
    "convolution of a size that stays": (
        lambda net, h: given(net)(h.mT),
        nn.Conv1d(D, D, 3, padding="same"),
        T * 3 * D * D,
    ),
    "picked": (lambda net, h: h.sort(1)[0].gather(1, h.argsort(1)), None, 0),
    "turned about": (lambda net, h: F.pixel_shuffle(F.unfold(h[:, None], 2)[..., None], 2), None, 0),
    "gates": (lambda net, h: torch.xlogy(h, torch.sigmoid(h)), None, 0),
}

UNCOUNTED: dict[str, Middle] = {
    "fft_fft": lambda net, h: torch.fft.fft(h).real,
    "linalg_inv": lambda net, h: h @ torch.linalg.inv(net.p),
    "matrix_exp": lambda net, h: h @ torch.matrix_exp(net.p) @ torch.matrix_exp(net.p),
}


@pytest.mark.parametrize("name", COUNTED)
def test_by_hand(name: str) -> None:
    middle, inside, expected = COUNTED[name]
    graph = Around(middle, inside).graph()
    assert graph.uncounted == []
    macs = cost_models(graph, "macs")["macs"]
    assert macs.of(graph.widths()) == LAYERS + expected
    assert "wide" in graph.groups
    assert macs.marginal(macs.vector(graph.widths()))[list(graph.groups).index("wide")] == D + 2


@pytest.mark.parametrize("net", ALL, ids=str)
def test_parts_of_what_the_table_knows_come_to_what_the_table_says(net: Net) -> None:
    graph = net.graph()
    for node, found in graph.macs.items():
        by_table = sum(prod(length(axis, graph.widths()) for axis in axes) for axes in found)
        assert products(node) == (by_table, True), node


@pytest.mark.parametrize("name", UNCOUNTED)
def test_what_is_not_counted_is_named_once_and_no_ladder(name: str) -> None:
    net = Around(UNCOUNTED[name])
    graph = net.graph()
    (named,) = graph.uncounted
    assert named.startswith(f"{name} (")
    assert "test_parts.py:" in named
    assert cost_models(graph)["macs"].of(graph.widths()) >= LAYERS
    inputs = torch.randn(3, T, D)
    for cost in ("macs", "energy"):
        for refused in (lambda: cost_models(graph, cost), lambda: Grower(net, inputs, cost=cost)):  # noqa: B023
            with pytest.raises(
                BenchError, match=rf"^growth\.cost={cost}: expected a cost without .*{name} \("
            ) as caught:
                refused()
            assert "\n" not in str(caught.value)
    assert f"multiply-adds leave out those of {name} (" in " ".join(str(Grower(net, inputs)).split())


def test_an_operation_of_ones_own_counts_where_pytorch_is_told_how() -> None:
    from torch.utils.flop_counter import flop_registry, register_flop_formula

    @torch.library.custom_op("bench_tests::doubled", mutates_args=())
    def doubled(x: Tensor) -> Tensor:
        return x * 2

    doubled.register_fake(torch.empty_like)
    middle: Middle = lambda net, h: h + torch.ops.bench_tests.doubled(h.detach())  # noqa: E731
    assert [one.split()[0] for one in Around(middle).graph().uncounted] == ["doubled"]
    try:
        register_flop_formula(torch.ops.bench_tests.doubled)(lambda x, *_, **__: 2 * x[0] * x[1] * 5)
        graph = Around(middle).graph()
        assert cost_models(graph, "macs")["macs"].of(graph.widths()) == LAYERS + T * 5
    finally:
        del flop_registry[torch.ops.bench_tests.doubled]


def test_what_is_run_without_gradients_is_named_too() -> None:
    @torch.no_grad()
    def still(net: Around, h: Tensor) -> Tensor:
        return h @ net.p

    assert Around(still).graph().uncounted == ["wrap_with_set_grad_enabled"]
