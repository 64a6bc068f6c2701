"""What a run shows at its end."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from bench.core.errors import ConfigError
from bench.core.record import RunRecord, RunState, read, written
from bench.run.terminal import summary, table
from tests.runs import prepared


def drawn(record: RunRecord) -> list[str]:
    """The table's lines."""
    console = Console(width=160)
    with console.capture() as captured:
        console.print(table(record))
    return captured.get().splitlines()


@pytest.mark.parametrize(
    ("cost", "heading"), [("params", ""), ("macs", ""), ("energy", "energy"), ("latency", "latency")]
)
def test_the_ladders_cost_has_a_column(cost: str, heading: str, tmp_path: Path) -> None:
    record = prepared(tmp_path, "growth.stages=1", f"growth.cost={cost}", "train.epochs=0", "threads=1").execute()
    lines = drawn(record)
    above = " ".join(lines)
    assert all(name in above for name in ("parameters", "multiply-adds", "val %", "test %"))
    assert heading in above
    assert ("pJ" in above, "us" in above.split()) == (cost == "energy", cost == "latency")
    first = next(line.split() for line in lines if line.split()[:1] == ["0"])
    assert first[1:3] == ["330", "312"]
    assert f"{100 * record.stages[0].test:.2f}" in first


def test_losses_of_regression_and_why_growing_stopped(tmp_path: Path) -> None:
    record = prepared(tmp_path, "data=rbf", "backbone=rbf", "growth.stages=1", "train.epochs=0").execute()
    assert record.stages[1].growth is not None
    record.stages[1].growth.stopped = "stable"
    lines = drawn(record)
    assert "test loss" in " ".join(lines)
    assert any(line.split()[:2] == ["1", "stable"] for line in lines)
    assert ", test loss " in summary(record)


@pytest.mark.parametrize(
    ("engine", "others"), [("rayleigh", "lanczos or dense"), ("lanczos", "dense"), ("dense", "lanczos")]
)
def test_a_search_that_has_not_converged_is_told_below_the_table(engine: str, others: str, tmp_path: Path) -> None:
    record = prepared(tmp_path, "growth.stages=2", "train.epochs=0", "train.seed_epochs=1").execute()
    assert "converged" not in " ".join(drawn(record))
    for stage, (residual, unconverged) in zip(record.stages[1:], ((1e-9, 0), (0.25, 3)), strict=True):
        assert stage.growth is not None
        stage.growth.engine, stage.growth.residual_max, stage.growth.searched = engine, residual, 8
        stage.growth.unconverged = unconverged
    told = f"{engine} has not converged for 3 of 8 neurons (largest residual 2.5e-01): try growth.engine={others}, or"
    assert told in " ".join(" ".join(drawn(record)).split())


def test_one_line_for_sweeps(tmp_path: Path) -> None:
    record = prepared(tmp_path, "growth.stages=1", "train.epochs=0").execute()
    last = record.stages[-1]
    assert summary(record).startswith(f"done: digits mlp s3d seed 0: 330 to {last.params} parameters, test ")
    record.status, record.reason = RunState.REFUSED, "not for this network"
    assert summary(record) == "refused: digits mlp s3d seed 0: not for this network"


def test_the_table_fits_a_narrow_terminal(tmp_path: Path) -> None:
    record = prepared(tmp_path, "growth.stages=1", "growth.cost=latency", "train.epochs=0", "threads=1").execute()
    console = Console(width=60)
    with console.capture() as captured:
        console.print(table(record))
    assert max(len(line.rstrip()) for line in captured.get().splitlines()) <= 60
    words = captured.get().split()
    assert "…" not in captured.get()
    assert [words.count(word) for word in ("parameters", "multiply-adds", "allowed", "predicted", "measured")] == [
        1
    ] * 5


def test_what_a_prediction_is_worth_is_marked_and_explained(tmp_path: Path) -> None:
    record = prepared(tmp_path, "growth.stages=2", "train.epochs=0").execute()
    assert not any(mark in " ".join(drawn(record)) for mark in ("~", "!", "prediction"))
    one, two = (stage.growth for stage in record.stages[1:])
    assert one is not None
    assert two is not None
    one.trust, two.trust, two.contradicted = "kinks", "kinks, max pooling", 1
    two.left_out = ["3"]
    lines = drawn(record)
    rows = [line for line in lines if line.split()[:1] in (["1"], ["2"])]
    assert [row.count("~") for row in rows] == [1, 1]
    assert ["!" in row for row in rows] == [False, True]
    below = " ".join(line.strip() for line in lines[lines.index(rows[1]) :])
    assert "~ not exact to second order: kinks; kinks, max pooling" in below
    assert f"! contradicts the prediction (1 of {one.judged + two.judged} plans)" in below
    assert "left out, as they contradicted the prediction: 3" in below


SPECTRAL = """
import torch
from torch import nn


class Waves(nn.Module):
    def forward(self, images):
        return torch.fft.fft(images.flatten(1)).real


def net(input_shape, outputs):
    return nn.Sequential(Waves(), nn.Linear(64, 3), nn.Tanh(), nn.Linear(3, outputs))
"""


def test_a_network_with_uncounted_multiply_adds_grows_by_parameters_alone_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spectral_network.py").write_text(SPECTRAL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    chosen = ["backbone=import:spectral_network:net", "growth.stages=1", "train.epochs=0", "threads=1"]
    for cost in ("macs", "energy"):
        with pytest.raises(ConfigError, match=rf"^growth\.cost={cost}: .*leave out those of fft_fft \(.*:8\)$"):
            prepared(tmp_path / cost, *chosen, f"growth.cost={cost}")
        assert not list((tmp_path / cost).rglob("seeds/*"))
    record = prepared(tmp_path / "runs", *chosen).execute()
    assert record.status is RunState.DONE
    assert record.stages[1].params > record.stages[0].params
    (named,) = read(written(record).encode()).uncounted
    assert named.endswith(":8)")
    assert f"multiply-adds leave out those of {named}" in " ".join(" ".join(drawn(record)).split())
