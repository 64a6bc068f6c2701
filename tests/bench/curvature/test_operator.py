"""S against the Hessian of the split net, and against the textbook formula by hooks and unfolding."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.network.graph import Graph
from bench.network.plan import GrowthPlan, Split
from bench.network.surgery import apply
from tests.bench.curvature.spectra import close, matrices
from tests.nets import NETS, SMOOTH, Net, named
from tests.reference import blocks, doubled_hessian, sizes, splitting_hessian
from tests.wide import ALL, WIDE


@pytest.mark.parametrize("net", SMOOTH, ids=str)
def test_s_is_the_hessian_of_the_split_net(net: Net) -> None:
    graph = net.graph()
    inputs, targets = net.sample()
    hessian = splitting_hessian(graph.model, graph.groups, inputs, targets)
    expected, outside = blocks(hessian, [sizes(graph.model, group) for group in graph.groups.values()])
    assert outside < 1e-12 * float(hessian.abs().max())  # neither neurons nor layers interact
    found = matrices(Curvature(graph, Sample(inputs, targets, F.cross_entropy)))
    for name, block in zip(graph.groups, expected, strict=True):
        assert block.abs().max() > 1e-4
        assert close(found[name], block), name
        assert close(found[name], found[name].transpose(1, 2))


@settings(max_examples=8)
@given(
    widths=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    padding=st.integers(0, 1),
    bias=st.booleans(),
    seed=st.integers(0, 100),
)
def test_s_is_the_hessian_for_any_convolution(
    widths: list[int], kernel: int, stride: int, padding: int, bias: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for one, two in zip([2, *widths[:-1]], widths, strict=True):
        layers += [nn.Conv2d(one, two, kernel, stride, padding, bias=bias), nn.Tanh()]
        kernel, stride = 1, 1
    model = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3)).double()
    inputs, targets = torch.randn(4, 2, 4, 5, dtype=torch.float64), torch.tensor([0, 1, 2, 1])
    model(inputs)
    graph = Graph(model, (2, 4, 5))
    hessian = splitting_hessian(model, graph.groups, inputs, targets)
    expected, _ = blocks(hessian, [sizes(model, group) for group in graph.groups.values()])
    found = matrices(Curvature(graph, Sample(inputs, targets, F.cross_entropy)))
    assert all(close(found[name], block) for name, block in zip(graph.groups, expected, strict=True))


@pytest.mark.parametrize("net", WIDE, ids=str)
def test_s_of_every_construct_is_the_hessian_of_the_doubled_net(net: Net) -> None:
    """Segments, moved channels, gates, grouped units, heads: each neuron's block, and nothing between neurons."""
    graph = net.graph()
    inputs, targets = net.sample()
    found = matrices(Curvature(graph, Sample(inputs, targets, F.cross_entropy)))
    for name, group in graph.groups.items():
        hessian = doubled_hessian(graph.model, group, inputs, targets)
        own = torch.stack([hessian[i, :, i] for i in range(len(hessian))])
        assert close(found[name], own, 1e-8)
        for i in range(len(hessian)):
            hessian[i, :, i] = 0
        assert hessian.abs().max() < 1e-12 + 1e-8 * own.abs().max()


class Detached(nn.Module):
    """What is detached from the gradient is not from growth: in a chain, and behind the layers that read it."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(4, 4), nn.Linear(4, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.one(x)
        y: Tensor = self.head(torch.tanh(self.two(torch.tanh(h * torch.sigmoid(h.detach())))))
        return y / (y.detach().square().mean(1, keepdim=True) + 1)


def test_what_is_detached_counts_as_growth_moves_it() -> None:
    torch.manual_seed(0)
    graph = Graph(Detached().double(), (4,))
    inputs, targets = torch.randn(16, 4).double(), torch.arange(16) % 3
    found = matrices(Curvature(graph, Sample(inputs, targets, F.cross_entropy)))
    for name, group in graph.groups.items():
        way = F.normalize(torch.randn(found[name].shape[1]).double(), dim=0)
        split = Split(group, 1, (0.5, 0.5), torch.stack([way, -way]))

        def loss(step: float, split: Split = split) -> float:
            twin = copy.deepcopy(graph.model)
            apply(twin, None, GrowthPlan((split,)), step)
            return float(F.cross_entropy(twin(inputs), targets).detach())

        near, far = ((loss(h) + loss(-h) - 2 * loss(0.0)) / h**2 for h in (2e-3, 4e-3))
        assert (4 * near - far) / 3 == pytest.approx(float(way @ found[name][1] @ way), rel=1e-5)


@pytest.mark.parametrize("net", ALL, ids=str)
def test_products_are_those_of_the_dense_form(net: Net) -> None:
    graph = net.graph()
    curvature = Curvature(graph, Sample(*net.sample(), F.cross_entropy))
    generator = torch.Generator().manual_seed(0)
    for group in graph.groups.values():
        operator = curvature.operator(group)
        dense = operator.dense()
        assert operator.products == operator.size
        v = torch.randn(operator.neurons, operator.size, generator=generator, dtype=torch.float64)
        product = torch.einsum("nij,nj->ni", dense, v)
        kept = v.clone()
        assert close(operator(v), product)
        some = torch.tensor([operator.neurons - 1, 0])
        assert close(operator(v[some], some), product[some])
        assert torch.equal(v, kept)
        assert operator.products == operator.size + 2


# -- the textbook form ----------------------------------------------------------------------------------------------


def textbook(
    model: nn.Sequential, layer: int, norm: int | None, act: int, bent: Any, sample: tuple[Tensor, Tensor]
) -> Tensor:
    """``sum_p (dL/dh)_p sigma''(z_p) c^2 patch_p patch_p^T`` with the activation's output h."""
    kept: dict[str, Tensor] = {}

    def keep(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        kept["h"] = output.clone()
        kept["h"].retain_grad()
        return kept["h"]

    source: Any = model[layer]
    handles = [
        source.register_forward_pre_hook(lambda _, args: kept.update(x=args[0].detach().clone())),
        model[act].register_forward_pre_hook(lambda _, args: kept.update(z=args[0].detach().clone())),
        model[act].register_forward_hook(keep),
    ]
    F.cross_entropy(model(sample[0]), sample[1]).backward()
    for handle in handles:
        handle.remove()
    weights = kept["h"].grad * bent(kept["z"])
    if norm is not None:
        scale: Any = model[norm]
        c = scale.weight.detach() / (scale.running_var + scale.eps).sqrt()
        weights = weights * (c**2)[:, None, None]
    x = kept["x"]
    if isinstance(source, nn.Conv2d):
        x = F.unfold(x, source.kernel_size, padding=source.padding, stride=source.stride).transpose(1, 2)
        weights = weights.flatten(2).transpose(1, 2)
    if source.bias is not None and norm is None:
        x = torch.cat([x, torch.ones_like(x[..., :1])], -1)
    x, weights = x.flatten(0, -2), weights.flatten(0, -2)
    return torch.stack([(x * w[:, None]).T @ x for w in weights.T])


def softplus3(z: Tensor) -> Tensor:
    s = torch.sigmoid(3 * z)
    return 3 * s * (1 - s)


ALPHA = 1.6732632423543772  # of SELU
SEVEN = float(torch.tensor(0.7))


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, z: Tensor) -> Tensor:
        return self.function(z)


def written_out_hardswish(z: Tensor) -> Tensor:
    """Of ``z relu6(z + 3) / 6``: the bends of the factor times the other, and twice the slopes' product."""
    inside = (z.abs() < 3).to(z)
    return z * (softplus3(z + 3) - softplus3(z - 3)) / 6 + inside / 3


def silu2(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 - s) * (2 + z * (1 - 2 * s))


TEXTBOOK = [
    ("mlp_relu", "0", (0, None, 1), softplus3),
    ("mlp_relu", "2", (2, None, 3), softplus3),
    ("norm_relu", "0", (0, 1, 2), softplus3),
    ("norm_relu", "3", (3, 4, 5), softplus3),
    ("mlp", "0", (0, None, 1), silu2),
    ("norm", "3", (3, 4, 5), silu2),
    ("depthwise", "0", (0, 1, 2), silu2),
    ("depthwise_relu", "0", (0, 1, 2), softplus3),
    ("depthwise_relu", "6", (6, 7, 8), softplus3),
]


@pytest.mark.parametrize(("name", "group", "where", "bent"), TEXTBOOK)
def test_the_published_form_is_the_textbooks(
    name: str, group: str, where: tuple[int, int | None, int], bent: Any
) -> None:
    net = named(name)
    graph = net.graph()
    sample = net.sample()
    expected = textbook(graph.model, *where, bent, sample)
    published = matrices(Curvature(graph, Sample(*sample, F.cross_entropy), form="published"))[group]
    assert close(published, expected)
    definition = matrices(Curvature(graph, Sample(*sample, F.cross_entropy)))[group]
    assert close(definition, expected) == (net.pointwise or group == "6")


@pytest.mark.parametrize("net", NETS, ids=str)
def test_the_forms_agree_where_one_activation_stands_alone(net: Net) -> None:
    graph = net.graph()
    sample = net.sample()
    one = matrices(Curvature(graph, Sample(*sample, F.cross_entropy)))
    two = matrices(Curvature(graph, Sample(*sample, F.cross_entropy), form="published"))
    assert all(close(one[name], two[name], 1e-9) for name in one) == net.pointwise


@pytest.mark.parametrize(
    ("kinked", "second"),
    [
        (nn.ReLU(), softplus3),
        (nn.LeakyReLU(0.3), lambda z: 0.7 * softplus3(z)),
        (nn.ReLU6(), lambda z: softplus3(z) - softplus3(z - 6)),
        (nn.PReLU(6, 0.25), lambda z: 0.75 * softplus3(z)),
        (nn.PReLU(1, 0.5), lambda z: 0.5 * softplus3(z)),
        (nn.Hardtanh(-0.5, 0.7), lambda z: softplus3(z + 0.5) - softplus3(z - 0.7)),
        (nn.Hardsigmoid(), lambda z: (softplus3(z + 3) - softplus3(z - 3)) / 6),
        (nn.Hardswish(), lambda z: (z.abs() < 3).double() / 3 - (softplus3(z + 3) + softplus3(z - 3)) / 2),
        (nn.ELU(0.4), lambda z: (z < 0).double() * 0.4 * z.exp() + 0.6 * softplus3(z)),
        (nn.SELU(), lambda z: 1.0507009873554805 * ((z < 0).double() * ALPHA * z.exp() + (1 - ALPHA) * softplus3(z))),
        (nn.RReLU(0.2, 0.4), lambda z: 0.7 * softplus3(z)),
        (nn.Softshrink(0.3), lambda z: softplus3(z - 0.3) - softplus3(z + 0.3)),
        (nn.Threshold(0.2, 0.2), lambda z: softplus3(z - 0.2)),
        (Of(lambda z: z.clamp(-0.5, 0.7)), lambda z: softplus3(z + 0.5) - softplus3(z - 0.7)),
        (Of(lambda z: z.abs()), lambda z: 2 * softplus3(z)),
        (Of(lambda z: torch.maximum(z, torch.tensor(0.7).to(z))), lambda z: softplus3(z - SEVEN)),
        (Of(lambda z: torch.min(torch.tensor(0.7).to(z), z)), lambda z: -softplus3(z - SEVEN)),
        (Of(lambda z: torch.max(z, -z)), lambda z: 4 * softplus3(2 * z)),
        (Of(lambda z: z * F.relu6(z + 3) / 6), written_out_hardswish),
    ],
    ids=lambda case: str(case) if isinstance(case, nn.Module) else "",
)
def test_kinks_get_the_surrogate_and_say_so(kinked: nn.Module, second: Any) -> None:
    """And what bends besides is exact."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), kinked, nn.Linear(6, 3)).double().eval()
    graph = Graph(model, (4,))
    sample = torch.randn(9, 4, dtype=torch.float64), torch.arange(9) % 3
    curvature = Curvature(graph, Sample(*sample, F.cross_entropy))
    assert curvature.surrogate == "softplus3"
    assert curvature.trust(["0"]) == "kinks"
    assert close(matrices(curvature)["0"], textbook(model, 0, None, 1, second, sample), 1e-8)


@pytest.mark.parametrize("smooth", [nn.CELU(0.4), nn.ELU(), nn.Softsign(), nn.Softplus(), nn.LeakyReLU(1.0)], ids=str)
def test_what_is_smooth_is_not_called_kinked(smooth: nn.Module) -> None:
    torch.manual_seed(0)
    graph = Graph(nn.Sequential(nn.Linear(4, 6), smooth, nn.Linear(6, 3)).double(), (4,))
    curvature = Curvature(graph, Sample(torch.randn(9, 4).double(), torch.arange(9) % 3, F.cross_entropy))
    assert curvature.surrogate is None
    assert curvature.trust(["0"]) == "second order"


@pytest.mark.parametrize("net", NETS, ids=str)
def test_the_surrogate_is_named_where_it_is_used(net: Net) -> None:
    curvature = Curvature(net.graph(), Sample(*net.sample(), F.cross_entropy))
    assert curvature.surrogate == (None if net.smooth else "softplus3")


# -- what it must leave alone, and what it must bear ----------------------------------------------------------------


@pytest.mark.parametrize("net", NETS, ids=str)
def test_training_mode_and_gradients_are_left_alone(net: Net) -> None:
    expected = matrices(Curvature(net.graph(), Sample(*net.sample(), F.cross_entropy)))
    graph = net.graph()
    graph.model.train()
    state = {key: value.clone() for key, value in graph.model.state_dict().items()}
    with torch.no_grad():
        found = matrices(Curvature(graph, Sample(*net.sample(), F.cross_entropy)))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert all(module.training for module in graph.model.modules())
    assert all(torch.equal(state[key], value) for key, value in graph.model.state_dict().items())
    assert all(parameter.grad is None for parameter in graph.model.parameters())


def test_frozen_layers_and_branches_that_lead_nowhere() -> None:
    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.unused, self.head = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 2), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            h = F.silu(self.a(x))
            self.unused(torch.tanh(self.b(h)))
            return self.head(h)

    torch.manual_seed(0)
    model = Dead().double()
    sample = torch.randn(6, 3, dtype=torch.float64), torch.arange(6) % 3
    graph = Graph(model, (3,))
    expected = matrices(Curvature(graph, Sample(*sample, F.cross_entropy)))
    assert not expected["b"].any()
    assert expected["a"].any()
    model.a.requires_grad_(False)
    assert close(matrices(Curvature(graph, Sample(*sample, F.cross_entropy)))["a"], expected["a"])


def test_sizes_read_off_the_input_before_the_first_layer() -> None:
    class Sized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.head = nn.Conv2d(2, 3, 3), nn.Linear(12, 3)

        def forward(self, x: Tensor) -> Tensor:
            batch = x.shape[0]
            return self.head(F.silu(self.a(x)).reshape(batch, -1))

    torch.manual_seed(0)
    model = Sized().double()
    sample = torch.randn(5, 2, 4, 4, dtype=torch.float64), torch.arange(5) % 3
    graph = Graph(model, (2, 4, 4))
    hessian = splitting_hessian(model, graph.groups, *sample)
    expected, _ = blocks(hessian, [sizes(model, graph.groups["a"])])
    assert close(matrices(Curvature(graph, Sample(*sample, F.cross_entropy)))["a"], expected[0])
