"""What samples and searches choose, against plans and gains by plain means."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from bench.backbones import build
from bench.core.errors import ConfigError
from bench.curvature.passes import Curvature
from bench.data import load
from bench.network.graph import Graph
from bench.speed import parts, step
from bench.speed.choice import SEARCHES, choices
from bench.speed.machine import Machine
from tests.bench.speed.test_parts import settings

HERE = Machine("cpu", 1, 0)


def test_a_row_for_each_search_and_sample_against_dense_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load({"name": "digits", "train_size": 200}, 0)
    torch.manual_seed(0)
    graph = Graph(nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.Tanh(), nn.Linear(9, 10)), data.input_shape)
    judges = []

    class Watched(Curvature):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)  # type: ignore[arg-type]
            judges.append(self)

    monkeypatch.setattr(step, "Curvature", Watched)
    rows = choices(graph, data, HERE, samples=(4, 16, 10**6))
    assert [(row["engine"], row["sample"]) for row in rows] == [(s[0], n) for n in (4, 16) for s in SEARCHES]
    judge, group = judges[0], graph.groups["1"]
    matrices = judge.operator(group).dense()
    lowest, order = torch.linalg.eigvalsh(matrices)[:, 0].sort()
    splits = int(rows[0]["splits"] or 0)
    assert splits >= 2
    assert (lowest[:splits] < 0).all()
    for row, made in zip(rows, judges[1:], strict=True):
        values, vectors = torch.linalg.eigh(made.operator(group).dense())
        assert len(made.sample) == row["sample"]
        if row["engine"] == "lanczos":  # its choice, and what that gains on the judge's examples
            chosen = values[:, 0].argsort()[: int(row["splits"] or 0)]
            v = vectors[chosen, :, 0]
            gain = torch.einsum("nd,nde,ne->", v, matrices[chosen], v) / lowest[:splits].sum()
            assert row["gain"] == pytest.approx(float(gain), rel=1e-3)
            assert row["same"] == len(set(chosen.tolist()) & set(order[:splits].tolist())) / splits
        if "products" in str(row["engine"]):
            assert 1 < float(row["products"] or 0) <= int(str(row["engine"]).split()[1])  # few examples have low rank


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(ConfigError, match="data=rbf: expected a classification data set"):
        parts.choice(settings("data=rbf", "backbone=rbf"), 1, torch.device("cpu"))


def test_the_part_trains_the_configured_network_and_says_on_what() -> None:
    tables = parts.choice(settings("data.train_size=200"), 1, torch.device("cpu"))
    name, rows = tables["choice"]
    assert "other examples of digits; mlp" in name
    assert len(rows) == len(SEARCHES)  # 64 fit beside the reference's hundred
    assert all(float(row["seconds"] or 0) > 0 for row in rows)


def test_a_network_of_ones_own_is_started_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = build({"name": "mlp", "width": 4, "depth": 2}, (1, 8, 8), 10)
    torch.save(own.state_dict(), tmp_path / "own.pt")
    seen: list[nn.Module] = []
    monkeypatch.setattr(parts, "choices", lambda graph, *_: seen.append(graph.model))
    parts.choice(settings(f"backbone.weights={tmp_path}/own.pt", "train.seed_epochs=0"), 1, torch.device("cpu"))
    assert all(torch.equal(p, q) for p, q in zip(seen[0].parameters(), own.parameters(), strict=True))
