"""Passes over the sample: what is held, what is made again, and that neither matters."""

from __future__ import annotations

import weakref

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.curvature.passes import Curvature
from bench.curvature.sample import Sample
from bench.growth.trial import NETWORKS, trial
from bench.methods.net2net import Config as Net2NetConfig
from bench.methods.net2net import Net2Net
from tests.bench.curvature.spectra import close, matrices
from tests.nets import NETS, Net, named


@pytest.mark.parametrize("net", NETS, ids=str)
def test_neither_memory_nor_batches_matter(net: Net) -> None:
    graph = net.graph()
    sample = net.sample(7)
    whole = Curvature(graph, Sample(*sample, F.cross_entropy))
    expected = matrices(whole)
    assert (whole.passes, whole.batch_size) == (1, 7)
    streamed = Curvature(graph, Sample(*sample, F.cross_entropy), memory=1)
    assert streamed.batch_size == 1
    found = matrices(streamed)
    assert streamed.passes == len(graph.groups)
    assert all(close(found[name], expected[name]) for name in expected)
    thirds = Curvature(graph, Sample(*sample, F.cross_entropy))
    thirds.batch_size = 3
    found = matrices(thirds)
    assert all(close(found[name], expected[name]) for name in expected)


def test_what_is_let_go_is_collected_again() -> None:
    net = named("norm")
    graph = net.graph()
    curvature = Curvature(graph, Sample(*net.sample(), F.cross_entropy))
    operator = curvature.operator(graph.groups["0"])
    expected = operator.dense()
    held = weakref.ref(next(iter(operator.batches())))
    assert held() is not None
    curvature.release()
    assert held() is None  # though operators and their curvature know of each other
    assert torch.equal(operator.dense(), expected)
    assert curvature.passes == 2


def test_memory_for_one_group_at_a_time() -> None:
    graph = named("norm").graph()
    sample = named("norm").sample(6)
    most = Curvature(graph, Sample(*sample, F.cross_entropy))
    limit = max(most._bytes(name) for name in graph.groups)
    tight = Curvature(graph, Sample(*sample, F.cross_entropy), memory=limit)
    expected, found = matrices(most), matrices(tight)
    assert tight.passes == 2
    assert all(close(found[name], expected[name]) for name in expected)
    again = tight.operator(graph.groups["0"])
    assert close(again.dense(), expected["0"])
    assert close(again.dense(), expected["0"])
    assert tight.passes == 3


def test_the_memory_limit_counts_the_network_as_it_is_now() -> None:
    event, target = trial(Net2Net(Net2NetConfig()), NETWORKS["norm, pooling and flatten"](), 9.0)

    def counted() -> tuple[float, float]:
        curvature = Curvature(event.graph, event.sample)
        group = next(iter(event.graph.groups.values()))
        batches = list(curvature.operator(group).batches())
        real = sum(t.nbytes for b in batches for t in (*b.inputs, b.hessian) if isinstance(t, Tensor))
        return curvature._bytes(group.name), real

    before, real_before = counted()
    event.grow(target)
    after, real_after = counted()
    assert before == real_before
    assert after == real_after > real_before
