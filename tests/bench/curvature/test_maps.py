"""Layers as linear maps of their parameters, against the layers themselves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.curvature.maps import linear_map
from bench.network.graph import Graph
from bench.network.groups import theta

LAYERS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Linear(3, 4), (3,)),
    (nn.Linear(3, 4), (2, 3)),
    (nn.Linear(3, 4, bias=False), (3,)),
    (nn.Conv1d(2, 3, 3, stride=2, padding=1), (2, 7)),
    (nn.Conv2d(2, 3, 3, stride=2, padding=1), (2, 6, 5)),
    (nn.Conv2d(2, 3, (2, 3), padding="same", dilation=2, bias=False), (2, 6, 5)),
    (nn.Conv2d(2, 3, 3, padding="valid"), (2, 6, 5)),
    (nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode="circular"), (2, 6, 5)),
    (nn.Conv2d(4, 6, 3, groups=2), (4, 5, 5)),
    (nn.Conv3d(2, 3, 2), (2, 3, 4, 3)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_a_map_is_its_layer_its_transpose_and_its_rows(layer: nn.Module, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    rows = layer.weight.shape[0]
    convolutions = {2: nn.Conv1d, 3: nn.Conv2d, 4: nn.Conv3d}
    reader = nn.Linear(rows, 2) if isinstance(layer, nn.Linear) else convolutions[len(shape)](rows, 2, 1)
    model = nn.Sequential(layer, reader).double()
    graph = Graph(model, shape)
    group = graph.groups["0"]
    node = next(iter(graph.layers))
    made = linear_map(graph, node, group, group.producers[0])
    x = torch.randn(5, *shape, dtype=torch.float64)
    own = theta(model, group)
    assert made.size == own.shape[1]
    before = layer._reversed_padding_repeated_twice if getattr(layer, "padding_mode", "zeros") != "zeros" else None
    kept = made.prepare(x if before is None else nn.functional.pad(x, before, mode=layer.padding_mode))
    z = made.forward(kept, own)
    torch.testing.assert_close(z, layer(x).detach())
    t = torch.randn(z.shape, dtype=torch.float64)
    torch.testing.assert_close((made.adjoint(kept, t) * own).sum(), (t * z).sum())
    if made.alone and made.unfolds:
        by_rows = made.rows(kept) @ own.T
        torch.testing.assert_close(by_rows, z.movedim(made.channel_dim, -1).flatten(0, -2))
