"""Fresh batch-norm statistics."""

from __future__ import annotations

import torch
from torch import nn

from bench.data import load
from bench.data.base import Dataset, Part
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


def test_they_are_plain_averages_over_batches_of_the_training_part() -> None:
    """What was there before is forgotten, and each norm's momentum is its own again."""
    data, norm = load({"name": "digits"}, 0), nn.BatchNorm1d(64, momentum=0.3)
    norm.running_mean.fill_(9.0)
    images = refresh_norm(nn.Sequential(nn.Flatten(), norm), data, 3, 50, torch.Generator().manual_seed(0))
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    batches = [data.batch(data.train, index)[0].flatten(1) for index in order[:150].split(50)]
    assert images == 150
    torch.testing.assert_close(norm.running_mean, torch.stack([batch.mean(0) for batch in batches]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([batch.var(0) for batch in batches]).mean(0))
    assert norm.momentum == 0.3


def test_without_batch_norm_nothing_is_seen() -> None:
    data = load({"name": "digits"}, 0)
    model = nn.Sequential(nn.Flatten(), nn.LayerNorm(64), nn.BatchNorm1d(64, track_running_stats=False))
    assert refresh_norm(model, data, 3, 50, torch.Generator()) == 0


def test_a_single_example_left_over_joins_the_batch_before_it_as_in_training() -> None:
    data, norm = load({"name": "digits"}, 0), nn.BatchNorm1d(4)
    size = (len(data.train) - 1) // 2
    assert len(data.train) == 2 * size + 1
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), norm, nn.Linear(4, 10))
    assert refresh_norm(model, data, 9, size, torch.Generator().manual_seed(0)) == len(data.train)
    assert int(norm.num_batches_tracked) == 2


def test_norms_of_volumes_are_refreshed_too() -> None:
    inputs = torch.rand(6, 2, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    part = Part(inputs, torch.zeros(6, dtype=torch.long))
    zeros = torch.zeros(2)
    data = Dataset("volumes", "classification", 2, (2, 3, 3, 3), part, part, part, zeros, zeros + 1)
    norm = nn.BatchNorm3d(2)
    assert refresh_norm(norm, data, 1, 6, torch.Generator().manual_seed(0)) == 6
    torch.testing.assert_close(norm.running_mean, data.batch(part, torch.arange(6))[0].mean((0, 2, 3, 4)))
