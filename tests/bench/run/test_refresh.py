"""Fresh batch-norm statistics."""

from __future__ import annotations

import torch
from torch import nn

from bench.data import load
from bench.run.refresh import refresh_norm


def test_fresh_statistics_do_not_depend_on_dropout() -> None:
    data = load({"name": "digits"}, 0)
    layers = [nn.Flatten(), nn.Linear(64, 4), nn.Dropout(0.5), nn.BatchNorm1d(4), nn.Linear(4, 10)]
    model = nn.Sequential(*layers)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        refresh_norm(model, data, 2, 64, torch.Generator().manual_seed(0))
        statistics = model.get_submodule("3").running_mean
        assert isinstance(statistics, torch.Tensor)
        found.append(statistics.clone())
    assert torch.equal(*found)
    assert model.training
