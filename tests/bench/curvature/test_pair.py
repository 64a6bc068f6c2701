"""What births need of a sample, against double backward through a net with null neurons, and explicit matrices."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.curvature.pair import Pair, bears
from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.network.graph import Graph
from bench.network.groups import Group, Slot, outgoing, theta
from bench.network.plan import Birth, GrowthPlan
from bench.network.surgery import apply
from tests.nets import CLASSES, NETS, Net, named
from tests.reference import loss_after
from tests.wide import ALL

ASIDE = 1e-9
MAX_POOL = F.max_pool2d


def pair_of(net: Net, name: str, count: int = 8, memory: float = 2**30) -> Pair:
    graph = net.graph()
    curvature = Curvature(graph, Sample(*net.sample(count), F.cross_entropy), memory=memory)
    return Pair(curvature, graph.groups[name])


def bearing(net: Net) -> list[str]:
    """The groups of a net that bear neurons."""
    graph = net.graph()
    return [name for name, group in graph.groups.items() if bears(graph, group)]


def over(nets: list[Net]) -> Callable[[Callable[[Net, str], None]], Callable[[Net], None]]:
    """A test of each net, which checks every group of it that bears neurons."""

    def decorated(check: Callable[[Net, str], None]) -> Callable[[Net], None]:
        def test(net: Net) -> None:
            for name in bearing(net):
                check(net, name)

        test.__name__, test.__doc__, test.__module__ = check.__name__, check.__doc__, check.__module__
        return pytest.mark.parametrize("net", nets, ids=str)(test)

    return decorated


def close(one: Tensor, two: Tensor, tolerance: float) -> bool:
    return float((one - two).abs().max()) <= tolerance * float(two.abs().max())


# -- slow: a net with null neurons, at a distance from rest -----------------------------------------------------------


class Grown:
    """A net with three null neurons in a group, as a function of the first one's parameters and outgoing weights."""

    def __init__(self, net: Net, name: str) -> None:
        graph = net.graph()
        self.group, self.model = graph.groups[name], copy.deepcopy(graph.model)
        self.neurons, self.d = theta(graph.model, self.group).shape
        self.out = outgoing(graph.model, self.group).shape[1]
        zeros = torch.zeros(self.d).double(), torch.zeros(self.out).double()
        apply(self.model, None, GrowthPlan(births=(Birth(self.group, *zeros),) * 3), 0.0)
        self.old = {k: v.shape for k, v in graph.model.state_dict().items()}

    def values(self, incoming: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """The net's parameters with those of the first null neuron, differentiable in these."""
        found = {name: parameter.detach() for name, parameter in self.model.named_parameters()}
        slots = [slot for producer in self.group.producers for slot in producer.slots]
        for group, flat in ((slots, incoming), (self.group.consumers, weights)):
            for slot in group:
                own = self.mask(slot)
                put, flat = flat.split([int(own.sum()), len(flat) - int(own.sum())])
                order = torch.zeros_like(own, dtype=torch.long)
                rows, columns = order.movedim(slot.dim, 0), own.movedim(slot.dim, 0)
                rows[columns] = torch.arange(len(put))  # the slot's dimension first
                found[slot.tensor] = found[slot.tensor] + put[order] * own
        return found

    def mask(self, slot: Slot) -> Tensor:
        """Entries of the first null neuron that read, or are read by, what was there before."""
        tensor = dict(self.model.named_parameters())[slot.tensor]
        own = torch.zeros(tensor.shape, dtype=torch.bool)
        own.movedim(slot.dim, 0)[slot.owned(self.group.name, slot.widths(self.model))[self.neurons]] = True
        for other in [*self.group.rows, *self.group.consumers]:
            if other.tensor == slot.tensor and other.dim != slot.dim:
                null = other.owned(self.group.name, other.widths(self.model))[self.neurons :].flatten()
                own.movedim(other.dim, 0)[null] = False
        return own

    @contextmanager
    def aside(self, distance: float) -> Iterator[None]:
        """The null neurons' outputs of each producer moved, and maxima of their channels means."""
        handles = []
        for producer in self.group.producers:
            layer, slot = self.model.get_submodule(producer.layer), producer.weight
            null = slot.owned(self.group.name, slot.widths(self.model))[self.neurons :].flatten()
            dim = 1 if isinstance(layer, nn.Conv2d) else -1

            def move(_: nn.Module, __: object, made: Tensor, null: Tensor = null, dim: int = dim) -> Tensor:
                shift = torch.zeros(made.shape[dim], dtype=made.dtype)
                shift[null] = distance
                return made + shift.reshape([-1] + [1] * (made.dim() - 2) if dim == 1 else [-1])

            handles.append(layer.register_forward_hook(move))

        def pool(x: Tensor, size: Any, stride: Any = None, padding: Any = 0, *args: Any, **options: Any) -> Tensor:
            found = MAX_POOL(x, size, stride, padding, *args, **options)
            if x.shape[1] != self.neurons + 3:
                return found
            mean = F.avg_pool2d(x[:, self.neurons :], size, stride, padding, count_include_pad=False)
            return torch.cat([found[:, : self.neurons], mean], dim=1)

        F.max_pool2d = pool  # type: ignore[assignment]
        try:
            with sdpa_kernel(SDPBackend.MATH):
                yield
        finally:
            F.max_pool2d = MAX_POOL
            for handle in handles:
                handle.remove()

    def mixed(self, inputs: Tensor, targets: Tensor, distance: float) -> Tensor:
        """``d^2 L / (d outgoing d incoming)`` at rest, ``(D, d)``."""

        def by_outgoing(incoming: Tensor) -> Tensor:
            weights = torch.zeros(self.out).double().requires_grad_()
            made = functional_call(self.model, self.values(incoming, weights), (inputs,))
            found: Tensor = torch.autograd.grad(F.cross_entropy(made, targets), weights, create_graph=True)[0]
            return found

        with self.aside(distance):
            return torch.autograd.functional.jacobian(by_outgoing, torch.zeros(self.d).double(), vectorize=False)

    def read(self, inputs: Tensor, layer: str, incoming: Tensor) -> Tensor:
        """What a consumer reads, differentiable in the first null neuron's parameters."""
        found: list[Tensor] = []
        handle = self.model.get_submodule(layer).register_forward_pre_hook(lambda _, args: found.append(args[0] + 0))
        functional_call(self.model, self.values(incoming, torch.zeros(self.out).double()), (inputs,))
        handle.remove()
        return found[0]


def sides(net: Net) -> tuple[float, ...]:
    """Where to look: at rest, or on both sides of a kink."""
    return (0.0,) if net.smooth else (ASIDE, -ASIDE)


@over([net for net in ALL if net.name not in ("heads, written", "heads, causal")])
def test_m_is_the_mixed_second_derivative_of_a_net_with_null_neurons(net: Net, name: str) -> None:
    sample, grown = net.sample(), Grown(net, name)
    expected = torch.stack([grown.mixed(*sample, distance) for distance in sides(net)]).mean(0)
    pair = pair_of(net, name)
    gated = (net.name, name) in {("swiglu, fused", "up"), ("gate and value", "gate")}  # a product of two null rows
    assert bool(expected.abs().max() > 1e-4) != gated
    assert close(pair.M, expected, 1e-10 if net.smooth else 1e-6) or (gated and pair.M.abs().max() < 1e-15)
    assert pair.M.shape == (pair.outgoing_size, pair.size)


# -- explicit matrices ------------------------------------------------------------------------------------------------


def patches(layer: Any, x: Tensor) -> Tensor:
    """What a layer reads at each position, ``(N, positions, columns)``, by the layer itself with unit weights."""
    size = layer.weight[0].numel()
    unit = torch.eye(size, dtype=x.dtype).reshape(-1, *layer.weight.shape[1:])
    values = {"weight": unit} | ({} if layer.bias is None else {"bias": torch.zeros(size, dtype=x.dtype)})
    made = functional_call(layer, values, (x,))
    return (made.movedim(1, -1) if isinstance(layer, nn.Conv2d) else made).reshape(len(x), -1, size)


def heard(model: nn.Module, layer: str, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """What a layer reads, and the gradient of each example's loss at what it makes: ``(N, positions, rows)``."""
    read, made = [], []

    def hear(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        read.append(args[0].detach().clone())
        made.append(output)
        return output + 0  # what acts in place acts on the copy

    handle = model.get_submodule(layer).register_forward_hook(hear)
    loss = F.cross_entropy(model(inputs), targets, reduction="sum")
    handle.remove()
    (gradient,) = torch.autograd.grad(loss, made)
    channels = gradient.movedim(1, -1) if isinstance(model.get_submodule(layer), nn.Conv2d) else gradient
    return read[0], channels.reshape(len(inputs), -1, channels.shape[-1])


def with_ones(rows: Tensor, bias: object) -> Tensor:
    return rows if bias is None else torch.cat([rows, rows.new_ones(*rows.shape[:-1], 1)], dim=-1)


@over([net for net in ALL if net.name not in ("heads, written", "heads, causal", "heads, parted")])
def test_s_is_the_sum_of_outer_products_of_what_each_row_reads(net: Net, name: str) -> None:
    graph, (inputs, targets) = net.graph(), net.sample()
    group = graph.groups[name]
    parts = []
    for producer in group.producers:
        layer: Any = graph.model.get_submodule(producer.layer)
        rows = producer.weight.owned(name, producer.weight.widths(graph.model)).shape[1]
        b = with_ones(
            patches(layer, heard(graph.model, producer.layer, inputs, targets)[0]).flatten(0, 1), producer.bias
        )
        square, size = b.T @ b / len(inputs), layer.weight[0].numel()
        # of each parameter of the neuron its row and what it multiplies: all weights first, then the biases
        order = [(row, column) for row in range(rows) for column in range(size)]
        order += [(row, size) for row in range(rows)] if producer.bias is not None else []
        part = square.new_zeros(len(order), len(order))
        for i, (one, column) in enumerate(order):
            for j, (two, other) in enumerate(order):
                part[i, j] = square[column, other] if one == two else 0
        parts.append(part)
    assert close(pair_of(net, name).S, torch.block_diag(*parts), 1e-12)


def left_over(layer: Any, read: Tensor, gradients: Tensor) -> Tensor:
    """``v_perp`` by least squares on the explicit matrix of all examples and positions."""
    h, v = with_ones(patches(layer, read), layer.bias).flatten(0, 1), -gradients.flatten(0, 1)
    fitted = torch.linalg.lstsq(h, v, rcond=1e-10, driver="gelsd").solution
    return (v - h @ fitted).reshape(gradients.shape)


FITTED = [
    *("mlp", "mlp_relu", "norm", "depthwise", "pooling", "flatten", "two_consumers", "nested_consumers"),
    *("residual_inside", "residual_stream", "gated", "tokens", "functional", "flat_norm", "flat_bend", "padded"),
]


@over([named(name) for name in FITTED])
def test_n_is_what_least_squares_leave_over_times_what_unit_weights_put_out(net: Net, name: str) -> None:
    """With few examples existing weights reach everything, and nothing is left but rounding."""
    for count in (8, 40):
        check_n(net, name, count)


def check_n(net: Net, name: str, count: int) -> None:
    graph, (inputs, targets) = net.graph(), net.sample(count)
    grown, found = Grown(net, name), []
    for slot in grown.group.consumers:
        layer: Any = graph.model.get_submodule(slot.layer)
        left = left_over(layer, *heard(graph.model, slot.layer, inputs, targets))
        wide: Any = grown.model.get_submodule(slot.layer)
        own, rest, units = grown.mask(slot)[0], torch.zeros(grown.d).double(), torch.eye(grown.d).double()
        if not own.any():
            own = grown.mask(slot).any(0)
        moved = []
        for distance in sides(net):
            with grown.aside(distance):
                read = torch.autograd.functional.jvp
                moved.append([read(lambda t, s=slot: grown.read(inputs, s.layer, t), rest, unit)[1] for unit in units])
        columns = []
        for i in range(grown.d):
            u = patches(wide, torch.stack([side[i] for side in moved]).mean(0))[..., own.flatten()]
            part = torch.einsum("npo,npe->oe", left, u) / len(inputs)  # rows, then entries and kernel
            block = slot.block(name)
            columns.append(part.reshape(len(part), block, -1).movedim(0, 1).flatten())
        found.append(torch.stack(columns, dim=1))
    pair, expected = pair_of(net, name, count), torch.cat(found)
    scale = float(torch.linalg.matrix_norm(pair.M, 2))
    assert float((pair.N - expected).abs().max()) < 1e-7 * scale
    if float(expected.abs().max()) > 1e-9 * scale:
        assert float(torch.linalg.matrix_norm(pair.N, 2)) > pair.rounding


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_with_few_examples_what_is_left_over_is_rounding(dtype: torch.dtype) -> None:
    net, left = named("mlp"), []
    for count in (3, 40):
        sample = Sample(*net.sample(count, dtype=dtype), F.cross_entropy)
        graph = net.graph(dtype=dtype)
        pair = Pair(Curvature(graph, sample), graph.groups["0"])
        left.append(float(torch.linalg.matrix_norm(pair.N, 2)) / pair.rounding)
    assert left[0] < 1
    assert left[1] > 100


# -- gains -------------------------------------------------------------------------------------------------------------


@over(NETS)
def test_a_gain_is_what_a_birth_does_to_the_loss(net: Net, name: str) -> None:
    """Of kinks and maxima each direction its own: more of them than are pushed through the chain at once."""
    graph, (inputs, targets) = net.graph(), net.sample()
    pair, generator = pair_of(net, name), torch.Generator().manual_seed(0)
    if not pair.is_quiet:
        assert (net.name, name) in {("functional", "two"), ("functional_relu", "two")}
        return
    count = pair.size + 2
    ways = [torch.randn(count, size, generator=generator).double() for size in (pair.size, pair.outgoing_size)]
    one, two = (F.normalize(way, dim=1) for way in ways)
    gains = pair.gain(one, two)
    assert gains.shape == (count,)
    assert torch.allclose(gains, 2 * ((two @ pair.M) * one).sum(1)) == pair.is_linear
    scale = float(gains.abs().mean())
    with torch.no_grad():
        start = float(F.cross_entropy(graph.model(inputs), targets))
        for k in (0, 1, count - 1):
            errors = []
            for step in (3e-3, 3e-4):
                plan = GrowthPlan(births=(Birth(pair.group, one[k], two[k]),))
                change = loss_after(graph.model, plan, step, inputs, targets) - start
                errors.append(abs(change / (step**2 / 2) - float(gains[k])) / scale)
            assert errors[0] < 0.1
            assert errors[1] < max(errors[0] / 5, 1e-6)


def test_no_births_gain_nothing() -> None:
    for name in ("mlp", "mlp_relu"):
        pair = pair_of(named(name), "0")
        assert pair.gain(torch.zeros(0, pair.size).double(), torch.zeros(0, pair.outgoing_size).double()).shape == (0,)


LINEAR = {"mlp": True, "norm": True, "mlp_relu": False, "prelu": False, "pooling": False, "pooled_sum": False}


@pytest.mark.parametrize("name", LINEAR)
def test_kinks_and_maxima_are_not_called_linear(name: str) -> None:
    assert pair_of(named(name), "one" if name == "pooled_sum" else "0").is_linear == LINEAR[name]


class Between(nn.Module):
    """Something between two layers."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function, self.one, self.two = function, nn.Linear(4, 5), nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.function(self.one(x)))


QUIET: dict[str, tuple[Callable[[Tensor], Tensor], bool]] = {
    "silu": (F.silu, True),
    "gelu": (F.gelu, True),
    "tanh": (torch.tanh, True),
    "relu": (F.relu, True),
    "leaky": (lambda x: F.leaky_relu(x, 0.2), True),
    "squared": (lambda x: x * x, True),
    "sigmoid": (torch.sigmoid, False),
    "softplus": (F.softplus, False),
    "shifted": (lambda x: torch.tanh(x + 0.3), False),
    "barely shifted": (lambda x: torch.tanh(x) + 1e-4, False),
    "sigmoid then silu": (lambda x: F.silu(torch.sigmoid(x)), False),
    "sigmoid taken back": (lambda x: torch.sigmoid(x) - 0.5, True),
    "by its length": (lambda x: F.normalize(F.silu(x), dim=0), False),
    "by its length, from above": (lambda x: F.silu(x) / (x.norm(dim=0, keepdim=True) + 1), True),
}


@pytest.mark.parametrize("kind", QUIET)
def test_a_null_neuron_is_quiet_where_its_activation_is_zero_at_zero(kind: str) -> None:
    function, expected = QUIET[kind]
    torch.manual_seed(0)
    graph = Graph(Between(function).double().eval(), (4,))
    inputs, targets = torch.randn(8, 4).double(), torch.arange(8) % CLASSES
    assert Pair(Curvature(graph, Sample(inputs, targets, F.cross_entropy)), graph.groups["one"]).is_quiet == expected


class Apart(nn.Module):
    """A grouped convolution reads what a layer makes."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 6, 3, groups=2), nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.silu(self.two(F.silu(self.one(x)))).mean((2, 3)))


def test_grouped_convolutions_neither_bear_nor_read() -> None:
    graph = Graph(Apart().double().eval(), (2, 4, 4))
    assert graph.groups
    assert not any(bears(graph, group) for group in graph.groups.values())


# -- the metric of the Fisher matrix ----------------------------------------------------------------------------------


def power(matrix: Tensor, exponent: float) -> Tensor:
    """Of a symmetric matrix, without the directions that are none."""
    values, vectors = torch.linalg.eigh(matrix)
    kept = values > 1e-9 * values.max()
    return vectors[:, kept] * values[kept] ** exponent @ vectors[:, kept].T


def consumers(net: Net, group: Group) -> Iterator[tuple[Slot, Any, Tensor, Tensor]]:
    """Each consumer of a group, its layer, what it reads, flat, and the gradients at what it makes, flat."""
    graph, (inputs, targets) = net.graph(), net.sample(40)
    for slot in group.consumers:
        layer: Any = graph.model.get_submodule(slot.layer)
        read, gradients = heard(graph.model, slot.layer, inputs, targets)
        yield slot, layer, with_ones(patches(layer, read), layer.bias).flatten(0, 1), gradients.flatten(0, 1)


METRIC = ["mlp", "norm", "flatten", "two_consumers", "residual_stream", "flat_bend", "tokens"]


@over([named(name) for name in METRIC])
def test_whitening_is_by_the_inverse_root_of_what_the_gradients_are(net: Net, name: str) -> None:
    pair = pair_of(net, name, 40)
    roots = []
    for slot, layer, _, gradients in consumers(net, pair.group):
        root, kernel = power(gradients.T @ gradients / 40, -0.5), layer.weight[0, 0].numel()
        roots += [torch.kron(root, torch.eye(kernel).double())] * slot.block(name)
    matrix = torch.randn(pair.outgoing_size, 3, generator=torch.Generator().manual_seed(0)).double()
    assert close(pair.whitened(matrix), torch.block_diag(*roots) @ matrix, 1e-9)


@over([named(name) for name in METRIC])
def test_the_score_is_the_gradient_in_the_metric_of_the_kronecker_factored_fisher_matrix(net: Net, name: str) -> None:
    """``g^T (E[h h^T] (x) E[r r^T])^+ g``, with g the gradient of the consumer's own weights by plain autograd."""
    pair, graph, expected = pair_of(net, name, 40), net.graph(), 0.0
    inputs, targets = net.sample(40)
    F.cross_entropy(graph.model(inputs), targets).backward()
    for slot, _, h, gradients in consumers(net, pair.group):
        layer: Any = graph.model.get_submodule(slot.layer)
        own = layer.weight.grad.flatten(1)
        own = own if layer.bias is None else torch.cat([own, layer.bias.grad[:, None]], dim=1)
        fisher = torch.kron(power(gradients.T @ gradients / 40, -1), power(h.T @ h / 40, -1))
        expected += float(own.flatten() @ fisher @ own.flatten())
    assert pair.score == pytest.approx(expected, rel=1e-6)
    assert expected > 1e-6


# -- passes -----------------------------------------------------------------------------------------------------------


def everything(pair: Pair) -> list[Tensor]:
    one = torch.randn(3, pair.size, generator=torch.Generator().manual_seed(0)).double()
    two = torch.randn(3, pair.outgoing_size, generator=torch.Generator().manual_seed(1)).double()
    return [pair.M, pair.S, pair.N, pair.gain(one, two), pair.whitened(pair.M), torch.tensor(pair.score)]


STREAMED = ["mlp_relu", "norm", "flatten", "two_consumers", "residual_stream", "gated", "functional_relu"]


@pytest.mark.parametrize("name", STREAMED)
def test_neither_batches_nor_memory_nor_what_is_pushed_at_once_matter(name: str) -> None:
    for group in bearing(named(name)):
        with pytest.MonkeyPatch.context() as monkeypatch:
            check_streaming(named(name), group, monkeypatch)


def check_streaming(net: Net, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = pair_of(net, name, 40)
    expected = everything(plain)
    little = pair_of(net, name, 40, memory=1.0)
    sizes: list[int] = []
    own = Sample.batches

    def batches(self: Sample, size: int, *rest: Any) -> Any:
        for inputs, targets in own(self, size, *rest):
            sizes.append(len(inputs))
            yield inputs, targets

    monkeypatch.setattr(Sample, "batches", batches)
    found = [everything(little)]
    assert max(sizes) < 40
    monkeypatch.setattr("bench.curvature.pair.TOGETHER", 2)
    monkeypatch.setattr("bench.curvature.pair.batch_size", lambda *_: 7)
    sizes.clear()
    parts = pair_of(net, name, 40)
    assert parts._together == min(2, parts.size)
    found.append(everything(parts))
    assert set(sizes) == {7, 5}
    for other in found:
        for one, two in zip(other, expected, strict=True):
            assert float((one - two).abs().max()) < 1e-9 * max(1.0, float(two.abs().max()))
    assert little.is_quiet == parts.is_quiet == plain.is_quiet


def test_passes_are_counted_and_what_is_known_is_not_asked_again() -> None:
    pair = pair_of(named("mlp"), "0")
    curvature, counted = pair.curvature, []
    macs = 100.0  # of the net as it is, which takes no pass
    assert curvature.flops(macs) == 0
    for look in (lambda: pair.M, lambda: pair.S, lambda: pair.is_quiet, lambda: pair.score, lambda: pair.N):
        look()
        counted.append((curvature.passes, curvature.flops(macs)))
    assert [passes for passes, _ in counted] == [1, 1, 1, 1, 2]
    assert 0 < counted[0][1] == counted[3][1] < counted[4][1] < 2.5 * counted[0][1]
    curvature.operator(pair.group)(torch.zeros(pair.neurons, pair.size).double())
    before, passes = counted[4]
    assert curvature.passes == before + 1
    products = curvature.operator(pair.group).flops
    assert curvature.flops(macs) == pytest.approx(passes + 6 * macs * 8 + products)


COUNTED = [net for net in ALL if not net.name.startswith("heads")]  # attention takes what its kernel does


@over(COUNTED)
def test_what_is_counted_is_what_pytorch_counts(net: Net, name: str) -> None:
    """Passes of the net with null neurons, what goes through the chain, and the statistics."""
    pair = pair_of(net, name, 64)
    one, two = torch.randn(3, pair.size).double(), torch.randn(3, pair.outgoing_size).double()
    with FlopCounterMode(display=False) as counter:
        _ = pair.M, pair.S, pair.N, pair.gain(one, two)
    first = pair._first
    by_inverses = sum(2 * len(read) * made.numel() for read, made in zip(first.read, first.reached, strict=True))
    assert pair.curvature.flops(0.0) == pytest.approx(counter.get_total_flops() - by_inverses, rel=0.02)


def test_the_net_is_looked_at_and_left_alone() -> None:
    net = named("norm")
    graph = net.graph()
    graph.model.train()
    state = copy.deepcopy(graph.model.state_dict())
    pair = Pair(Curvature(graph, Sample(*net.sample(), F.cross_entropy)), graph.groups["0"])
    everything(pair)
    assert all(module.training for module in graph.model.modules())
    assert all(torch.equal(tensor, state[name]) for name, tensor in graph.model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in graph.model.parameters())


def test_in_single_precision_the_same_to_rounding() -> None:
    net = named("two_consumers")
    graph = net.graph(dtype=torch.float32)
    pair = Pair(Curvature(graph, Sample(*net.sample(40, dtype=torch.float32), F.cross_entropy)), graph.groups["stem"])
    exact = pair_of(net, "stem", 40)
    for one, two in ((pair.M, exact.M), (pair.S, exact.S), (pair.N, exact.N)):
        assert one.dtype == torch.float32
        assert close(one.double(), two, 1e-3)
