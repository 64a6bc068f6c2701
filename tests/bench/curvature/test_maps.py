"""Layers as linear maps of their parameters, against the layers themselves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.curvature.maps import linear_map

LAYERS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Linear(3, 4), (5, 3)),
    (nn.Linear(3, 4), (5, 2, 3)),
    (nn.Linear(3, 4, bias=False), (5, 3)),
    (nn.Conv2d(2, 3, 3, stride=2, padding=1), (4, 2, 6, 5)),
    (nn.Conv2d(2, 3, (2, 3), padding="same", dilation=2, bias=False), (4, 2, 6, 5)),
    (nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode="circular"), (4, 2, 6, 5)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_a_map_is_its_layer_its_transpose_and_its_rows(layer: nn.Module, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = layer.double()
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    made = linear_map(layer, layer.bias is not None)
    x = torch.randn(shape, dtype=torch.float64)
    parameters = [layer.weight.detach().flatten(1)] + ([] if layer.bias is None else [layer.bias.detach()[:, None]])
    theta = torch.cat(parameters, dim=1)
    assert made.size == theta.shape[1]
    kept = made.prepare(x)
    z = made.forward(kept, theta)
    torch.testing.assert_close(z, layer(x).detach())
    t = torch.randn(z.shape, dtype=torch.float64)
    torch.testing.assert_close((made.adjoint(kept, t) * theta).sum(), (t * z).sum())
    by_rows = made.rows(kept) @ theta.T
    torch.testing.assert_close(by_rows, z.movedim(made.channel_dim, -1).flatten(0, -2))
